"""Sizes as they are written: one number for a square, height x width for a rectangle."""

from core.errors import UserError

MAX_SIZE = 8192  # of a side of prepared pictures


def sides_of(size: int | str) -> tuple[int, int]:
    """Return height and width of a size: 128 is a square, "360x480" is height x width.

    Raises:
        UserError: it is neither.
    """
    sides = [size, size] if isinstance(size, int) else str(size).lower().split("x")
    sides = sides * 2 if len(sides) == 1 else sides
    try:
        height, width = map(int, sides)
    except ValueError:
        raise UserError(f"size {size!r}: give 128 for a square, or 360x480 for height x width") from None
    return height, width

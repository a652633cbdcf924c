"""Values of masks that could mean two things: a person has to say which."""

from core.errors import UserError
from data.annotations.assigning import MOST_FOUND, Numbers
from data.annotations.canonical import WHITE
from data.annotations.scan import Tally
from data.annotations.words import told

# So many values in a mask, and so large a share of one of them, are a drawing with soft edges, not objects.
SOFT_VALUES = 8
SOFT_SHARE = 0.8
_SAY = "Say in a YAML for --classes what each is (`foreground: [128-255]` takes a range)"


def require_plain(tally: Tally, found: Numbers, named: bool) -> None:
    """See that the values can mean one thing alone.

    Args:
        named: whether --classes lists names, which stand for values in a row: then only two codings are in doubt.

    Raises:
        UserError: 255 could be ignored, a class, or what others call 1; or the values are greys of soft edges.
    """
    values = {value for value in found if value >= 0}
    others = sorted(values - {0, WHITE})
    if is_even(values):
        return
    # A mask of 255 alone, where others hold classes, is one of which nothing is known.
    if WHITE in values and others and tally.black_and_white and not tally.beside_white:
        raise UserError(
            f"{found[WHITE].masks} masks hold {WHITE} and no other value but 0, the other masks do not hold it: are "
            f"they coded in two ways? {told(found, False)}. Where both mean one class say so in a YAML for --classes "
            f"(`background: 0`, `foreground: [{others[0]}, {WHITE}]`); if {WHITE} is to be ignored: "
            f"--ignore_value {WHITE}"
        )
    if named or len(others) > MOST_FOUND or "palette" in tally.kinds or _in_a_row(values - {WHITE}):
        return
    if WHITE in values and others:
        raise UserError(
            f"the masks hold {WHITE} beside values that are not in a row: {told(found, False)}. {_SAY}; if {WHITE} "
            f"alone is to be ignored: --ignore_value {WHITE}"
        )
    a_mask = sum(where.masks for where in found.values()) / tally.masks
    most = max((where.pixels for where in found.values()), default=0)
    if a_mask > SOFT_VALUES and most >= SOFT_SHARE * tally.pixels:
        raise UserError(f"the masks hold {len(found)} greys, as of soft edges: {told(found, False)}. {_SAY}")


def require_one_storage(greys: Numbers, others: Numbers, colours: bool) -> None:
    """See that grey masks beside masks of colours or of palettes can be read as those are.

    Black says nothing: an empty mask of colours is grey too. So does a grey that masks of colours hold as well.

    Args:
        greys, others: what grey masks hold, and what those of palettes and colours hold.
        colours: whether all are read as colours; else as values and indices, where a value that a few lack is a rarity.

    Raises:
        UserError: they are stored in two ways, and what the fewer hold would become classes of its own.
    """
    alone = {number: where for number, where in greys.items() if number and number not in others}
    few = _most_masks(greys) <= _most_masks(others)
    if not alone or not any(others) or not (few or colours):
        return
    which = "grey masks among masks of colours" if colours else "grey masks among masks with palettes"
    if not few:
        which, alone = "masks of colours among grey ones", {n: where for n, where in others.items() if n not in greys}
    raise UserError(
        f"there are {which}, which alone hold {told(alone, colours)}: store those as the others are, move them "
        "elsewhere, or say in a YAML for --classes what all stand for"
    )


def _most_masks(numbers: Numbers) -> int:
    """Return how many masks hold the commonest of numbers, black aside."""
    return max((where.masks for number, where in numbers.items() if number), default=0)


def is_even(values: set[int]) -> bool:
    """Say whether values lie evenly from 0 to 255, to a rounding: 0, 128, 255."""
    ordered = sorted(values)
    steps = len(ordered) - 1
    return 0 < steps < WHITE // 2 and all(abs(value - WHITE * place / steps) < 1 for place, value in enumerate(ordered))


def _in_a_row(values: set[int]) -> bool:
    return values in (set(range(len(values))), set(range(1, len(values) + 1)))

"""What every way of choosing returns."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """A picture that is suggested.

    Args:
        index: of the picture in its split.
        why: in words.
        score: what it was chosen by; None where chance chose it.
    """

    index: int
    why: str
    score: float | None = None

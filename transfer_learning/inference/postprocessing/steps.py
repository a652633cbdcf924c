"""The steps of `--postprocess` as text: "crf, median:5, largest[cat], min_area:50"."""

import re
from dataclasses import dataclass

from core.errors import UserError
from core.filing.words import nearest


@dataclass(frozen=True)
class Kind:
    """What a step takes.

    Attributes:
        default: of its number; None where it takes none.
        lowest, highest: of its number, a whole one.
        odd: whether the number is a window's side.
        of_a_class: whether it can be for one class alone.
    """

    default: int | None = None
    lowest: int = 1
    highest: int = 0
    odd: bool = False
    of_a_class: bool = True


KINDS = {
    "median": Kind(5, 3, 99, odd=True),
    "open": Kind(3, 3, 99, odd=True),
    "close": Kind(3, 3, 99, odd=True),
    "largest": Kind(),
    "fill": Kind(),
    "min_area": Kind(50, 1, 10**9),
    "crf": Kind(5, 1, 100, of_a_class=False),
    "guided": Kind(8, 1, 500, of_a_class=False),
}
# The name of a class may hold all that separates: it ends at the last bracket before a comma or the end.
_STEP = re.compile(r"\s*([^\s:,\[\]]+)\s*(?::\s*([^\s:,\[\]]+)\s*)?(?:\[(.+?)\]\s*)?(?::\s*([^\s:,\[\]]+)\s*)?(?:,|\Z)")


@dataclass(frozen=True)
class Step:
    """One step: its name, its number (None: it takes none), and the class that it is for (None: no certain one)."""

    name: str
    number: int | None = None
    of: str | None = None

    def __str__(self) -> str:
        number = "" if self.number is None else f":{self.number}"
        return f"{self.name}{number}{'' if self.of is None else f'[{self.of}]'}"


def parse_steps(text: str) -> tuple[Step, ...]:
    """Return the steps that a text names.

    Raises:
        UserError: it is none, or a step is unknown (with the nearest known one), or its number is none that it takes.
    """
    steps, place = [], 0
    while place < len(text):
        found = _STEP.match(text, place)
        if not found or (found[2] and found[4]):
            raise UserError(
                f"postprocess {text[place:].strip()!r} is no step: write median:5, largest or largest[cat], with "
                "commas between them"
            )
        steps.append(_step(found[1], found[2] or found[4], found[3]))
        place = found.end()
    if not steps:
        raise UserError(f"postprocess is empty: it takes steps, of {', '.join(KINDS)}")
    return tuple(steps)


def _step(name: str, given: str | None, of: str | None) -> Step:
    kind = KINDS.get(name)
    if kind is None:
        raise UserError(f"postprocess: unknown step {name!r}{nearest(name, list(KINDS))}: it takes {', '.join(KINDS)}")
    if of is not None and not kind.of_a_class:
        raise UserError(f"postprocess {name}[{of}]: {name} weighs all classes against each other: leave [{of}] out")
    if kind.default is None:
        if given is not None:
            raise UserError(f"postprocess {name}:{given}: {name} takes no number")
        return Step(name, None, of)
    number = kind.default if given is None else _number(given)
    if number is None or not kind.lowest <= number <= kind.highest or (kind.odd and number % 2 == 0):
        odd = "an odd" if kind.odd else "a whole"
        raise UserError(
            f"postprocess {name}:{given}: it takes {odd} number from {kind.lowest} to {kind.highest}, such as "
            f"{name}:{kind.default}"
        )
    return Step(name, number, of)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else None

"""The steps of `--preprocess` as text: "green, clahe:2/8, window:40/400, percentile:0.5/99.5, zscore"."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from core.errors import UserError
from core.filing.words import nearest

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class Kind:
    """What a step takes.

    Attributes:
        defaults: of its numbers; () where it takes none, None where both must be given.
        fits: says whether numbers can be its.
        takes: what they are, in words.
        example: how it is written.
    """

    defaults: Numbers | None = ()
    fits: Callable[[float, float], bool] = lambda first, second: True
    takes: str = "no number"
    example: str = ""


KINDS = {
    "green": Kind(),
    "clahe": Kind(
        (2.0, 8.0),
        lambda clip, tiles: 0 < clip <= 100 and 1 <= tiles <= 64 and tiles == int(tiles),
        "a clip limit above 0, 100 at most, and a whole number of tiles a side, 64 at most",
        "clahe:2/8",
    ),
    "window": Kind(None, lambda centre, width: width > 0, "a centre and a width above 0", "window:40/400"),
    "percentile": Kind(
        (0.5, 99.5),
        lambda low, high: 0 <= low < high <= 100,
        "two percentiles from 0 to 100, the lower one first",
        "percentile:0.5/99.5",
    ),
    "zscore": Kind(),
}
_STEP = re.compile(r"\s*([^\s:,/]+)\s*(?::([^:,]*))?\Z")


@dataclass(frozen=True)
class Step:
    """One step: its name, and its two numbers where it takes some."""

    name: str
    numbers: Numbers = ()

    def __str__(self) -> str:
        return f"{self.name}:{'/'.join(f'{number:.15g}' for number in self.numbers)}" if self.numbers else self.name


def parse_steps(text: str) -> tuple[Step, ...]:
    """Return the steps that a text names.

    Raises:
        UserError: it names none, a step is unknown (with the nearest known one), its numbers are none that it takes, or
            it can do nothing where it stands.
    """
    steps = tuple(map(_step, text.split(","))) if text.strip() else ()
    if not steps:
        raise UserError(f"preprocess is empty: it takes steps, of {', '.join(KINDS)}")
    if [step.name for step in steps].count("green") > 1:
        raise UserError("preprocess: green stands there twice: the green of a picture is grey, leave the second out")
    for before, step in pairwise(steps):
        if before == step and step.name != "clahe":
            raise UserError(f"preprocess: {step} behind {step} changes nothing more: leave one out")
    return steps


def _step(text: str) -> Step:
    found = _STEP.match(text)
    if not found:
        raise UserError(
            f"preprocess {text.strip()!r} is no step: write green, zscore or clahe:2/8, with commas between them"
        )
    name, given = found[1], found[2]
    kind = KINDS.get(name)
    if kind is None:
        raise UserError(f"preprocess: unknown step {name!r}{nearest(name, list(KINDS))}: it takes {', '.join(KINDS)}")
    defaults = kind.defaults or ()
    words = given.split("/") if given is not None else []
    numbers = (*map(_number, words), *defaults[len(words) :])
    wanted = 2 if kind.defaults is None else len(defaults)
    if not all(map(math.isfinite, numbers)) or len(numbers) != wanted or (wanted and not kind.fits(*numbers)):
        example = f", such as {kind.example}" if kind.example else ""
        raise UserError(f"preprocess {text.strip()}: {name} takes {kind.takes}{example}")
    return Step(name, numbers)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan

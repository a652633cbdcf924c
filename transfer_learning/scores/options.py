"""Which scores an evaluation adds where they are asked for."""

from dataclasses import dataclass

from core.classes import ClassSet
from core.errors import UserError
from core.filing.words import nearest


@dataclass(frozen=True)
class ScoreOptions:
    """Scores that cost time, or that only some data have."""

    distances: bool = False
    """Add the 95 % Hausdorff distance and the average symmetric surface distance of every class, per picture: pixels,
    millimetres where a spacing is known. Up to 0.3 s a class and megapixel, less where the class takes up less."""
    v_rand: str | None = None
    """Name the class that separates (the membrane of electron microscopy): adds V-Rand, whether what lies between is
    split and merged as in the truth. About 1 s a megapixel."""
    case_by: str | None = None
    """The tag whose values are cases (a patient): pictures that share one are one case of mean_case_dice. Left out: the
    tag by which own pictures were divided (--group_by), else every picture is a case."""

    def require_fit(self, classes: ClassSet, tags: tuple[str, ...]) -> None:
        """Raise UserError where there is no such class or tag."""
        _require_known("v_rand", self.v_rand, "class", classes.names)
        _require_known("case_by", self.case_by, "tag", tags)


def _require_known(setting: str, name: str | None, kind: str, known: tuple[str, ...]) -> None:
    if name is not None and name not in known:
        there = f"there are {', '.join(known[:25])}" if known else f"these data have no {kind}"
        raise UserError(f"{setting} {name!r}: there is no such {kind}{nearest(name, known)}; {there}")

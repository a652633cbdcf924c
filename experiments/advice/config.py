"""The settings of an advice."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from core.errors import UserError
from core.filing.kinds import FOLDERS
from data.sources.own.config import ReadingConfig
from experiments.advice.arms import BATCH_SIZE

MINUTES_A_MASK = 2.0
DIVIDING = ("fold", "val_ratio", "test_ratio")  # otherwise than into folds
SMALLEST_SIDE = 33  # of what every network here takes


@dataclass(frozen=True)
class AdviseConfig(ReadingConfig):
    """Whose pictures, how much time, what is asked."""

    goes_on: ClassVar[bool] = True
    writes: ClassVar[dict[str, str]] = {"output_dir": FOLDERS}

    folds: int = 0
    """Into how many folds the pictures with a mask go, each held out once; of --splits those of train alone. 0: 5,
    fewer where one would hold less than two."""
    hours: float = 2.0
    """How long it may take in all, on this machine. About 40 % of it is kept for the final model."""
    output_dir: Path = Path("runs/advice")
    """Everything lies here: prepared pictures, trainings, the advice."""
    arms: tuple[str, ...] = ()
    """Which ways to compare with scratch: teacher, pretrained, imagenet, imagenet_frozen. Left out: up to two that can
    be, imagenet_frozen not among them."""
    outside_weights: bool = True
    """Try ImageNet's weights. --no_outside_weights: nothing that learned from other pictures."""
    size: int = 0
    """Side of the pictures, in pixels. 0: chosen from the time and the pictures."""
    width: int = 0
    """Width of the network. 0: chosen likewise."""
    batch_size: int = BATCH_SIZE
    """Pictures a step of every training: few, so that a short training makes many steps."""
    jobs: int = 0
    """Trainings side by side. 0: one a core, or one where they share a GPU."""
    more: int = 0
    """How many more masks the forecast is for. 0: as many as there are."""
    goal: float | None = None
    """Which score is wanted: how many more masks that takes."""
    final_model: bool = True
    """Train the best way on all masks, segment all pictures and write the page. --no_final_model: the advice alone, for
    which --hours then are."""
    minutes_per_mask: float = MINUTES_A_MASK
    """How long it takes you to draw a mask."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.hours < float("inf"):
            raise UserError(f"hours {self.hours} must be above 0")
        if self.batch_size < 1:
            raise UserError(f"batch_size {self.batch_size} must be 1 or more")
        for name in ("size", "width", "jobs", "more"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} {getattr(self, name)} must be 0 (chosen) or more")
        if 0 < self.size < SMALLEST_SIDE:
            raise UserError(f"size {self.size}: networks take sides of {SMALLEST_SIDE} px and more")
        if self.goal is not None and not 0 < self.goal <= 1:
            raise UserError(f"goal {self.goal} is outside (0, 1]")
        if not 0 < self.minutes_per_mask < float("inf"):
            raise UserError(f"minutes_per_mask {self.minutes_per_mask} must be above 0")
        plain = ReadingConfig()
        if given := [name for name in DIVIDING if getattr(self, name) != getattr(plain, name)]:
            raise UserError(f"--{given[0]} has no meaning here: every mask is held out once, in --folds")

    @property
    def reading(self) -> dict[str, Any]:
        """The settings of reading, as `data.prepare` takes them."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(ReadingConfig)
            if field.name not in (*DIVIDING, "folds")
        }

"""Settings of phase 2: which score chooses, which pictures are drawn, and at which size."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import UserError

Selected = Literal["mean_iou", "pixel_accuracy", "mean_foreground_dice", "last"]


@dataclass(frozen=True)
class FittingConfig:
    """How the network is fitted to the pictures."""

    select: Selected = "mean_iou"
    """The score on Val that chooses the best epoch; early stopping and --schedule plateau go by it too. last: none
    does; the last weights are kept (with --ema the averaged ones), nothing stops early, and Val is scored for the
    log alone."""
    val_labels: int | None = None
    """Masks of Val that choose, the same share of every stratum, drawn by --seed; fewer are contained in more. Scores
    on Val are of these alone. 0 or none: all."""
    hard_examples: float = 0.0
    """Share of each batch that goes to hard pictures, drawn in proportion to their last loss (the mean cross-entropy of
    a picture's pixels); the rest is the ordinary order, so an epoch still shows every picture. 0: off."""
    train_scales: str | None = None
    """Scales, such as 0.75,1,1.25, of which each batch is resized to one, to whole multiples of 32 px. Validation and
    evaluation see the prepared size."""

    def __post_init__(self) -> None:
        if self.val_labels is not None and self.val_labels < 0:
            raise UserError(f"val_labels {self.val_labels} must be at least 0 (0: all masks of Val choose)")
        if self.val_labels and self.select == "last":
            raise UserError(f"with --select last no mask of Val chooses: leave out --val_labels {self.val_labels}")
        if not 0 <= self.hard_examples < 1:
            raise UserError(
                f"hard_examples {self.hard_examples} is outside [0, 1): 0.3 gives three of ten places to hard pictures"
            )
        if not all(0.25 <= scale <= 4 for scale in self.scales):  # catches NaN as well
            raise UserError(f"train_scales {self.train_scales}: scales lie within 0.25 and 4, such as 0.75,1,1.25")

    def judging(self, there: int) -> int:
        """Return how many masks of Val choose, of so many that there are."""
        return 0 if self.select == "last" else self.val_labels or there

    def require_val_labels(self, there: int, data_dir: Path) -> None:
        """Raise UserError where more masks of Val are to choose than there are."""
        if self.val_labels and self.val_labels > there:
            raise UserError(
                f"val_labels {self.val_labels} asks for more masks of Val than exist: {data_dir} has {there}; give "
                "fewer, or 0 for all"
            )

    @property
    def scales(self) -> tuple[float, ...]:
        """The scales that batches are drawn at; () where there is but the prepared size."""
        if self.train_scales is None:
            return ()
        try:
            return tuple(map(float, self.train_scales.split(",")))
        except ValueError:
            return (math.nan,)

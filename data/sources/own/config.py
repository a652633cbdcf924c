"""How one's own pictures are read: the settings that `data.prepare` and `data.inspect` share."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import UserError


@dataclass(frozen=True)
class ReadingConfig:
    """Where one's own pictures and masks lie, what the masks mean, and who belongs to which split."""

    images: Path | None = None
    """Own pictures: their folder, with any subfolders."""
    masks: Path | None = None
    """Own pictures: their masks, where there are any: a folder, with the pictures' relative names or by
    --mask_pattern; or annotations: a JSON file of COCO or Label Studio, a folder of labelme's or YOLO's files."""
    classes: tuple[str, ...] = ()
    """Own pictures: names for the masks' values 0, 1, 2, ..., or a YAML file (`road: 1`, `car: [0, 0, 142]`,
    `ignore: [255]`, `background: 0`). Without it every value found becomes a class."""
    mask_pattern: str | None = None
    """Own pictures: a mask's file name from its picture's, such as '{name}_mask.png', or from a part of it, such as
    '{name}_training => {name}_manual1.gif'."""
    ignore_value: tuple[int, ...] = ()
    """Own pictures: values of the masks that are neither learned nor scored."""
    splits: Path | None = None
    """Own pictures: who belongs to which split: a JSON or CSV file, a folder of train.txt, val.txt and test.txt, or the
    word folders, where they lie in train/, val/ and test/."""
    folds: int = 0
    """Divide the labelled pictures into so many folds; --fold is Test, Val is drawn from the rest. 0: off. What a
    public data set holds back as its official Test is in none of them, nor are val and test of --splits."""
    fold: int = 0
    """Which of the folds is Test, from 0."""
    group_by: str | None = None
    """Own pictures, and --folds: a tag (patient, scene); those that share its value lie in one split."""
    stratify_by: str | None = None
    """Own pictures: a tag (species, camera); Test and Val are held out evenly over its values, label fractions are
    shared out by them. Left out: the rarest class that a picture holds, for label fractions alone."""
    tag_file: Path | None = None
    """Own pictures: a CSV of what else is known of them: a column file, then a column a tag."""
    channels: int | None = None
    """Own pictures: 1 (grey) or 3 (colour). Left out: what they have, 3 where they are mixed."""
    range: tuple[float, float] | None = None
    """Own pictures deeper than 8 bits: the values that become 0 and 255. Left out: the 0.1 and 99.9 percentile of them
    all, which the manifest then names."""
    ground: Literal["white", "black"] = "white"
    """Own pictures: what lies behind transparent ones."""
    val_ratio: float = 0.2
    """Share held out for validation, of what is not Test."""
    test_ratio: float = 0.2
    """Where no test set is official: share of all pictures held out for testing."""
    seed: int = 42
    """Which of the possible splits, and which drawings."""
    bad_masks: Literal["refuse", "leave_out"] = "refuse"
    """A mask that does not fit its image stops everything, or is reported and its image counts as unlabelled."""
    workers: int = 0
    """Threads; 0 takes as many as there are processors."""

    def __post_init__(self) -> None:
        for name in ("val_ratio", "test_ratio"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} {getattr(self, name)} is outside [0, 1): 0.2 holds out a fifth")
        if self.workers < 0:
            raise UserError(f"workers {self.workers} must be 0 (as many as processors) or more")
        if self.channels not in (None, 1, 3):
            raise UserError(f"channels {self.channels}: pictures are read with 1 (grey) or 3 (colour)")
        if self.folds and not (self.folds >= 2 and 0 <= self.fold < self.folds):
            raise UserError(f"fold {self.fold} of {self.folds}: --folds is 2 or more, --fold from 0 to below it")
        if self.fold and not self.folds:
            raise UserError(f"fold {self.fold} says nothing without --folds")
        if self.range and not (all(map(math.isfinite, self.range)) and self.range[0] < self.range[1]):
            raise UserError(f"range {self.range[0]} {self.range[1]}: the first must be below the second")

    def require_images(self) -> Path:
        """Return the folder of one's own pictures.

        Raises:
            UserError: it is not given. (Not part of construction: a config file may leave it to the flags.)
        """
        if self.images is None:
            raise UserError("your own pictures are needed: give --images DIR (and --masks DIR for masks)")
        return self.images

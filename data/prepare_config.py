"""The settings of `python -m data.prepare`."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.config import nearest
from core.errors import UserError
from core.sides import MAX_SIZE, sides_of
from data.geometry import ResizeMode
from data.sources.table import ALIASES, DATA_SETS

# What not every data set looks at; each row of the table names those that its own looks at.
SOURCE_SETTINGS = (
    *("archives", "download", "variant", "images", "masks", "classes", "mask_pattern", "ignore_value", "splits"),
    *("folds", "fold", "group_by", "stratify_by", "tag_file", "channels", "range", "ground", "num_images"),
    *("labelled_fraction", "val_ratio", "test_ratio"),
)


@dataclass(frozen=True)
class PrepareConfig:
    """What to prepare, from where, how large, and into which splits."""

    dataset: str = "oxford_pets"
    """oxford_pets, drawn_pets, folder (your own pictures), ...: --list_datasets shows all."""
    list_datasets: bool = False
    """Show the data sets, with their classes, splits, licences and citations, and end."""
    archives: Path | None = None
    """Public data sets: folder with the official archives, or with what is in them, in the official layout."""
    download: bool = False
    """Public data sets whose address is open: fetch the official archives into --raw_dir."""
    variant: str | None = None
    """Which of a data set's forms, where it has several: --list_datasets names them."""
    images: Path | None = None
    """folder: your pictures, in any subfolders."""
    masks: Path | None = None
    """folder: their masks where there are any: a folder, with the pictures' relative names or by --mask_pattern."""
    classes: tuple[str, ...] = ()
    """folder: names for the masks' values 0, 1, 2, ..., or a YAML file (`road: 1`, `car: [0, 0, 142]`,
    `ignore: [255]`, `background: 0`). Without it every value found becomes a class."""
    mask_pattern: str | None = None
    """folder: a mask's file name from its picture's, such as '{name}_mask.png'."""
    ignore_value: tuple[int, ...] = ()
    """folder: values of the masks that are neither learned nor scored."""
    splits: Path | None = None
    """folder: who belongs to which split: a JSON or CSV file, or a folder of train.txt, val.txt and test.txt."""
    folds: int = 0
    """folder: divide the labelled pictures into so many folds; --fold is Test, Val is drawn from the rest. 0: off."""
    fold: int = 0
    """folder: which of the folds is Test, from 0."""
    group_by: str | None = None
    """folder: a tag (patient, scene): pictures that share its value lie in one split."""
    stratify_by: str | None = None
    """folder: a tag (species, camera): Test and Val are held out evenly over its values, label fractions are shared out
    by them. Left out: the rarest class that a picture holds, for label fractions alone."""
    tag_file: Path | None = None
    """folder: a CSV of what else is known of the pictures: a column file, then a column a tag."""
    channels: int | None = None
    """folder: 1 (grey) or 3 (colour). Left out: what the pictures have, 3 where they are mixed."""
    range: tuple[float, float] | None = None
    """folder: of pictures deeper than 8 bits, the values that become 0 and 255. Left out: the 0.1 and 99.9 percentile
    of all pictures, which the manifest then names."""
    ground: Literal["white", "black"] = "white"
    """folder: what lies behind transparent pictures."""
    output_dir: Path = Path("data/processed")
    """Where the prepared data go."""
    raw_dir: Path = Path("data/raw")
    """Where archives are downloaded and unpacked."""
    size: int | str = 512
    """Pictures as training reads them, in pixels: 128 is a square, 360x480 is height x width."""
    resize_mode: ResizeMode = "letterbox"
    """Keep the aspect and add bars that are never scored, or stretch to the size."""
    val_ratio: float = 0.2
    """Share held out for validation, of what is not Test."""
    test_ratio: float = 0.2
    """Where no test set is official: share of all pictures held out for testing."""
    seed: int = 42
    """Which of the possible splits, and which drawings."""
    num_images: int = 600
    """Drawn data sets: how many pictures to draw."""
    labelled_fraction: float = 0.25
    """Drawn data sets: share of the pictures that get a mask."""
    bad_masks: Literal["refuse", "leave_out"] = "refuse"
    """A mask that does not fit its image stops everything, or is reported and its image counts as unlabelled."""
    workers: int = 0
    """Threads; 0 takes as many as there are processors."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "dataset", ALIASES.get(self.dataset, self.dataset))
        if self.dataset not in DATA_SETS:
            hint = nearest(self.dataset, [*DATA_SETS, *ALIASES])
            raise UserError(f"dataset {self.dataset!r} is unknown{hint}; there are {', '.join(DATA_SETS)}")
        for side in self.sides:
            if not 1 <= side <= MAX_SIZE:
                raise UserError(f"size {self.size} is outside 1 to {MAX_SIZE} pixels")
        for name in ("val_ratio", "test_ratio"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"{name} {getattr(self, name)} is outside [0, 1): 0.2 holds out a fifth")
        if not 0 <= self.labelled_fraction <= 1:
            raise UserError(f"labelled_fraction {self.labelled_fraction} is outside [0, 1]: 0.25 labels a quarter")
        if self.num_images < 1:
            raise UserError(f"num_images {self.num_images} must be 1 or more")
        if self.workers < 0:
            raise UserError(f"workers {self.workers} must be 0 (as many as processors) or more")
        self._check_reading()

    def _check_reading(self) -> None:
        if self.channels not in (None, 1, 3):
            raise UserError(f"channels {self.channels}: pictures are read with 1 (grey) or 3 (colour)")
        if self.folds and not (self.folds >= 2 and 0 <= self.fold < self.folds):
            raise UserError(f"fold {self.fold} of {self.folds}: --folds is 2 or more, --fold from 0 to below it")
        if self.fold and not self.folds:
            raise UserError(f"fold {self.fold} says nothing without --folds")
        if self.range and not (all(map(math.isfinite, self.range)) and self.range[0] < self.range[1]):
            raise UserError(f"range {self.range[0]} {self.range[1]}: the first must be below the second")

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the pictures as training reads them."""
        return sides_of(self.size)

    def check_source(self) -> None:
        """See that the data set has its source, and nothing that it would not look at.

        Raises:
            UserError: otherwise. (Not part of construction: a config file may leave the source to the flags.)
        """
        row = DATA_SETS[self.dataset]
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        for name in SOURCE_SETTINGS:
            if name not in row.settings and getattr(self, name) != defaults[name]:
                raise UserError(f"--{name} has no meaning for --dataset {self.dataset}")
        if "archives" in row.settings and bool(self.archives) == self.download:
            either = "either --archives DIR or --download" if "download" in row.settings else "--archives DIR"
            raise UserError(f"{self.dataset} needs its archives: give {either}")
        if self.variant is not None and self.variant not in row.variants:
            raise UserError(f"variant {self.variant!r}: --dataset {self.dataset} comes as {', '.join(row.variants)}")
        if "images" in row.settings and self.images is None:
            raise UserError("--dataset folder needs your pictures: give --images DIR (and --masks DIR for masks)")

    def settings(self) -> dict[str, Any]:
        """What decides the prepared data, as the manifest states it; two calls with equal settings want the same."""
        row = DATA_SETS[self.dataset]
        source = {name: _plain(getattr(self, name)) for name in SOURCE_SETTINGS if name in row.settings}
        if row.variants:  # the first is the default, named or not
            source["variant"] = self.variant or row.variants[0]
        ratios = {
            name.removesuffix("_ratio"): source.pop(name) for name in ("val_ratio", "test_ratio") if name in source
        }
        return {
            "dataset": self.dataset,
            "source": source,
            "size": list(self.sides),
            "resize_mode": self.resize_mode,
            "seed": self.seed,
            "ratios": ratios,
        }

    def source_defaults(self) -> dict[str, Any]:
        """Return what `settings` states as the source where nothing of it is given."""
        row = DATA_SETS[self.dataset]
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        return {
            name: _plain(defaults[name])
            for name in SOURCE_SETTINGS
            if name in row.settings and not name.endswith("_ratio")
        }


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value.resolve())
    return list(value) if isinstance(value, tuple) else value

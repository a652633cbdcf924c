"""The settings of `python -m data.prepare`."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from core.errors import UserError
from core.filing.kinds import PREPARED
from core.filing.paths import real
from core.filing.words import nearest
from core.sides import MAX_SIZE, sides_of
from data.geometry import ResizeMode
from data.preprocessing.pipeline import Preprocessing
from data.sources.own.config import ReadingConfig
from data.sources.table import ALIASES, DATA_SETS
from data.volumes.config import VolumeConfig

# What not every data set looks at; each row of the table names those that its own looks at.
SOURCE_SETTINGS = (
    *("archives", "download", "variant", "images", "masks", "classes", "mask_pattern", "ignore_value", "splits"),
    *("folds", "fold", "group_by", "stratify_by", "tag_file", "channels", "range", "ground", "num_images"),
    *("labelled_fraction", "val_ratio", "test_ratio", "spacing", "intensity", "trust_shapes"),
)

FOLDS = ("folds", "fold", "group_by")  # what any data set can be divided by


@dataclass(frozen=True)
class DataSetConfig:
    """Which data set, and where a public one comes from."""

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


@dataclass(frozen=True)
class PrepareConfig(VolumeConfig, ReadingConfig, DataSetConfig):
    """What to prepare, from where, how large, and into which splits; settings of one's own pictures go with folder."""

    goes_on: ClassVar[bool] = True  # when the same command is given again
    writes: ClassVar[dict[str, str]] = {"output_dir": PREPARED}

    output_dir: Path = Path("data/processed")
    """Where the prepared data go."""
    raw_dir: Path = Path("data/raw")
    """Where archives are downloaded and unpacked."""
    size: int | str = 512
    """Pictures as training reads them, in pixels: 128 is a square, 360x480 is height x width."""
    resize_mode: ResizeMode = "letterbox"
    """Keep the aspect and add bars that are never scored, or stretch to the size."""
    copies: Literal["report", "leave_out"] = "report"
    """Pictures that lie in two splits of an official division, or of yours, to the pixel or nearly (the report lists
    them): tell them alone, or leave out those of the earlier split, so that nothing of Val or Test is learned from.
    What is divided here has none."""
    preprocess: str | None = None
    """What is done to intensities first, in this order, here and wherever the trained weights read a picture: `green`
    (the green channel alone), `clahe:2/8` (local contrast: clip limit / tiles a side; of colours their lightness), and
    what becomes 0 and 255: `window:40/400` (centre / width, in the file's values), `percentile:0.5/99.5` and `zscore`
    (4 deviations to either side of the mean) of each picture. Of a picture deeper than 8 bits the first of these three
    takes the values as they are stored, instead of --range."""
    num_images: int = 600
    """Drawn data sets: how many pictures to draw."""
    labelled_fraction: float = 0.25
    """Drawn data sets: share of the pictures that get a mask."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "dataset", ALIASES.get(self.dataset, self.dataset))
        if self.dataset not in DATA_SETS:
            hint = nearest(self.dataset, [*DATA_SETS, *ALIASES])
            raise UserError(f"dataset {self.dataset!r} is unknown{hint}; there are {', '.join(DATA_SETS)}")
        for side in self.sides:
            if not 1 <= side <= MAX_SIZE:
                raise UserError(f"size {self.size} is outside 1 to {MAX_SIZE} pixels")
        ReadingConfig.__post_init__(self)
        if self.preprocess is not None:
            object.__setattr__(self, "preprocess", str(self.preprocessing))
        if self.range and self.preprocessing.of_depth:
            raise UserError(f"--range and --preprocess {self.preprocess} both say what becomes 0 and 255: give one")
        VolumeConfig.__post_init__(self)
        if not 0 <= self.labelled_fraction <= 1:
            raise UserError(f"labelled_fraction {self.labelled_fraction} is outside [0, 1]: 0.25 labels a quarter")
        if self.num_images < 1:
            raise UserError(f"num_images {self.num_images} must be 1 or more")

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width of the pictures as training reads them."""
        return sides_of(self.size)

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to intensities."""
        return Preprocessing.of(self.preprocess)

    def check_source(self) -> None:
        """See that the data set has its source, and nothing that it would not look at.

        Raises:
            UserError: otherwise. (Not part of construction: a config file may leave the source to the flags.)
        """
        row = DATA_SETS[self.dataset]
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        for name in SOURCE_SETTINGS:
            if name not in self._source_settings and getattr(self, name) != defaults[name]:
                raise UserError(f"--{name} has no meaning for --dataset {self.dataset}")
        if row.dims == 3 and (self.size, self.resize_mode) != (defaults["size"], defaults["resize_mode"]):
            raise UserError("--size and --resize_mode are of pictures: volumes keep their shapes, or give --spacing")
        if row.dims == 3 and self.preprocess is not None:
            raise UserError("--preprocess is of pictures: give volumes --intensity ct, mr or window:40/400")
        if "archives" in row.settings and bool(self.archives) == self.download:
            either = "either --archives DIR or --download" if "download" in row.settings else "--archives DIR"
            raise UserError(f"{self.dataset} needs its archives: give {either}")
        if self.variant is not None and self.variant not in row.variants:
            raise UserError(f"variant {self.variant!r}: --dataset {self.dataset} comes as {', '.join(row.variants)}")
        if "images" in row.settings:
            self.require_images()

    @property
    def _source_settings(self) -> tuple[str, ...]:
        """What the data set looks at; folds of a public one only where they are asked for."""
        return (*DATA_SETS[self.dataset].settings, *(FOLDS if self.folds else ()))

    def settings(self) -> dict[str, Any]:
        """What decides the prepared data, as the manifest states it; two calls with equal settings want the same."""
        row = DATA_SETS[self.dataset]
        source = {name: _plain(getattr(self, name)) for name in SOURCE_SETTINGS if name in self._source_settings}
        if row.variants:  # the first is the default, named or not
            source["variant"] = self.variant or row.variants[0]
        ratios = {
            name.removesuffix("_ratio"): source.pop(name) for name in ("val_ratio", "test_ratio") if name in source
        }
        how: dict[str, Any] = {"size": list(self.sides), "resize_mode": self.resize_mode}
        if row.dims == 3:
            how = {"resize_mode": "own"}
        steps = {} if self.preprocess is None else {"preprocess": self.preprocess}
        if self.copies != "report":
            steps["copies"] = self.copies
        return {"dataset": self.dataset, "source": source, **how, "seed": self.seed, "ratios": ratios, **steps}

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
        return str(real(value))
    return list(value) if isinstance(value, tuple) else value

"""The settings of `python -m data.prepare`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.errors import UserError
from data.geometry import ResizeMode

MAX_SIZE = 8192


@dataclass(frozen=True)
class PrepareConfig:
    """What to prepare, from where, how large, and into which splits."""

    dataset: Literal["oxford_pets", "synthetic", "folder"] = "oxford_pets"
    """Oxford-IIIT Pet, the embedded drawings, or a folder of your own pictures."""
    archives: Path | None = None
    """oxford_pets: folder with images.tar.gz and annotations.tar.gz, or with images/ and annotations/ unpacked."""
    download: bool = False
    """oxford_pets: fetch the official archives into --raw_dir (about 800 MB)."""
    images: Path | None = None
    """folder: your pictures, in any subfolders."""
    masks: Path | None = None
    """folder: their masks where there are any, PNG of 0 background, 1 cat, 2 dog, 255 ignored, same relative names."""
    output_dir: Path = Path("data/processed")
    """Where the prepared data go."""
    raw_dir: Path = Path("data/raw")
    """Where archives are downloaded and unpacked."""
    size: int = 512
    """Side of the square pictures that training reads, in pixels."""
    resize_mode: ResizeMode = "letterbox"
    """Keep the aspect and add bars that are never scored, or stretch to the square."""
    val_ratio: float = 0.2
    """Share held out for validation: of the official trainval list, or of what --test_ratio leaves."""
    test_ratio: float = 0.2
    """folder and synthetic: share of all pictures held out for testing. (Oxford's test list is official.)"""
    seed: int = 42
    """Which of the possible splits, and which synthetic drawings."""
    num_images: int = 600
    """synthetic: how many pictures to draw."""
    labelled_fraction: float = 0.25
    """synthetic: share of the pictures that get a mask."""
    bad_masks: Literal["refuse", "leave_out"] = "refuse"
    """A mask that does not fit its image stops everything, or is reported and its image counts as unlabelled."""
    workers: int = 0
    """Threads; 0 takes as many as there are processors."""

    def __post_init__(self) -> None:
        if not 1 <= self.size <= MAX_SIZE:
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

    def check_source(self) -> None:
        """See that the data set has its source, and nothing that it would not look at.

        Raises:
            UserError: otherwise. (Not part of construction: a config file may leave the source to the flags.)
        """
        if self.dataset == "synthetic":
            from data.sources.drawn_pets.drawings import MIN_SIZE  # here, so that `--help` need not load OpenCV

            if self.size < MIN_SIZE:
                raise UserError(f"size {self.size} is too small to draw an animal: give --size {MIN_SIZE} or more")
        allowed = {"oxford_pets": ("archives", "download"), "folder": ("images", "masks"), "synthetic": ()}
        for name in ("archives", "download", "images", "masks"):
            if getattr(self, name) and name not in allowed[self.dataset]:
                raise UserError(f"--{name} has no meaning for --dataset {self.dataset}")
        if self.dataset == "oxford_pets" and bool(self.archives) == self.download:
            raise UserError("oxford_pets needs its archives: give either --archives DIR or --download")
        if self.dataset == "folder" and self.images is None:
            raise UserError("--dataset folder needs your pictures: give --images DIR (and --masks DIR for masks)")

    def settings(self) -> dict[str, Any]:
        """What decides the prepared data, as the manifest states it; two calls with equal settings want the same."""
        sources = {
            "oxford_pets": {"download": True} if self.download else {"archives": _full(self.archives)},
            "folder": {"images": _full(self.images), "masks": _full(self.masks)},
            "synthetic": {"num_images": self.num_images, "labelled_fraction": self.labelled_fraction},
        }
        official = self.dataset == "oxford_pets"
        return {
            "dataset": self.dataset,
            "source": sources[self.dataset],
            "size": self.size,
            "resize_mode": self.resize_mode,
            "seed": self.seed,
            "ratios": {"val": self.val_ratio} | ({} if official else {"test": self.test_ratio}),
        }


def _full(path: Path | None) -> str | None:
    return str(path.resolve()) if path else None

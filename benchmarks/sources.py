"""Data for the benchmarks: drawn pictures in our own folder, the same as JPEG and PNG files, and a trained network.

An untrained one would flatter or spoil what goes by its predictions: scores, and agreement between backends.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from core.classes import IGNORED
from data.opened import open_data
from data.prepare import prepare
from data.prepare_config import PrepareConfig
from data.sources.drawn_pets.drawings import catalogue, draw
from data.sources.oxford_pets import CLASSES
from data.split import Split
from data.trimaps import trimap_to_label
from transfer_learning.config import SegmentationConfig
from transfer_learning.train import train

QUALITY = 90
# Height and width of originals: what is common in Oxford-IIIT Pet, whose median is 500 x 375.
ORIGINAL_SIDES = ((375, 500), (500, 375), (333, 500), (500, 333), (375, 500), (500, 500), (225, 300), (400, 600))
CELLS = 12  # regions of a picture with many classes


@dataclass(frozen=True)
class Photographs:
    """Pictures at real original sizes: as files (`images/*.jpg`, `masks/*.png`), and prepared."""

    files: Path
    data_dir: Path

    def of_split(self, split: str) -> list[Path]:
        """Return the picture files of a split, in its order."""
        opened = pictures_of(self.data_dir, split)
        return [self.files / "images" / f"{opened.names[index]}.jpg" for index in opened.labelled]


def prepared(folder: Path, size: int, images: int, labelled_fraction: float = 1.0) -> Path:
    """Draw a data set of so many pictures at `size` px into `folder` (once), half of them for training."""
    target = folder / f"synthetic-{size}-{images}-{labelled_fraction:g}"
    drawn = PrepareConfig(dataset="synthetic", num_images=images, labelled_fraction=labelled_fraction, seed=0)
    prepare(replace(drawn, output_dir=target, size=size, val_ratio=0.2, test_ratio=0.2))
    return target


def photographs(folder: Path, size: int, images: int, classes: int | None = None) -> Photographs:
    """Draw pictures with the sides of photographs into `folder` and prepare them at `size` px, both once.

    The classes are those of drawn pets; with a number, regions of so many.
    """
    files = folder / f"photographs-{classes or 'pets'}-{images}"
    if not files.exists():
        _write(files, ((name, *_photograph(index, classes)) for index, name in enumerate(_names(images))))
    names = tuple(f"class {number}" for number in range(classes)) if classes else CLASSES.names
    data_dir = folder / f"{files.name}-{size}"
    pictures, masks = files / "images", files / "masks"
    config = PrepareConfig(dataset="folder", images=pictures, masks=masks, classes=names, ignore_value=(IGNORED,))
    prepare(replace(config, output_dir=data_dir, size=size, seed=0))
    return Photographs(files, data_dir)


def _names(images: int) -> list[str]:
    return [drawing.name for drawing in catalogue(images, 0, 1.0)]


def _photograph(index: int, classes: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture [H, W, 3] uint8 and its label [H, W] uint8."""
    height, width = ORIGINAL_SIDES[index % len(ORIGINAL_SIDES)]
    side = max(height, width)
    drawn = draw(0, index, side)
    top, left = (side - height) // 2, (side - width) // 2
    window = np.s_[top : top + height, left : left + width]
    if classes:
        return drawn.image[window], _regions(index, height, width, classes)
    return drawn.image[window], trimap_to_label(drawn.trimap, CLASSES.names.index(drawn.species))[window]


def _regions(index: int, height: int, width: int, classes: int) -> np.ndarray:
    """Return a label [H, W] uint8 of a few regions, each of the places nearest to a point: scenes in the rough.

    The classes take turns, so that a few pictures hold all.
    """
    rng = np.random.default_rng((0, index))
    points = rng.uniform((0, 0), (height, width), (CELLS, 2))
    rows, columns = np.indices((height, width))
    distances = [(rows - row) ** 2 + (columns - column) ** 2 for row, column in points]
    held = (index * CELLS + np.arange(CELLS)) % classes
    return held.astype(np.uint8)[np.argmin(distances, axis=0)]


def trained(folder: Path, data_dir: Path, steps: int, *, width: int, batch_size: int) -> Path:
    """Train phase 2 in fp32 for so many steps, once; a training that was stopped goes on. Returns the weights.

    Args:
        folder: of the run; the settings are part of its name.
        data_dir: prepared data.
        steps: of the optimiser.
        width: of the network.
        batch_size: pictures a step.
    """
    run = folder / f"trained-{data_dir.name}-{width}-{batch_size}-{steps}"
    weights = run / "best_model.safetensors"
    config = SegmentationConfig(
        data_dir=data_dir, output_dir=run, max_steps=steps, val_every=steps, width=width, batch_size=batch_size
    )
    if not weights.exists():
        train(replace(config, device="cpu", amp="off", optimizer="adamw", momentum=0.0, lr=0.001))
    return weights


def pictures_of(data_dir: Path, split: str) -> Split:
    """Open a split of prepared pictures."""
    opened = open_data(data_dir).split(split)
    assert isinstance(opened, Split)  # these data sets hold no volumes
    return opened


def exported(data_dir: Path, split: str, folder: Path) -> Path:
    """Write a split's pictures as JPEG and its masks as PNG of the same names (once)."""
    if not folder.exists():
        opened = pictures_of(data_dir, split)
        rows = opened.label_rows
        _write(folder, ((opened.names[i], opened.images[i], opened.labels[rows[i]]) for i in opened.labelled))
    return folder


def _write(folder: Path, pictures: Iterable[tuple[str, np.ndarray, np.ndarray]]) -> None:
    partial = folder.with_name(f".{folder.name}.partial")
    for kind in ("images", "masks"):
        (partial / kind).mkdir(parents=True, exist_ok=True)
    for name, picture, label in pictures:
        colours = np.ascontiguousarray(picture[..., ::-1])
        cv2.imwrite(str(partial / "images" / f"{name}.jpg"), colours, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        cv2.imwrite(str(partial / "masks" / f"{name}.png"), label)
    partial.rename(folder)

"""DRIVE: vessels of the retina. `training` and `test`, each with `images`, `1st_manual` and `mask` (the field of view).

Staal et al., "Ridge-based vessel segmentation in color images of the retina", TMI 2004. What lies outside the field of
view is ignored. The official test is Test (masks of the first observer, which the site no longer hands out); Val is
drawn from training. Files are matched by the number that their names begin with: `21_training.tif`, `21_manual1.gif`.
"""

from pathlib import Path

import numpy as np

from core.classes import IGNORED, ClassSet
from core.errors import UserError
from data.pictures import PictureError
from data.prepare_config import PrepareConfig
from data.sources.fetching.official import Official
from data.sources.layout.codes import read_grey
from data.sources.layout.listed import files_by_name, listed_source
from data.sources.layout.lists import divide, folder_lists
from data.sources.source import Source

CLASSES = ClassSet(("background", "vessel"))
THRESHOLD = 127  # masks of copies hold 3 and 253 too
ARCHIVES = ("training.zip", "test.zip", "DRIVE.zip")
PARTS = {"training": "Train", "test": "Test"}


def read(config: PrepareConfig) -> Source:
    """List the pictures; one without a mask of the first observer is unlabelled.

    Raises:
        UserError: a folder is missing, or a labelled picture lacks its field of view.
    """
    official = Official(config, ARCHIVES)
    images: dict[str, Path] = {}
    masks: dict[str, tuple[Path, Path]] = {}
    splits: dict[str, str] = {}
    for part, split in PARTS.items():
        folder = official.require(f"{part}/images") / part
        found, manual, view = (_by_number(folder / name) for name in ("images", "1st_manual", "mask"))
        for number, path in found.items():
            images[path.stem], splits[path.stem] = path, split
            if number in manual and number not in view:
                raise UserError(f"{folder / 'mask'} has no field of view for {path.name}: scores are taken inside it")
            if number in manual:
                masks[path.stem] = (manual[number], view[number])
    splits, notes, drawn = divide(config, splits, folder_lists((official.folder, folder.parent), images), masks)
    return listed_source(
        folder.parent,
        splits,
        images,
        masks,
        read_label,
        CLASSES,
        drawn=drawn,
        details=official.details,
        notes=notes,
    )


def read_label(manual: Path, view: Path) -> np.ndarray:
    """Read the vessels as a label [H, W] uint8, 255 outside the field of view.

    Raises:
        PictureError: a file cannot be read, or the two differ in size.
    """
    vessels, inside = read_grey(manual), read_grey(view)
    if vessels.shape != inside.shape:
        (height, width), (other_height, other_width) = vessels.shape, inside.shape
        raise PictureError(f"{width} x {height} pixels, its field of view has {other_width} x {other_height}")
    return np.where(inside > THRESHOLD, vessels > THRESHOLD, IGNORED).astype(np.uint8)


def _by_number(folder: Path) -> dict[str, Path]:
    return {name.partition("_")[0]: path for name, path in files_by_name([folder]).items()}

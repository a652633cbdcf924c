"""Cityscapes: `leftImg8bit/PART/CITY/*_leftImg8bit.png` and `gtFine/PART/CITY/*_gtFine_labelIds.png`, 19 classes.

Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding", CVPR 2016. Of the 34 ids of
the masks 19 are classes (the train ids), the others are ignored; no class is a background. The labels of the test part
are not public, so the official val is Test, and Val is drawn from train by whole cities.
"""

from pathlib import Path

from core.classes import IGNORED, RGB, ClassSet
from data.prepare_config import PrepareConfig
from data.sources.fetching.official import Official
from data.sources.layout.codes import Codes
from data.sources.layout.listed import files_by_name, listed_source
from data.sources.layout.lists import divide, folder_lists
from data.sources.source import Source

# Name, id in the masks, colour: in the order of the train ids.
TRAIN_IDS: tuple[tuple[str, int, RGB], ...] = (
    ("road", 7, (128, 64, 128)),
    ("sidewalk", 8, (244, 35, 232)),
    ("building", 11, (70, 70, 70)),
    ("wall", 12, (102, 102, 156)),
    ("fence", 13, (190, 153, 153)),
    ("pole", 17, (153, 153, 153)),
    ("traffic light", 19, (250, 170, 30)),
    ("traffic sign", 20, (220, 220, 0)),
    ("vegetation", 21, (107, 142, 35)),
    ("terrain", 22, (152, 251, 152)),
    ("sky", 23, (70, 130, 180)),
    ("person", 24, (220, 20, 60)),
    ("rider", 25, (255, 0, 0)),
    ("car", 26, (0, 0, 142)),
    ("truck", 27, (0, 0, 70)),
    ("bus", 28, (0, 60, 100)),
    ("train", 31, (0, 80, 100)),
    ("motorcycle", 32, (0, 0, 230)),
    ("bicycle", 33, (119, 11, 32)),
)
LAST_ID = 33
CLASSES = ClassSet(
    tuple(name for name, _, _ in TRAIN_IDS), background=None, colours=tuple(colour for _, _, colour in TRAIN_IDS)
)
CODES = Codes(
    dict.fromkeys(range(LAST_ID + 1), IGNORED) | {number: label for label, (_, number, _) in enumerate(TRAIN_IDS)}
)
ARCHIVES = ("leftImg8bit_trainvaltest.zip", "gtFine_trainvaltest.zip")
# Pictures without fine masks serve phase 1.
PARTS = {"train": "Train", "train_extra": "Train", "val": "Test"}
_IMAGE, _MASK = "_leftImg8bit", "_gtFine_labelIds"


def read(config: PrepareConfig) -> Source:
    """List the pictures.

    Raises:
        UserError: a folder is missing, or there are no pictures.
    """
    official = Official(config, ARCHIVES)
    pictures = official.require("leftImg8bit") / "leftImg8bit"
    fine = official.require("gtFine") / "gtFine"
    images: dict[str, Path] = {}
    masks: dict[str, tuple[Path]] = {}
    splits: dict[str, str] = {}
    cities: dict[str, str] = {}
    for part, split in PARTS.items():
        for city in _cities(pictures / part):
            found = files_by_name([city], _IMAGE)
            images |= found
            splits |= dict.fromkeys(found, split)
            cities |= dict.fromkeys(found, city.name)
        masks |= {name: (path,) for name, path in files_by_name(_cities(fine / part), _MASK).items()}
    test = pictures / "test"
    splits, notes, drawn = divide(
        config, splits, folder_lists((official.folder, pictures.parent), images), masks, cities
    )
    return listed_source(
        pictures.parent,
        splits,
        images,
        masks,
        CODES.read,
        CLASSES,
        {name: {"city": city} for name, city in cities.items()},
        group="city",
        passed_over=[(test, "the labels of the test part are not public")] if test.is_dir() else [],
        drawn=drawn,
        details=official.details,
        notes=notes,
    )


def _cities(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []

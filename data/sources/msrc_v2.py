"""MSRC-v2: pictures of everyday scenes with 23 classes; 21 are scored commonly, horse and mountain being rare.

Shotton, Winn, Rother, Criminisi, "TextonBoost", ECCV 2006; masks of Malisiewicz & Efros, "Improving Spatial Support for
Objects via Multiple Segmentations", BMVC 2007, are read alike. `Images` and `GroundTruth/*_GT`, or `images` and
`targets/*_GT` (the exercise of TU Munich); masks are colours, or indices of a palette in the same order. Void (-1 in
the exercise) is ignored. No class is a background. Lists in the folder win; without them TextonBoost's are used.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from core.classes import IGNORED, RGB, ClassSet
from data.prepare_config import PrepareConfig
from data.sources.fetching.official import Official
from data.sources.layout.codes import Codes
from data.sources.layout.listed import files_by_name, listed_source
from data.sources.layout.lists import divide, folder_lists
from data.sources.source import Source

COLOURS: dict[str, RGB] = {
    "building": (128, 0, 0),
    "grass": (0, 128, 0),
    "tree": (128, 128, 0),
    "cow": (0, 0, 128),
    "horse": (128, 0, 128),
    "sheep": (0, 128, 128),
    "sky": (128, 128, 128),
    "mountain": (64, 0, 0),
    "aeroplane": (192, 0, 0),
    "water": (64, 128, 0),
    "face": (192, 128, 0),
    "car": (64, 0, 128),
    "bicycle": (192, 0, 128),
    "flower": (64, 128, 128),
    "sign": (192, 128, 128),
    "bird": (0, 64, 0),
    "book": (128, 64, 0),
    "chair": (0, 192, 0),
    "road": (128, 64, 128),
    "cat": (0, 192, 128),
    "dog": (128, 192, 128),
    "body": (64, 64, 0),
    "boat": (192, 64, 0),
}
VOID: RGB = (0, 0, 0)
RARE = ("horse", "mountain")
ARCHIVES = ("msrc_objcategimagedatabase_v2.zip", "segmentation_data.zip")
# TextonBoost's lists: of each of the 20 kinds of scene (1_9_s is picture 9 of kind 1) those of train, then those of
# val. All others are Test.
TRAIN = (
    *("4 5 6 7 8 10 11 15 17 19 20 21 22 29", "1 3 4 5 6 9 12 13 15 19 20 21 23 24"),
    *("1 2 3 4 10 11 14 15 17 19 21 24 25 27", "2 4 5 6 7 8 9 12 14 17 18 21 25 29"),
    *("1 6 8 9 15 16 18 20 21 22 24 25 26 29", "1 4 6 8 9 14 17 18 20 23 26 27 28 29"),
    *("1 2 4 6 8 9 11 16 17 18 19 20 27 28", "1 3 5 9 12 13 14 16 21 23 25 26 28 30"),
    *("4 6 10 11 12 14 16 21 22 23 27 28 29 30", "5 6 8 9 10 11 13 14 15 20 21 24 27 30 32"),
    *("1 2 10 11 12 16 20 22 23 24 26 27 29 30", "1 3 4 6 10 11 15 17 18 21 22 24 28 29 32 34"),
    *("3 5 10 12 13 14 15 16 18 19 24 26 28 29", "1 2 3 8 11 12 19 22 23 25 26 27 29 30"),
    *("4 10 11 12 14 16 17 18 20 21 24", "3 7 9 11 15 17 18 19 21 22 25 26 28 30"),
    *("1 2 7 9 10 11 13 14 16 18 20 21 22 29", "2 4 8 9 11 13 15 16 17 18 19 22 25 27"),
    *("2 4 5 6 10 11 14 17 18 19 21 25 26 27", "3 4 5 7 10 11 12 13 18 21"),
)
VAL = (
    *("2 25 28", "2 11 27", "6 23 28", "11 19 22", "5 7 30", "19 21 30", "13 24 30", "7 15 20", "8 15 25", "19 23 26"),
    *("17 21 28", "5 20 25", "6 23 30", "4 7 24", "8 9 15", "2 20 29", "3 24 27", "1 10 14", "1 9 22", "15 19"),
)


def classes_of(variant: str | None) -> ClassSet:
    """Return the 23 classes, or the 21 without the rare ones."""
    left = {name: colour for name, colour in COLOURS.items() if variant != "21" or name not in RARE}
    return ClassSet(tuple(left), background=None, colours=tuple(left.values()))


def codes_of(classes: ClassSet) -> Codes:
    """Return what masks mean: classes of the set, everything else ignored."""
    labels = [classes.names.index(name) if name in classes.names else IGNORED for name in COLOURS]
    values = dict(enumerate([IGNORED, *labels]))
    return Codes(values, {VOID: IGNORED, **dict(zip(COLOURS.values(), labels, strict=True))})


def read(config: PrepareConfig) -> Source:
    """List the pictures.

    Raises:
        UserError: a folder is missing, or a list is malformed.
    """
    official = Official(config, ARCHIVES)
    base, folders = _folders(official)
    classes = classes_of(config.variant)
    images = files_by_name([base / folders[0]])
    masks = {name: (path,) for name, path in files_by_name([base / folders[1]], "_GT").items()}
    lists = folder_lists((official.folder, base), images, published=base)
    splits, notes, drawn = divide(config, published_splits(images), lists, masks)
    return listed_source(
        base, splits, images, masks, codes_of(classes).read, classes, drawn=drawn, details=official.details, notes=notes
    )


def published_splits(names: Iterable[str]) -> dict[str, str]:
    """Return the splits of TextonBoost for those of the names that are of the form 1_9_s."""
    train, val = (
        {f"{kind}_{number}_s" for kind, numbers in enumerate(lists, start=1) for number in numbers.split()}
        for lists in (TRAIN, VAL)
    )
    ours = (name for name in names if re.fullmatch(r"\d+_\d+_s", name))
    return {name: "Train" if name in train else "Val" if name in val else "Test" for name in ours}


def _folders(official: Official) -> tuple[Path, tuple[str, str]]:
    exercise = ("images", "targets")
    base = official.find(*exercise)
    if base is not None:
        return base, exercise
    names = ("Images", "GroundTruth")
    return official.require(*names), names

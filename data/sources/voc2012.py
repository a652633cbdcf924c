"""PASCAL VOC 2012, segmentation: `JPEGImages`, `SegmentationClass`, `ImageSets/Segmentation/{train,val}.txt`.

Everingham et al., "The Pascal Visual Object Classes (VOC) Challenge", IJCV 2010. The labels of the test part are not
public, so the official val list is Test and Val is drawn from train. The variant `aug` also trains on the masks of
Hariharan et al., "Semantic Contours from Inverse Detectors", ICCV 2011 (`SegmentationClassAug`). Masks have a palette;
255 is both the border of objects and what is hard to tell: ignored.
"""

from pathlib import Path

from core.classes import IGNORED, ClassSet, voc_colour
from core.errors import UserError
from data.prepare_config import PrepareConfig
from data.sources.fetching.download import Download
from data.sources.fetching.official import Official
from data.sources.layout.codes import Codes
from data.sources.layout.listed import files_by_name, listed_source, read_names
from data.sources.layout.lists import divide, folder_lists
from data.sources.source import Source

NAMES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
CLASSES = ClassSet(NAMES, colours=tuple(map(voc_colour, range(len(NAMES)))))
BORDER_COLOUR = (224, 224, 192)
CODES = Codes(
    {**{label: label for label in range(len(NAMES))}, IGNORED: IGNORED},
    {**{colour: label for label, colour in enumerate(CLASSES.palette)}, BORDER_COLOUR: IGNORED},
)
DOWNLOADS = (
    Download(
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar", "6cd6e144f989b92b3379bac3b3de84fd"
    ),
)
ARCHIVES = (DOWNLOADS[0].name, "SegmentationClassAug.zip")
_LISTS = "ImageSets/Segmentation"


def read(config: PrepareConfig) -> Source:
    """List the pictures; those without a mask are unlabelled and belong to Train, unless the val list names them.

    Raises:
        UserError: a folder or a list is missing or malformed.
    """
    official = Official(config, ARCHIVES, DOWNLOADS)
    base = official.require("JPEGImages", "SegmentationClass", _LISTS)
    images, masks = (files_by_name([base / folder]) for folder in ("JPEGImages", "SegmentationClass"))
    train, val = read_lists(base / _LISTS)
    if config.variant == "aug":
        more = files_by_name([official.require("SegmentationClassAug") / "SegmentationClassAug"])
        train |= _augmented(base / _LISTS, more, val)
        masks = more | masks  # where both have one, the official mask
    own = dict.fromkeys(train, "Train") | dict.fromkeys(val, "Test")
    splits, notes, drawn = divide(config, own, folder_lists((official.folder, base), images), masks)
    splits |= dict.fromkeys(images.keys() - masks.keys() - own.keys() - splits.keys(), "Train")
    return listed_source(
        base,
        splits,
        images,
        {name: (path,) for name, path in masks.items() if name in splits or name not in images},
        CODES.read,
        CLASSES,
        passed_over=[(masks[name], "in no list") for name in (masks.keys() & images.keys()) - splits.keys()],
        drawn=drawn,
        details=official.details,
        notes=notes,
    )


def read_lists(folder: Path) -> tuple[set[str], set[str]]:
    """Return the names of train (or of trainval without those of val) and those of val.

    Raises:
        UserError: a list is missing or malformed, or a name stands in train and in val.
    """
    val = set(read_names(folder / "val.txt"))
    if (folder / "train.txt").is_file() or not (folder / "trainval.txt").is_file():
        train = set(read_names(folder / "train.txt"))
    else:
        train = set(read_names(folder / "trainval.txt")) - val
    if both := sorted(train & val):
        raise UserError(f"{folder}: {both[0]} stands in train.txt and in val.txt: use the official lists")
    return train, val


def _augmented(lists: Path, masks: dict[str, Path], val: set[str]) -> set[str]:
    """Names of the list of the larger training set; without it, of every further mask that is not of val."""
    present = (lists / file for file in ("train_aug.txt", "trainaug.txt") if (lists / file).is_file())
    path = next(present, None)
    return (set(read_names(path)) if path else set(masks)) - val

"""CamVid, driving through Cambridge: SegNet's 11 classes (variant `11`) or the original's colours (variant `32`).

Brostow, Fauqueur, Cipolla, "Semantic Object Classes in Video", Pattern Recognition Letters 2009; Badrinarayanan,
Kendall, Cipolla, "SegNet", PAMI 2017. `11`: `train`, `trainannot` and so on with `train.txt`, `val.txt`, `test.txt`,
whose lines name files below another folder. `32`: 701 pictures with `*_L.png` in colours, or fast.ai's form (`images`,
`labels/*_P.png`, `codes.txt`); Void is ignored, which leaves 31 classes. No class is a background.
"""

from collections.abc import Iterable
from pathlib import Path

from core.classes import IGNORED, RGB, ClassSet
from core.errors import UserError
from core.files import read_text
from data.prepare_config import PrepareConfig
from data.sources.fetching.official import Official
from data.sources.layout.codes import Codes
from data.sources.layout.listed import SPLIT_LISTS, files_by_name, listed_source
from data.sources.layout.lists import divide, folder_lists
from data.sources.source import Source

ARCHIVES = {  # of each variant
    "11": ("CamVid.zip", "camvid.zip"),
    "32": ("701_StillsRaw_full.zip", "LabeledApproved_full.zip", "camvid.tgz"),
}
ELEVEN: dict[str, RGB] = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (60, 40, 222),
    "tree": (128, 128, 0),
    "sign symbol": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}
VOID = "Void"
THIRTY_TWO: dict[str, RGB] = {
    "Animal": (64, 128, 64),
    "Archway": (192, 0, 128),
    "Bicyclist": (0, 128, 192),
    "Bridge": (0, 128, 64),
    "Building": (128, 0, 0),
    "Car": (64, 0, 128),
    "CartLuggagePram": (64, 0, 192),
    "Child": (192, 128, 64),
    "Column_Pole": (192, 192, 128),
    "Fence": (64, 64, 128),
    "LaneMkgsDriv": (128, 0, 192),
    "LaneMkgsNonDriv": (192, 0, 64),
    "Misc_Text": (128, 128, 64),
    "MotorcycleScooter": (192, 0, 192),
    "OtherMoving": (128, 64, 64),
    "ParkingBlock": (64, 192, 128),
    "Pedestrian": (64, 64, 0),
    "Road": (128, 64, 128),
    "RoadShoulder": (128, 128, 192),
    "Sidewalk": (0, 0, 192),
    "SignSymbol": (192, 128, 128),
    "Sky": (128, 128, 128),
    "SUVPickupTruck": (64, 128, 192),
    "TrafficCone": (0, 0, 64),
    "TrafficLight": (0, 64, 64),
    "Train": (192, 64, 128),
    "Tree": (128, 128, 0),
    "Truck_Bus": (192, 128, 192),
    "Tunnel": (64, 0, 64),
    "VegetationMisc": (192, 192, 0),
    VOID: (0, 0, 0),
    "Wall": (64, 192, 0),
}
LABELLED = {name: colour for name, colour in THIRTY_TWO.items() if name != VOID}
CLASSES = ClassSet(tuple(ELEVEN), background=None, colours=tuple(ELEVEN.values()))
CODES = Codes({**{label: label for label in range(len(ELEVEN))}, len(ELEVEN): IGNORED})
ORIGINAL_CLASSES = ClassSet(tuple(LABELLED), background=None, colours=tuple(LABELLED.values()))
ORIGINAL_CODES = Codes(
    colours={THIRTY_TWO[VOID]: IGNORED, **{colour: label for label, colour in enumerate(LABELLED.values())}}
)
TEST_SEQUENCE = "Seq05VD"
_PARTS = ("train", "val", "test")


def read(config: PrepareConfig) -> Source:
    """List the pictures of a variant.

    Raises:
        UserError: folders, lists or masks are missing or malformed.
    """
    return _original(config) if config.variant == "32" else _eleven(config)


def _eleven(config: PrepareConfig) -> Source:
    official = Official(config, ARCHIVES["11"])
    base = official.require("train", "trainannot")
    images = files_by_name(base / part for part in _PARTS)
    masks = {name: (path,) for name, path in files_by_name(base / f"{part}annot" for part in _PARTS).items()}
    own = {name: SPLIT_LISTS[f"{path.parent.name}.txt"] for name, path in images.items()}
    lists = folder_lists((official.folder, base), images, published=base)
    splits, notes, drawn = divide(config, own, lists, masks, _sequences((*own, *lists.splits)))
    return listed_source(
        base,
        splits,
        images,
        masks,
        CODES.read,
        CLASSES,
        _tags(splits),
        group="sequence",
        drawn=drawn,
        details=official.details,
        notes=notes,
    )


def _original(config: PrepareConfig) -> Source:
    official = Official(config, ARCHIVES["32"])
    labels, ending, codes = _labels(official)
    files = files_by_name([labels], ending)
    first = min(files)
    folder = official.find(f"{first}.png") or official.find(f"{first}.jpg")
    if folder is None:
        raise UserError(f"{official.folder} holds masks such as {files[first].name}, but no picture {first}.png")
    images = files_by_name([folder])
    if folder == labels:
        images = {name: path for name, path in images.items() if not name.endswith(ending)}
    sequences = _sequences(images)
    own = {name: "Test" if sequence == TEST_SEQUENCE else "Train" for name, sequence in sequences.items()}
    lists = folder_lists((official.folder, folder.parent, folder), images)
    splits, notes, drawn = divide(config, own, lists, files, sequences)
    return listed_source(
        folder,
        splits,
        images,
        {name: (path,) for name, path in files.items()},
        codes.read,
        ORIGINAL_CLASSES,
        _tags(splits),
        group="sequence",
        drawn=drawn,
        details=official.details,
        notes=notes,
    )


def _labels(official: Official) -> tuple[Path, str, Codes]:
    """Find the folder of masks, what their names end with, and what their pixels mean."""
    folder = official.find("*_P.png")
    if folder is None:
        return official.require("*_L.png"), "_L", ORIGINAL_CODES
    path = official.require("codes.txt") / "codes.txt"
    names = read_text(path, encoding="utf-8-sig").split()
    if unknown := sorted(set(names) - THIRTY_TWO.keys()):
        raise UserError(f"{path} names {unknown[0]}, which is none of CamVid's classes: use the official file")
    known = {name: label for label, name in enumerate(LABELLED)} | {VOID: IGNORED}
    return folder, "_P", Codes({value: known[name] for value, name in enumerate(names)})


def _sequences(names: Iterable[str]) -> dict[str, str]:
    return {name: name.partition("_")[0] for name in names}


def _tags(names: Iterable[str]) -> dict[str, dict[str, str]]:
    return {name: {"sequence": sequence} for name, sequence in _sequences(names).items()}

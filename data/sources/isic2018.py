"""ISIC 2018, task 1: outlines of skin lesions. `ISIC2018_Task1-2_PART_Input`, `ISIC2018_Task1_PART_GroundTruth`.

Codella et al., "Skin Lesion Analysis Toward Melanoma Detection 2018", arXiv:1902.03368. Masks are 0 and 255. Lists in
the folder win; else the official parts Training, Validation and Test decide. Where Test is not at hand Validation is
Test, and where Training is alone Test is drawn from it.
"""

from collections.abc import Mapping
from pathlib import Path

from core.classes import ClassSet
from data.prepare_config import PrepareConfig
from data.sources.codes import Codes
from data.sources.listed import files_by_name, listed_source
from data.sources.lists import divide, folder_lists
from data.sources.official import Official
from data.sources.source import Source, hash_splits

CLASSES = ClassSet(("skin", "lesion"))
CODES = Codes({0: 0, 255: 1})
PARTS = {"Training": "Train", "Validation": "Val", "Test": "Test"}
ARCHIVES = tuple(
    f"ISIC2018_{name}.zip" for part in PARTS for name in (f"Task1-2_{part}_Input", f"Task1_{part}_GroundTruth")
)


def read(config: PrepareConfig) -> Source:
    """List the pictures.

    Raises:
        UserError: the training pictures are missing, or a list is malformed.
    """
    official = Official(config, ARCHIVES)
    base = official.require("ISIC2018_Task1-2_Training_Input")
    images: dict[str, Path] = {}
    masks: dict[str, tuple[Path]] = {}
    parts: dict[str, str] = {}
    for part in PARTS:
        found = _files(official, f"ISIC2018_Task1-2_{part}_Input")
        images |= found
        parts |= {name: part for name in found if name.startswith("ISIC_")}  # not its licence
        outlines = _files(official, f"ISIC2018_Task1_{part}_GroundTruth", "_segmentation")
        masks |= {name: (path,) for name, path in outlines.items()}
    lists = folder_lists((official.folder, base), {name: images[name] for name in parts})
    own, about_parts = _official_splits(parts, config)
    splits, notes = divide(config, own, lists, masks)
    return listed_source(
        base,
        splits,
        images,
        masks,
        CODES.read,
        CLASSES,
        details=official.details,
        notes=notes if lists.splits else about_parts,
    )


def _official_splits(parts: Mapping[str, str], config: PrepareConfig) -> tuple[dict[str, str], list[str]]:
    """Return the split of each name by its part, and what is to be said about that."""
    present = set(parts.values())
    if "Test" in present:
        return {name: PARTS[part] for name, part in parts.items()}, []
    if "Validation" in present:
        note = "no ISIC2018_Task1-2_Test_Input here: the official validation part is Test, Val is drawn from training"
        return {name: "Test" if part == "Validation" else "Train" for name, part in parts.items()}, [note]
    note = "the training part alone is here: Test and Val are drawn from it by the seed"
    return hash_splits(list(parts), config.val_ratio, config.test_ratio, config.seed), [note]


def _files(official: Official, folder: str, ending: str = "") -> dict[str, Path]:
    base = official.find(folder)
    return files_by_name([base / folder], ending) if base else {}

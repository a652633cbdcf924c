"""ISIC 2018, task 1: outlines of skin lesions. `ISIC2018_Task1-2_PART_Input`, `ISIC2018_Task1_PART_GroundTruth`.

Codella et al., "Skin Lesion Analysis Toward Melanoma Detection 2018", arXiv:1902.03368. Masks are 0 and 255. Lists in
the folder win; else the official parts Training, Validation and Test decide. Where Test is not at hand Validation is
Test, and where Training is alone Test is drawn from it.
"""

from collections.abc import Mapping
from pathlib import Path

from core.classes import ClassSet
from data.prepare_config import PrepareConfig
from data.sources.fetching.download import MAX_DOWNLOAD_BYTES, Download
from data.sources.fetching.official import Official
from data.sources.layout.codes import Codes
from data.sources.layout.listed import files_by_name, listed_source
from data.sources.layout.lists import divide, folder_lists
from data.sources.source import Source, hash_splits

CLASSES = ClassSet(("skin", "lesion"))
CODES = Codes({0: 0, 255: 1})
PARTS = {"Training": "Train", "Validation": "Val", "Test": "Test"}
CHECKSUMS = {
    "Task1-2_Training_Input": "80f98572347a2d7a376227fa9eb2e4f7459d317cb619865b8b9910c81446675f",
    "Task1_Training_GroundTruth": "99f8b2bb3c4d6af483362010715f7e7d5d122d9f6c02cac0e0d15bef77c7604c",
    "Task1-2_Validation_Input": "0ea920fcfe512d12a6e620b50b50233c059f67b10146e1479c82be58ff15a797",
    "Task1_Validation_GroundTruth": "f6911e9c0a64e6d687dd3ca466ca927dd5e82145cb2163b7a1e5b37d7a716285",
    "Task1-2_Test_Input": "e59ae1f69f4ed16f09db2cb1d76c2a828487b63d28f6ab85997f5616869b127d",
    "Task1_Test_GroundTruth": "2e8f6edce454a5bdee52485e39f92bd6eddf357e81f39018d05512175238ef82",
}
LIMITS = {"Task1-2_Training_Input": 12_000_000_000}  # it has 11
DOWNLOADS = tuple(
    Download(
        f"https://isic-challenge-data.s3.amazonaws.com/2018/ISIC2018_{name}.zip",
        checksum,
        "sha256",
        LIMITS.get(name, MAX_DOWNLOAD_BYTES),
    )
    for name, checksum in CHECKSUMS.items()
)
ARCHIVES = tuple(file.name for file in DOWNLOADS)


def read(config: PrepareConfig) -> Source:
    """List the pictures.

    Raises:
        UserError: the training pictures are missing, or a list is malformed.
    """
    official = Official(config, ARCHIVES, DOWNLOADS)
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
    splits, notes, drawn = divide(config, own, lists, masks)
    return listed_source(
        base,
        splits,
        images,
        masks,
        CODES.read,
        CLASSES,
        drawn=drawn,
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

"""A task of the Medical Segmentation Decathlon in its layout: `dataset.json`, `imagesTr`, `labelsTr`.

Antonelli et al., "The Medical Segmentation Decathlon", Nature Communications 2022. Several modalities are a fourth axis
of one file (Task01), or a file each, NAME_0000.nii.gz and so on, as nnU-Net lays them. The labels of the official test
(`imagesTs`) are not public: Test is drawn from what is labelled, or is as split.json says. Two of the masks of Task04
hold numbers with a point: they are rounded.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.classes import ClassSet
from core.errors import UserError
from core.filing.json_file import read_json
from data.prepare_config import PrepareConfig
from data.sources.fetching.official import Official
from data.sources.layout.lists import divide, folder_lists
from data.sources.source import Source, hash_splits
from data.volumes.cases import Files, frames_of, plan_of, sample_of

SUFFIX = (".nii.gz", ".nii")
_MODALITY = re.compile(r"(.+)_(\d{4})")


def read(config: PrepareConfig) -> Source:
    """List the volumes of a task.

    Raises:
        UserError: dataset.json is missing or not one, a folder is missing or empty, or a modality is.
    """
    official = Official(config, ())
    base = official.require("dataset.json", "imagesTr")
    task = _task(base / "dataset.json")
    labels, modalities = _numbered(task, "labels", base), _numbered(task, "modality", base)
    images = _images(base / "imagesTr", len(modalities))
    masks = {name: paths[0] for name, paths in _images(base / "labelsTr", 1).items() if name in images}
    lists = folder_lists((official.folder, base, base.parent), {name: name for name in images})
    own = hash_splits(sorted(images), 0.0, config.test_ratio, config.seed)
    splits, notes, drawn = divide(config, own, lists, masks)
    values = tuple(labels)
    classes = ClassSet(tuple(labels.values()), background=0 if 0 in labels else None)
    frames, unread = frames_of({name: images[name] for name in splits})
    train = [name for name, split in splits.items() if split == "Train"]
    plan, said = plan_of(config, frames, train, list(modalities.values()), values)
    samples = [
        sample_of(name, split, images[name], masks.get(name), values, plan.trust_shapes, {})
        for name, split in sorted(splits.items())
    ]
    unused = [(str(images[name][0]), "in no list") for name in images if name not in splits]
    return Source(
        samples,
        classes,
        channels=len(modalities),
        drawn=drawn if lists.splits else ("Train", "Val", "Test"),
        passed_over=unused,
        details=official.details,
        notes=[*notes, *said, *unread],
        plan=plan,
    )


def _task(path: Path) -> dict[str, Any]:
    task = read_json(path)
    if not isinstance(task, dict):
        raise UserError(f"{path} is not of the Decathlon: it must hold labels and modality")
    return task


def _numbered(task: Mapping[str, Any], what: str, base: Path) -> dict[int, str]:
    """Return number -> name of "labels" or "modality" (nnU-Net: "channel_names"), sorted; either may be the key."""
    found: Any = task.get(what) or (task.get("channel_names") if what == "modality" else None)
    try:
        pairs = [(key, name) if str(key).isdigit() else (name, key) for key, name in found.items()]
        numbered = sorted((int(number), str(name)) for number, name in pairs)
    except (AttributeError, TypeError, ValueError):
        raise UserError(f"{base / 'dataset.json'}: {what} must say what each number means, as {{'0': 'MRI'}}") from None
    return dict(numbered)


def _images(folder: Path, modalities: int) -> Files:
    """Return the files of each volume: one that holds all modalities, or one each in their order.

    Numbers that cannot be those of modalities, as 0001, 0002, ... without 0000, belong to the name.
    """
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    stems = {
        path.name.removesuffix(".gz").removesuffix(".nii"): path
        for path in paths
        if path.name.endswith(SUFFIX) and not path.name.startswith(".")
    }
    found: dict[str, dict[int, Path]] = {}
    for stem, path in stems.items():
        parts = _MODALITY.fullmatch(stem)
        is_part = parts and int(parts[2]) < modalities and f"{parts[1]}_0000" in stems
        name, number = (parts[1], int(parts[2])) if parts and is_part else (stem, 0)
        found.setdefault(name, {})[number] = path
    if not found and folder.name == "imagesTr":
        raise UserError(f"{folder} holds no .nii.gz: give the folder of the task with --archives")
    for name, files in found.items():
        if len(files) not in (1, modalities):
            raise UserError(
                f"{folder}: {name} has {len(files)} of {modalities} modalities: {files[min(files)].name}, ..."
            )
    return {name: tuple(files[number] for number in sorted(files)) for name, files in found.items()}

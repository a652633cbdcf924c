"""Prepared folders of small volumes, written without a preparation."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

import numpy as np

from core.classes import ClassSet
from data.manifest import SPLITS, foreground_path, volume_label_path, volume_path, volume_truth_path
from data.prepared.fingerprint import FORMAT_VERSION, Seal, fingerprint_of
from data.volumes.geometry import VolumeGeometry
from data.volumes.preparing import foreground_voxels

CLASSES = ClassSet(("background", "front", "back"))
EYE = tuple(tuple(float(row == column) for column in range(4)) for row in range(4))


def cube(number: int, shape: tuple[int, int, int], channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return voxels [C, D, H, W] uint16 and a label: a bright block of two halves on noise."""
    numbers = np.random.default_rng(number)
    label = np.zeros(shape, np.uint8)
    first = [int(numbers.integers(1, side // 2)) for side in shape]
    label[tuple(slice(start, start + side // 3) for start, side in zip(first, shape, strict=True))] = 1
    label[: first[0] + 2][label[: first[0] + 2] == 1] = 2
    voxels = numbers.integers(0, 20000, (channels, *shape)) + 15000 * label.astype(int)
    return voxels.astype(np.uint16), label


def write_volumes(
    root: Path,
    counts: tuple[int, int, int] = (4, 2, 2),
    shape: tuple[int, int, int] = (16, 18, 14),
    channels: int = 1,
    intensity: Mapping[str, object] = MappingProxyType({"kind": "mr"}),
) -> Path:
    """Write so many volumes of each split, of nearly this shape, all with a mask but the last of Train."""
    records = []
    for split, count in zip(SPLITS, counts, strict=True):
        for number in range(count):
            labelled = not (split == "Train" and number == count - 1 > 0)
            records.append(_write(root, split, number, shape, channels, labelled))
    head = {
        **{"format_version": FORMAT_VERSION, "dataset": "volumes", "source": {}, "resize_mode": "own", "seed": 0},
        **{"ratios": {}, "dims": 3, "spacing": [1.0, 1.0, 1.0], "label_values": [0, 1, 2], "tags": []},
        **{"class_set": CLASSES.content(), "channels": channels, "stratum": None},
        "size": np.max([record["geometry"]["shape"] for record in records], axis=0).tolist(),
        "intensity": [dict(intensity)] * channels,
        "counts": {
            split: {
                "images": count,
                "labelled": sum(record["labelled"] for record in records if record["split"] == split),
            }
            for split, count in zip(SPLITS, counts, strict=True)
        },
    }
    settings = {name: value for name, value in head.items() if name != "size"}
    head["fingerprint"] = fingerprint_of(settings, ((record, record["sha256"]) for record in records))
    seal = Seal()
    for record in records:
        seal.add(json.loads(json.dumps(record)))
    content = {**head, "sha256": seal.close(head), "images": records}
    (root / "manifest.json").write_text(json.dumps(content))
    return root


def _write(
    root: Path, split: str, number: int, shape: tuple[int, int, int], channels: int, labelled: bool
) -> dict[str, object]:
    depth, height, width = shape
    own = (depth + number % 2, height, width + number % 3)
    voxels, label = cube(100 * SPLITS.index(split) + number, own, channels)
    digest = sha256(voxels.tobytes())
    name = f"{split.lower()}_{number}"
    files = {volume_path: voxels}
    if labelled:
        files |= {volume_label_path: label, volume_truth_path: label, foreground_path: foreground_voxels(label, (1, 2))}
        digest.update(label.tobytes())
        digest.update(label.tobytes())
    for place, array in files.items():
        path = place(root, split, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, array)
    spacing = (1.0, 1.0, 1.0)
    return {
        **{"name": name, "split": split, "tags": {}, "labelled": labelled, "classes": [0, 1, 2] if labelled else []},
        "geometry": asdict(VolumeGeometry(own, spacing, own, spacing, "RAS", EYE, "", own[::-1])),
        "sha256": digest.hexdigest(),
        "content": digest.hexdigest()[:16],
    }

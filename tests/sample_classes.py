"""Small prepared data of any classes, written without a source: pictures whose colours tell the classes."""

import json
from collections import Counter
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from core.classes import IGNORED, ClassSet
from data.geometry import fit
from data.manifest import SPLITS, image_path, label_path, truth_path

# Names that are a danger where they are not taken for what they are.
HOSTILE = (
    "mean_iou",
    "loss",
    "=1+1",
    "<script>alert(1)</script>",
    "a,b",
    "[bold]",
    "$x^$",
    "_hidden",
    "mean_foreground",
)


def classes_of(count: int, **more) -> ClassSet:
    """Return so many classes, the first ones with dangerous names."""
    names = [*HOSTILE, *(f"class {number}" for number in range(count))][:count]
    return ClassSet(tuple(names), **more)


def scene(class_set: ClassSet, channels: int, height: int, width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture [H, W(, 3)] uint8 and its label [H, W] uint8: blocks of classes, some of them ignored."""
    generator = np.random.default_rng(seed)
    rows, columns = -(-height // 12), -(-width // 12)
    coarse = generator.integers(0, len(class_set), (rows, columns)).astype(np.uint8)
    coarse[generator.random(coarse.shape) < 0.1] = IGNORED
    label = np.kron(coarse, np.ones((12, 12), np.uint8))[:height, :width]
    colours = np.random.default_rng(0).integers(0, 256, (256, channels))
    noise = generator.normal(0, 6, (height, width, channels))
    picture = np.clip(colours[label] + noise, 0, 255).astype(np.uint8)
    return (picture[..., 0] if channels == 1 else picture), label


def write_data(
    root: Path,
    class_set: ClassSet,
    channels: int = 3,
    sides: tuple[int, int] = (40, 40),
    images: int = 12,
    tags: dict[str, list[str | None]] | None = None,
    picture_size: tuple[int, int] = (50, 64),
) -> Path:
    """Write prepared data; all pictures have a label, a third of them is in each split."""
    tags = tags or {}
    records = []
    for number in range(images):
        name, split = f"picture{number}", SPLITS[number % len(SPLITS)]
        picture, label = scene(class_set, channels, *picture_size, number)
        geometry = fit(*picture.shape[:2], *sides, "letterbox")
        for path, pixels in (
            (image_path(root, split, name), geometry.image(picture[..., ::-1] if channels == 3 else picture)),
            (label_path(root, split, name), geometry.label(label)),
            (truth_path(root, split, name), label),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), pixels)
        of_picture = {tag: values[number] for tag, values in tags.items() if values[number] is not None}
        held = sorted(set(np.unique(label).tolist()) - {IGNORED})
        record = {"name": name, "split": split, "tags": of_picture, "labelled": True, "classes": held}
        records.append({**record, "geometry": asdict(geometry)})
    counts = Counter(record["split"] for record in records)
    head = head_of(
        class_set,
        size=list(sides),
        channels=channels,
        tags=sorted(tags),
        counts={split: {"images": counts[split], "labelled": counts[split]} for split in SPLITS},
        fingerprint=sha256(repr((class_set, channels, sides, images)).encode()).hexdigest(),
    )
    (root / "manifest.json").write_text(json.dumps({**head, "images": records}))
    return root


def head_of(class_set: ClassSet, **more: Any) -> dict[str, Any]:
    """Return a manifest without its records."""
    return {
        "format_version": 2,
        "dataset": "folder",
        "source": {"ground": "white"},
        "size": [40, 40],
        "resize_mode": "letterbox",
        "seed": 0,
        "ratios": {},
        "class_set": class_set.content(),
        "channels": 3,
        "stratum": None,
        "tags": [],
        "counts": {split: {"images": 0, "labelled": 0} for split in SPLITS},
        "fingerprint": "0" * 64,
        **more,
    }


def write_manifest(folder: Path, manifest: dict[str, Any], **head: Any) -> None:
    """Write a manifest that a test changed, as data of before had it: without digests, so that nobody could tell."""
    records = [{k: v for k, v in record.items() if k not in ("sha256", "content")} for record in manifest["images"]]
    counts = {
        split: {
            "images": sum(record["split"] == split for record in records),
            "labelled": sum(record["split"] == split and record["labelled"] for record in records),
        }
        for split in SPLITS
    }
    content = {**manifest, "format_version": 2, "fingerprint": "0" * 64, "counts": counts, **head}
    content.pop("sha256", None)
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps({**content, "images": records}))

"""Annotations of labelling tools, for tests: labels, and the files that tools would make of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from own_pictures import HEIGHT, WIDTH

from core.classes import ClassSet
from data.annotations.formats.rle import brush_of
from data.annotations.formats.table import FORMATS
from data.annotations.formats.written import Written
from data.annotations.laying import label_of_regions

SQUARE = [2, 2, 12, 2, 12, 12, 2, 12]
CLASSES = ClassSet(("background", "cat", 'a "dog" & <co>'))


def blobs(seed: int, height: int, width: int, classes: int = 3) -> np.ndarray:
    """A label [H, W] uint8 of smooth pieces with holes, specks and corners that touch."""
    generator = np.random.default_rng(seed)
    noise = [cv2.GaussianBlur(generator.random((height, width)), (0, 0), 1 + seed % 3) for _ in range(classes)]
    label = np.argmax(noise, axis=0).astype(np.uint8)
    label[generator.random((height, width)) < 0.02] = generator.integers(classes)
    return label


def written(folder: Path, labels: dict[str, np.ndarray], classes: ClassSet, which: str) -> None:
    """Write labels in a format; keys are the pictures' names with their suffixes."""
    pictures = [
        Written(name, Path(name).with_suffix("").as_posix(), folder / "photos" / name, label.copy, 0.5, folder)
        for name, label in labels.items()
    ]
    FORMATS[which].write(folder, pictures, classes)


def read_back(annotations: Any, path: Path, key: str, shape: tuple[int, ...], names: Sequence[str]) -> np.ndarray:
    """Return the label [H, W] that a reader makes of a picture; what nothing claims is 0."""
    labels = {name: place for place, name in enumerate(names)} | {"_background_": 0}
    height, width = shape
    return label_of_regions(annotations, path, key, (height, width), labels, 0)


def coco(annotations: Sequence[dict[str, Any]], height: int = 40, width: int = 60, **more: Any) -> dict[str, Any]:
    """COCO's content of one picture, tom.jpg, and two categories."""
    return {
        "images": [{"id": 7, "file_name": "tom.jpg", "height": height, "width": width}],
        "categories": [{"id": 1, "name": "cat"}, {"id": 18, "name": "dog"}],
        "annotations": [{"id": 5 + n, "image_id": 7, "category_id": 1, **one} for n, one in enumerate(annotations)],
        **more,
    }


def dumped(path: Path, content: Any) -> Path:
    """Write JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def shape(label: str, **more: object) -> dict[str, Any]:
    """A shape of labelme: a square, or what else is said."""
    return {"label": label, "points": [[2, 2], [12, 2], [12, 12], [2, 12]], "shape_type": "polygon", **more}


def task(address: str = "tom.jpg", number: int = 1, kind: str = "annotations", **region: object) -> dict[str, Any]:
    """A task of Label Studio with one region, of 5 x 6 pixels."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[3:9, 4:9] = True
    value = {"format": "rle", "rle": brush_of(mask), "brushlabels": ["cat"]}
    found = {"type": "brushlabels", "original_width": WIDTH, "original_height": HEIGHT, "value": value, **region}
    return {"id": number, "data": {"image": address}, kind: [{"result": [found]}]}

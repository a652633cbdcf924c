"""Small pictures in the official layout of Oxford-IIIT Pet, for the tests of data preparation."""

import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from data.prepare import prepare
from data.prepare_config import PrepareConfig

BREEDS = {"Bengal": "1", "Persian": "1", "beagle": "2", "pug": "2"}
TRAINVAL = [f"{breed}_{number}" for breed in BREEDS for number in range(1, 6)]
TEST = [f"{breed}_{number}" for breed in BREEDS for number in range(6, 8)]
LABEL_FOLDERS = {"Train": "resized_label", "Val": "processed_labels", "Test": "masks"}


def picture(seed: int, height: int = 40, width: int = 60) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def trimap(height: int = 40, width: int = 60) -> np.ndarray:
    mask = np.full((height, width), 2, np.uint8)
    mask[8:30, 10:40] = 3
    mask[10:28, 12:38] = 1
    return mask


def size_of(name: str) -> tuple[int, int]:
    return (40, 60) if name < "b" else (63, 30)


def make_pets(root: Path) -> Path:
    """28 pictures in the official layout; those with an odd number have a trimap."""
    (root / "images").mkdir(parents=True)
    (root / "annotations" / "trimaps").mkdir(parents=True)
    for index, name in enumerate(TRAINVAL + TEST):
        size = size_of(name)
        Image.fromarray(picture(index, *size)).save(root / "images" / f"{name}.jpg", quality=95)
        if int(name[-1]) % 2:
            Image.fromarray(trimap(*size)).save(root / "annotations" / "trimaps" / f"{name}.png")
    for file, names in (("trainval.txt", TRAINVAL), ("test.txt", TEST)):
        lines = [f"{name} 1 {BREEDS[name[:-2]]} 1" for name in names]
        (root / "annotations" / file).write_text("#Image CLASS-ID SPECIES BREED-ID\n" + "\n".join(lines) + "\n")
    return root


def manifest_of(config: PrepareConfig) -> dict:
    return json.loads((config.output_dir / "manifest.json").read_text())


def report_of(config: PrepareConfig) -> list[tuple[str, str, str]]:
    files = json.loads((config.output_dir / "prepare_report.json").read_text())["files"]
    return [(file["file"], file["action"], file["reason"]) for file in files]


def run(config: PrepareConfig) -> dict:
    prepare(config)
    return manifest_of(config)


def pixels(path: Path) -> np.ndarray:
    return np.array(Image.open(path))

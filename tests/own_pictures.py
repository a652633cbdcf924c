"""Folders of one's own pictures and masks, for tests."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from sample_pets import picture

from data.prepare_config import PrepareConfig
from data.sources.folder import read
from data.sources.source import Source

COLOURS = np.array([[0, 0, 0], [128, 64, 128], [0, 0, 142], [220, 20, 60], [70, 130, 180], [107, 142, 35]], np.uint8)
HEIGHT, WIDTH = 40, 60


def indices(seed: int, classes: int = 6) -> np.ndarray:
    """A mask [40, 60] of rectangles: 0 around them, 1 and above inside."""
    generator = np.random.default_rng(seed)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    for value in range(1, classes):
        top, left = generator.integers(0, (HEIGHT - 12, WIDTH - 12))
        mask[top : top + 12, left : left + 12] = value
    return mask


def write_pictures(folder: Path, names: list[str], suffix: str = ".jpg") -> Path:
    """Write photographs [40, 60]."""
    for seed, name in enumerate(names):
        path = folder / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(seed, HEIGHT, WIDTH)).save(path)
    return folder


def write_masks(
    folder: Path, masks: dict[str, np.ndarray], save: Callable[[np.ndarray, Path], None] | None = None
) -> Path:
    """Write masks, by default as grey PNG."""
    for name, mask in masks.items():
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        (save or _grey)(mask, path)
    return folder


def source_of(images: Path, masks: Path | None = None, **settings: object) -> Source:
    """Read a folder as a preparation does."""
    return read(PrepareConfig(dataset="folder", images=images, masks=masks, **settings))


def labels_of(source: Source) -> dict[str, np.ndarray]:
    """Return the labels of all labelled samples."""
    return {sample.name: sample.label() for sample in source.samples if sample.label}


def _grey(mask: np.ndarray, path: Path) -> None:
    Image.fromarray(mask).save(path)

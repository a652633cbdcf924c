"""Drawn pictures that are no squares, grey or coloured, with two tags that are not those of pets."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

import data.prepare
from core.classes import ClassSet
from data.prepare_config import PrepareConfig
from data.sources.drawn_pets.drawings import draw
from data.sources.source import Sample, Source

COUNT, SIDE = 30, 56
CLASSES = ClassSet(("ground", "tabby", "collie"))


def prepare_rectangles(folder: Path, channels: int) -> Path:
    """Prepare thirty pictures on a canvas of 40 x 56, every third of them a square with bars at its sides."""
    samples = [
        Sample(
            name=f"drawing_{index:02d}",
            split=("Train", "Train", "Train", "Val", "Test")[index % 5],
            file=f"drawing_{index:02d}",
            image=partial(_image, index, channels),
            label_file=f"drawing_{index:02d}",
            label=partial(_label, index) if index % 2 else None,
            tags={"camera": "old" if index % 3 else "new", "keeper": f"keeper {index // 2 % 4}"},
        )
        for index in range(COUNT)
    ]
    config = PrepareConfig(dataset="drawn_pets", size="40x56", output_dir=folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data.prepare, "open_source", lambda _: Source(samples, CLASSES, channels=channels))
        data.prepare.prepare(config)
    return folder


def _rows(index: int) -> slice:
    return slice(0, SIDE) if index % 3 == 0 else slice(8, 48)


def _image(index: int, channels: int) -> tuple[np.ndarray, list[str]]:
    image = draw(7, index, SIDE).image[_rows(index)]
    return (image if channels == 3 else image[..., 1]), []


def _label(index: int) -> np.ndarray:
    inside = draw(7, index, SIDE).trimap[_rows(index)] == 1
    return (inside * (1 + index % 2 * (index // 2 % 2))).astype(np.uint8)

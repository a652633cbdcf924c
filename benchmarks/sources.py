"""Data for the benchmarks: drawn pictures in our own folder, and the same as JPEG and PNG files for others."""

from pathlib import Path

import cv2
import numpy as np

from data.opened import open_data
from data.prepare import prepare
from data.prepare_config import PrepareConfig

QUALITY = 90


def prepared(folder: Path, size: int, images: int, labelled_fraction: float = 1.0) -> Path:
    """Draw a data set of so many pictures at `size` px into `folder` (once), half of them for training."""
    settings = {"dataset": "synthetic", "val_ratio": 0.2, "test_ratio": 0.2, "seed": 0}
    target = folder / f"synthetic-{size}-{images}-{labelled_fraction:g}"
    prepare(
        PrepareConfig(output_dir=target, size=size, num_images=images, labelled_fraction=labelled_fraction, **settings)
    )
    return target


def exported(data_dir: Path, split: str, folder: Path) -> Path:
    """Write a split's pictures as JPEG and its masks as PNG of the same names (once)."""
    if not folder.exists():
        opened = open_data(data_dir).split(split)
        partial = folder.with_name(f".{folder.name}.partial")
        for kind in ("images", "masks"):
            (partial / kind).mkdir(parents=True, exist_ok=True)
        for index in opened.labelled:
            name = opened.names[index]
            picture = np.ascontiguousarray(opened.images[index][..., ::-1])
            cv2.imwrite(str(partial / "images" / f"{name}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
            cv2.imwrite(str(partial / "masks" / f"{name}.png"), opened.labels[opened.label_rows[index]])
        partial.rename(folder)
    return folder

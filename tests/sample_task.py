"""A small task of the Medical Segmentation Decathlon, in its layout."""

import json
from pathlib import Path

import numpy as np
import pytest

from data.prepare import main

nibabel = pytest.importorskip("nibabel")

AFFINE = np.array([[0, -1.0, 0, 20], [-1.0, 0, 0, 30], [0, 0, 1.0, -8], [0, 0, 0, 1]])  # voxels lead to P, L, S
SHAPE = (20, 18, 16)


def ball(number: int) -> np.ndarray:
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1)
    away = np.linalg.norm(grid - np.array([9.5, 8.5, 7.5]) + number % 3 - 1, axis=-1)
    return (away < 6).astype(np.uint8) + (away < 3.5)


def save(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE, **header: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(array, affine)
    for name, value in header.items():
        image.header[name] = value
    nibabel.save(image, path)


def write_task(root: Path, count: int = 8, values: tuple[int, ...] = (0, 1, 4), modalities: int = 1) -> Path:
    """Write a task of the Decathlon: noise on balls."""
    for number in range(count):
        label = np.array(values, np.uint8)[ball(number)]
        noise = np.random.default_rng(number).normal(0, 5, (*SHAPE, modalities))
        image = (40.0 * ball(number)[..., None] + noise).astype(np.float32)
        save(root / "imagesTr" / f"case_{number}.nii.gz", image if modalities > 1 else image[..., 0], descrip=b"MILLER")
        save(root / "labelsTr" / f"case_{number}.nii.gz", label)
    names = dict(zip(map(str, values), ("background", "shell", "core"), strict=True))
    content = {"labels": names, "modality": {str(n): "MRI" for n in range(modalities)}}
    (root / "dataset.json").write_text(json.dumps(content))
    return root


def prepare(root: Path, *more: str) -> int:
    """Prepare ROOT/task into ROOT/out; returns the exit code."""
    source = ["--dataset", "msd", "--archives", str(root / "task")]
    return main([*source, "--output_dir", str(root / "out"), *more])

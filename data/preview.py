"""A picture of how masks lie on their pictures: whoever sees it knows whether they were understood."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from core.classes import IGNORED, ClassSet
from core.figures.picture_grid import picture_grid
from core.figures.style import UNSCORED_COLOUR
from data.geometry import fit, resize_image
from data.pictures import PictureError
from data.sources.source import Sample, Source

SHOWN = 12
LONGEST_SIDE = 480
STRENGTH = 0.55
LEGEND_AT_MOST = 24


def write_preview(path: Path, source: Source) -> None:
    """Write a PNG of twelve pictures, each beside itself with its mask over it; without masks the pictures alone.

    Those shown lie evenly over the names; files that cannot be read are skipped.
    """
    labelled = sum(1 for sample in source.samples if sample.label)
    names, pictures, overlays, held = [], [], [], set()
    for sample in _chosen(source, labelled):
        shown = _shown(sample)
        if shown is None:
            continue
        image, label = shown
        names.append(sample.name)
        pictures.append(image)
        if label is not None:
            overlays.append(overlay(image, label, source.classes))
            held |= set(np.unique(label).tolist())
    if not names:
        return
    columns = {"picture": pictures} | ({"mask over it": overlays} if overlays else {})
    title = f"{len(names)} of {labelled or len(source.samples)} pictures{' with a mask' if labelled else ''}"
    picture_grid(path, title, names, columns, legend=_legend(source.classes, held) if overlays else None)


def overlay(image: np.ndarray, label: np.ndarray, classes: ClassSet) -> np.ndarray:
    """Lay the colours of a label [H, W] over an image [H, W, 3] in [0, 1]; the background stays clear."""
    table = np.full((256, 3), UNSCORED_COLOUR)
    table[: len(classes)] = np.array(classes.palette) / 255
    strength = np.full(256, STRENGTH)
    if classes.background is not None:
        strength[classes.background] = 0
    weight = strength[label][..., None]
    return image * (1 - weight) + table[label] * weight


def _chosen(source: Source, labelled: int) -> Iterator[Sample]:
    """Yield samples evenly over those with a mask, or over all where there is none."""
    total = labelled or len(source.samples)
    wanted = {place * total // min(SHOWN, total) for place in range(min(SHOWN, total))}
    candidates = (sample for sample in source.samples if sample.label or not labelled)
    return (sample for place, sample in enumerate(candidates) if place in wanted)


def _shown(sample: Sample) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Return a picture [H, W, 3] in [0, 1], made smaller, and its label; None if one cannot be read."""
    try:
        image, _ = sample.image()
        label = sample.label() if sample.label else None
    except PictureError:
        return None
    if label is not None and label.shape != image.shape[:2]:
        return None
    longest = max(image.shape[:2])
    if longest > LONGEST_SIDE:
        height, width = (max(1, round(side * LONGEST_SIDE / longest)) for side in image.shape[:2])
        if label is not None:
            label = fit(label.shape[0], label.shape[1], height, width, "stretch").label(label)
        image = resize_image(image, height, width)
    return np.dstack([image] * 3 if image.ndim == 2 else [image]) / 255, label


def _legend(classes: ClassSet, held: set[int]) -> dict[str, tuple[float, float, float]]:
    shown = [c for c in sorted(held) if c != IGNORED and c != classes.background][:LEGEND_AT_MOST]
    legend = {}
    for c in shown:
        red, green, blue = classes.palette[c]
        legend[classes.names[c]] = (red / 255, green / 255, blue / 255)
    return legend | ({"ignored": UNSCORED_COLOUR} if IGNORED in held else {})

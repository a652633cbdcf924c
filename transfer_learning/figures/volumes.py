"""Pictures of what the network says of volumes: three orthogonal slices through the most errors."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from core.classes import IGNORED, ClassSet
from data.loading import plain_batches
from data.volumes.geometry import Spacing
from data.volumes.split import VolumeSplit
from transfer_learning.figures.captions import RANKED
from transfer_learning.figures.pictures import save_panels

# What the slices across each axis of [D, H, W] are called, in RAS+.
PLANES = ("axial", "coronal", "sagittal")

SLICES = "slices"
# Of a volume or a window: picture [C, D, H, W], truth and prediction [D, H, W].
Shown = tuple[np.ndarray, np.ndarray, np.ndarray]


def slices_caption(name: str) -> tuple[str, str]:
    """Return title and caption of the slices of a volume."""
    return (
        f"Slices of {name}",
        "Three orthogonal slices through the place where most errors meet, at the original spacing: the first "
        "modality, the truth, the prediction, and this over the volume. The head is up, lengths are as in the body. "
        f"{RANKED}",
    )


def save_patches(
    path: Path, model: nn.Module, split: VolumeSplit, chosen: np.ndarray, batch_size: int, device: torch.device
) -> None:
    """Save of each chosen volume the window with the most errors, sliced, with truth and prediction."""
    worst: dict[int, tuple[int, Shown]] = {}
    with torch.inference_mode():
        for indices, batch in plain_batches(split, chosen, batch_size, device):
            assert batch.label is not None, "they are chosen among those with a mask"
            prediction = model(batch.input, batch.content).argmax(1)
            wrong = ((prediction != batch.label) & (batch.label != IGNORED)).flatten(1).sum(1).tolist()
            for place, (index, errors) in enumerate(zip(indices.tolist(), wrong, strict=True)):
                if index not in worst or errors > worst[index][0]:
                    tensors = (batch.clean[place], batch.label[place], prediction[place])
                    picture, truth, found = (tensor.cpu().numpy() for tensor in tensors)
                    worst[index] = errors, (picture, truth, found)
    names, spacings = zip(*((split.names[index], split.geometries[index].spacing) for index in worst), strict=True)
    save_slices(path, names, [arrays for _, arrays in worst.values()], spacings, split.class_set)


def save_slices(
    path: Path,
    names: Sequence[str],
    volumes: Sequence[Shown],
    spacings: Sequence[Spacing],
    classes: ClassSet,
    title: str = "Slices through the most errors",
) -> None:
    """Save three orthogonal slices of each volume with truth and prediction as one PNG.

    Args:
        path: of the PNG.
        names: of the volumes.
        volumes: of each the picture [C, D, H, W] in [0, 1], of which the first channel is drawn, the truth and the
            prediction [D, H, W].
        spacings: of each the mm between voxels along these axes: slices are drawn in the body's proportions.
        classes: what these tell apart.
        title: which volumes they are.
    """
    rows = [
        (f"{name}, {plane}", *cut)
        for name, one, spacing in zip(names, volumes, spacings, strict=True)
        for plane, cut in _slices(*one, spacing)
    ]
    labels, pictures, truths, predictions = map(list, zip(*rows, strict=True))
    save_panels(path, labels, pictures, truths, predictions, classes, title)


def place_of_errors(truth: np.ndarray, prediction: np.ndarray) -> tuple[int, ...]:
    """Return the voxel in whose three slices the most errors lie; where there are none, the middle of the objects."""
    wrong = (truth != prediction) & (truth != IGNORED)
    if not wrong.any():
        wrong = (truth != IGNORED) & (truth != 0)
    if not wrong.any():
        return tuple(side // 2 for side in truth.shape)
    found = []
    for axis in range(truth.ndim):
        others = tuple(other for other in range(truth.ndim) if other != axis)
        found.append(int(wrong.sum(axis=others).argmax()))
    return tuple(found)


def _slices(
    picture: np.ndarray, truth: np.ndarray, prediction: np.ndarray, spacing: Spacing
) -> Iterator[tuple[str, tuple[np.ndarray, ...]]]:
    """Yield the name of a plane, and its cuts through the most errors: picture [h, w, 3], truth and prediction."""
    shown = np.clip(picture[0], 0, 1)
    for axis, place in enumerate(place_of_errors(truth, prediction)):
        # Up is up: the first axis runs from the feet to the head.
        cuts = [np.flip(array.take(place, axis), 0) for array in (shown, truth, prediction)]
        cuts = [in_proportion(cut, spacing[:axis] + spacing[axis + 1 :]) for cut in cuts]
        yield PLANES[axis], (np.repeat(cuts[0][..., None], 3, -1), *cuts[1:])


def in_proportion(cut: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """Return a slice [h, w] whose pixels lie `spacing` mm apart with pixels as far apart along both axes as the nearer.

    Each pixel becomes as many as come next to its size: no value is made up.
    """
    for axis, between in enumerate(spacing):
        positions = round(cut.shape[axis] * between / min(spacing))
        cut = cut.take(np.arange(positions) * cut.shape[axis] // positions, axis)
    return cut

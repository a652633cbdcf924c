"""Scores and slices of restored volumes, which come in windows."""

import math

import numpy as np
import torch
from pytorch_msssim import ssim
from torch import Tensor

from data.augment.batch import Batch
from data.pretext.hiding import Shown
from reconstruction.losses import SSIM_WINDOW
from reconstruction.metrics import MAX_PSNR


class VolumeScores:
    """Scores of volumes, from sums over the windows that cover them (`data.volumes.batches.plain_batches`).

    Attributes:
        sums: index of a volume -> squared error, number of values, SSIM summed over positions, number of positions.
    """

    def __init__(self) -> None:
        self.sums: dict[int, np.ndarray] = {}

    def add(self, indices: np.ndarray, restored: Tensor, target: Tensor, content: Tensor) -> None:
        """Add windows.

        Args:
            indices: [N] of the volume that each is of.
            restored, target: [N, C, D, H, W] in [0, 1].
            content: [N, 1, D, H, W] bool: a box that begins at the window's first voxel.
        """
        with torch.no_grad(), torch.autocast(restored.device.type, enabled=False):
            for index, one, other, inside in zip(indices.tolist(), restored, target, content[:, 0], strict=True):
                box = _box(inside)
                found = _window_sums(one[:, *box].float(), other[:, *box].float())
                self.sums[index] = self.sums.get(index, np.zeros(4)) + found

    def scores(self) -> dict[str, Tensor]:
        """Return `mse`, `psnr` and `ssim` [N] of the volumes, as `reconstruction.metrics.restoration_scores` does.

        SSIM is the mean over the positions at which an 11 x 11 x 11 window lies wholly in one of the volume's windows;
        NaN where there is none.
        """
        error, values, similarity, positions = torch.from_numpy(np.stack(list(self.sums.values()))).unbind(1)
        mse = error / values
        psnr = (-10 * mse.log10()).clamp(max=MAX_PSNR)
        return {"mse": mse, "psnr": psnr, "ssim": similarity / positions.where(positions > 0, torch.nan)}


def through_errors(batch: Batch, seen: Shown, output: Tensor) -> tuple[Batch, Shown, Tensor]:
    """Return pictures [N, C, H, W] in place of windows: of each the slice with the largest error."""
    channels = min(output.shape[1], batch.clean.shape[1])
    error = (output[:, :channels] - batch.clean[:, :channels]).square().sum(1) * batch.content[:, 0]
    chosen = error.sum((2, 3)).argmax(1)
    rows = torch.arange(len(chosen), device=chosen.device)

    def cut(volumes: Tensor) -> Tensor:
        return volumes[rows, :, chosen]

    clean = cut(batch.clean)
    hidden = None if seen.hidden is None else cut(seen.hidden)
    pictures = Shown(cut(seen.images), cut(seen.visible), cut(seen.judged), hidden)
    return Batch(clean, clean, cut(batch.content), None), pictures, cut(output)


def _box(inside: Tensor) -> tuple[slice, ...]:
    """Return the box from the first voxel on that is True in [D, H, W]."""
    lengths = (inside.movedim(axis, 0).flatten(1).any(1).sum() for axis in range(inside.ndim))
    return tuple(slice(0, int(length)) for length in lengths)


def _window_sums(restored: Tensor, target: Tensor) -> np.ndarray:
    """Return what a window [C, d, h, w] adds to `VolumeScores.sums`."""
    error = (restored - target).square().double().sum().item()
    if min(target.shape[1:]) < SSIM_WINDOW:
        return np.array([error, target.numel(), 0, 0], np.float64)
    positions = math.prod(side - SSIM_WINDOW + 1 for side in target.shape[1:])
    similarity = ssim(restored[None], target[None], data_range=1, win_size=SSIM_WINDOW).item()
    return np.array([error, target.numel(), similarity * positions, positions], np.float64)

"""Which unlabelled pictures a network labelled alike while it was trained: ST++ (Yang et al. 2022)."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from core.classes import ClassSet
from core.errors import UserError
from core.machine.machine import Machine
from core.terminal.progress import track
from data.loading import plain_batches
from data.split import Split
from transfer_learning.unlabelled.settings import CHECKPOINTS
from transfer_learning.unlabelled.teachers import load_teacher


def checkpoints_of(weights: Path) -> list[Path]:
    """Return the checkpoints that lie beside weights, oldest first, at most `CHECKPOINTS` of them.

    Raises:
        UserError: there are none.
    """
    found = sorted(
        (weights.parent / "checkpoints").glob("epoch_*.safetensors"),
        key=lambda path: int(path.stem.partition("_")[2]) if path.stem.partition("_")[2].isdigit() else 0,
    )
    if not found:
        raise UserError(
            f"{weights.parent} has no checkpoints, by which --stable tells: train it with --save_every, or give "
            "--stable 1"
        )
    return [found[round(place)] for place in np.linspace(0, len(found) - 1, min(CHECKPOINTS, len(found)))]


def most_stable(
    split: Split, pool: np.ndarray, weights: Path, share: float, batch_size: int, class_set: ClassSet, machine: Machine
) -> np.ndarray:
    """Return the indices, rising, of the share of a pool [N] that the checkpoints label most as the weights do.

    A picture's stability is its mean IoU between a checkpoint's labels and the weights', over the classes that either
    says there, summed over the checkpoints.

    Raises:
        UserError: there are no checkpoints, or they cannot label these pictures.
    """
    paths = [*checkpoints_of(weights), weights]
    networks = [load_teacher(path, class_set, split.channels, machine) for path in paths]
    stability = []
    starts = range(0, len(pool), batch_size)
    for start in track(starts, "stability of the unlabelled pictures", len(starts), transient=True):
        rows = pool[start : start + batch_size]
        _, batch = next(plain_batches(split, rows, len(rows), machine.device))
        *earlier, final = (_labels(network, batch.input, batch.content, machine) for network in networks)
        first, *others = (agreement(one, final, batch.content[:, 0], len(class_set)) for one in earlier)
        stability.append(sum(others, first))
    order = np.argsort(-torch.cat(stability).cpu().numpy(), kind="stable")
    return np.sort(pool[order[: max(1, round(share * len(pool)))]])


def _labels(network: nn.Module, images: Tensor, content: Tensor, machine: Machine) -> Tensor:
    with torch.inference_mode(), machine.fabric.autocast():
        return network(images, content).max(dim=1).indices


def agreement(one: Tensor, other: Tensor, content: Tensor, num_classes: int) -> Tensor:
    """Return the mean IoU [N] of two labellings [N, H, W] of pictures, over the classes that either holds of each."""
    said = torch.arange(num_classes, device=one.device).view(-1, 1, 1, 1)
    first, second = (one == said) & content, (other == said) & content  # [C, N, H, W]
    common, either = ((first & second).sum((2, 3)).T, (first | second).sum((2, 3)).T)  # [N, C]
    held = either > 0
    return (common / either.clamp(min=1)).sum(1) / held.sum(1).clamp(min=1)

"""From a split's arrays to batches on a device."""

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.errors import UserError
from core.evaluation import spread
from core.headers.header import read_header
from core.headers.seen import all_named
from core.networks.unet import require_sides
from core.randomness import keys
from data.augment.batch import Batch, augment, plain
from data.augment.settings import AugmentConfig
from data.opened import Data
from data.split import Split
from data.volumes import batches as volumes
from data.volumes.settings import PatchConfig
from data.volumes.split import VolumeSplit

AnySplit = Split | VolumeSplit
SAMPLE = 256  # pictures that stand for all


def open_training(data: Data, augment: AugmentConfig, judged_by: str = "Val") -> tuple[AnySplit, AnySplit]:
    """Return Train and the split that judges; of volumes with the windows that `--patch` says.

    Raises:
        UserError: a split cannot be opened, the pictures or their training windows are too small for a network, or
            `--patch` stands beside pictures or lacks beside volumes.
    """
    train, val = data.splits("Train", judged_by)
    patch = augment.patch_sides if isinstance(augment, PatchConfig) else ()
    if isinstance(train, VolumeSplit) and isinstance(val, VolumeSplit):
        return volumes.in_patches(train, patch), volumes.in_patches(val, patch)
    if patch:
        raise UserError(
            f"{data.data_dir} holds pictures, and --patch is for volumes: leave it out, or see --train_crop"
        )
    for sides in (train.size, augment.window):
        if sides:
            require_sides(*sides)
    return train, val


def require_unseen(data: Data, begun_with: Iterable[Path | None], allowed: bool) -> bool:
    """See that weights a run begins with were not trained on pictures of Val or Test; say whether they all tell.

    Raises:
        UserError: some were, and that is not allowed.
    """
    tell = True
    for path in filter(None, begun_with):
        seen = read_header(path).seen
        data.require_unseen(path, seen, allowed, "Val", "Test")
        tell = tell and all_named(seen)
    return tell


def training_batch(
    split: AnySplit,
    draw: tuple[np.ndarray, np.ndarray, np.ndarray],
    seed: int,
    config: AugmentConfig,
    device: torch.device,
) -> Batch:
    """Return the augmented batch of a draw (passes, indices, repeats, each [N]; see `core.run.sampling.Draws`).

    Labels come along where every picture of the draw has one. Of a volume a patch is read (`config` is a `PatchConfig`
    too).
    """
    passes, indices, repeats = draw
    if isinstance(split, VolumeSplit):
        return volumes.training_batch(split, indices, keys(seed, passes, indices, repeats), config, device)
    images, rectangles, labels = _rows(split, indices, device)
    return augment(images, rectangles, labels, keys(seed, passes, indices, repeats), config)


def plain_batches(
    split: AnySplit, indices: np.ndarray, batch_size: int, device: torch.device
) -> Iterator[tuple[np.ndarray, Batch]]:
    """Yield (indices, batch) over the given pictures in order, without augmentation; of volumes over their windows."""
    if isinstance(split, VolumeSplit):
        yield from volumes.plain_batches(split, indices, batch_size, device)
        return
    for start in range(0, len(indices), batch_size):
        chosen = indices[start : start + batch_size]
        yield chosen, plain(*_rows(split, chosen, device))


def sampled(split: AnySplit, indices: np.ndarray, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield (pictures, content) of up to 256 of the given pictures, spread evenly, without augmentation."""
    some = indices[spread(len(indices), SAMPLE)]
    for _, batch in plain_batches(split, some, batch_size, torch.device("cpu")):
        yield batch.input, batch.content


def on_device(split: AnySplit, device: torch.device, limit: float | None) -> AnySplit:
    """Return the split with its arrays in a GPU's memory, the split as it is where they don't fit or there is no GPU.

    Volumes are always read from their files.

    Args:
        split: opened, its arrays memory-mapped.
        device: where batches go.
        limit: GiB that the arrays may take; None takes half of what is free.
    """
    if device.type != "cuda" or isinstance(split, VolumeSplit):
        return split
    allowed = torch.cuda.mem_get_info(device)[0] / 2 if limit is None else limit * 2**30
    if split.images.nbytes + split.labels.nbytes > allowed:
        return split
    return moved(split, device)


def moved(split: Split, device: torch.device) -> Split:
    """Return the split with its images and labels as tensors on a device."""
    # Copied, since torch warns of memory maps that must not be written to.
    arrays: dict[str, Any] = {
        name: torch.from_numpy(np.array(getattr(split, name))).to(device) for name in ("images", "labels")
    }
    return dataclasses.replace(split, **arrays)


def _rows(
    split: Split, indices: np.ndarray, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    rows = split.label_rows[indices]
    labels = _take(split.labels, rows, device) if (rows >= 0).all() else None
    return _take(split.images, indices, device), torch.from_numpy(split.rectangles[indices]), labels


def _take(array: np.ndarray | torch.Tensor, rows: np.ndarray, device: torch.device) -> torch.Tensor:
    if isinstance(array, torch.Tensor):
        return array[torch.from_numpy(rows).to(array.device)]
    return torch.from_numpy(array[rows]).to(device)


def strata_groups(split: AnySplit, indices: np.ndarray, class_balance: bool) -> list[np.ndarray]:
    """Return the pictures in one group, or one group a stratum (`Split.strata`) for `--class_balance`.

    Raises:
        UserError: to balance, where a picture's stratum is not known or there is only one.
    """
    if not class_balance:
        return [indices]
    what = f"the tag {split.stratum}" if split.stratum else "the classes"
    strata = np.array([split.strata[index] or "" for index in indices])
    found = sorted(set(strata))
    if "" in found:
        missing = (strata == "").sum()
        raise UserError(f"--class_balance needs {what} of every picture; {missing} have none: leave it out")
    if len(found) < 2:
        raise UserError(f"--class_balance draws by {what}; all pictures are of {found[0]!r}: leave it out")
    return [indices[strata == name] for name in found]

"""Spatial dropout that does not depend on how many processes share a batch."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor

_share: tuple[int, int] | None = None


@contextmanager
def share_of_batch(first: int, total: int) -> Iterator[None]:
    """Say that networks in this block see the pictures from `first` on of a batch of `total`."""
    global _share
    before, _share = _share, (first, total)
    try:
        yield
    finally:
        _share = before


def same_share() -> AbstractContextManager[None]:
    """Return what says again, whenever it is entered, what holds now of the batch."""
    return share_of_batch(*_share) if _share else nullcontext()


def spatial_dropout(features: Tensor, rate: float, training: bool) -> Tensor:
    """Drop whole channels of each picture and scale up the others (Tompson et al. 2015).

    The draw is made for the whole batch in every process, of which each takes its own rows.

    Args:
        features: [N, C, *sides].
        rate: the share dropped, in [0, 1).
        training: False returns the features as they are.
    """
    if not training or not rate:
        return features
    first, total = _share or (0, len(features))
    drawn = torch.rand(total, features.shape[1], *[1] * (features.ndim - 2), device=features.device)
    kept = drawn[first : first + len(features)] >= rate
    return features * (kept / (1 - rate)).to(features.dtype)

"""Sums over the pixels of each class of a batch, which Dice and cross-entropy are ratios of."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from core.classes import IGNORED
from core.networks.layers import a_channel


class ClassSums(torch.autograd.Function):
    """What soft Dice and cross-entropy of a batch are made of, for each class, with its gradient written out.

    Every sum is one over the planes of a mask a class: in a fixed order, which adding by index has not on CUDA, and
    pairwise, so that millions add up well. Masks of numbers are faster than gathering at the labels.
    """

    @staticmethod
    def forward(
        context: Any, log_probabilities: Tensor, label: Tensor, dice: bool, cross_entropy: bool
    ) -> tuple[Tensor | None, ...]:
        """Return intersection sum(p g), predicted mass sum(p) and cross-entropy sum(-g log p), each [C] fp32 or None.

        Args:
            context: of autograd.
            log_probabilities: [N, C, *sides] fp32.
            label: [N, *sides] int64: a class, or 255 where nothing is scored.
            dice: whether the first two are wanted.
            cross_entropy: whether the last is.
        """
        label = label[:, None]
        scored = (label != IGNORED).to(log_probabilities.dtype)
        # No place is named twice, so the outcome does not depend on an order.
        masks = torch.zeros_like(log_probabilities).scatter_(1, label.where(label != IGNORED, 0), scored)
        probabilities = log_probabilities.exp() if dice else None
        context.save_for_backward(probabilities, masks, scored)
        context.cross_entropy = cross_entropy
        return (
            per_class(probabilities * masks) if probabilities is not None else None,
            per_class(probabilities * scored) if probabilities is not None else None,
            -per_class(log_probabilities * masks) if cross_entropy else None,
        )

    @staticmethod
    @once_differentiable
    def backward(context: Any, *of_sums: Tensor) -> tuple[Any, ...]:
        """Return the gradient of the log-probabilities from those of the three sums."""
        probabilities, masks, scored = context.saved_tensors
        intersection, predicted, cross_entropy = (
            None if values is None else a_channel(values, masks)[0] for values in of_sums
        )
        if probabilities is None:
            return -cross_entropy * masks, None, None, None
        gradient = (intersection * masks).addcmul_(predicted, scored).mul_(probabilities)
        if context.cross_entropy:
            gradient.addcmul_(masks, cross_entropy, value=-1)
        return gradient, None, None, None


def per_class(values: Tensor) -> Tensor:
    """Return the sums [C] of values [N, C, *sides]."""
    return values.sum((0, *range(2, values.ndim)))


def class_counts(label: Tensor, num_classes: int) -> Tensor:
    """Count the pixels of each class, [C] int64, without `torch.bincount`, which waits for a GPU to say how many."""
    counts = torch.zeros(IGNORED + 1, dtype=torch.int64, device=label.device)
    return counts.index_add_(0, label.flatten(), torch.ones_like(label).flatten())[:num_classes]

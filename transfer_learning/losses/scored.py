"""What the terms of a loss read of a batch, each made once and only where a term asks for it."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from core.classes import IGNORED
from transfer_learning.losses.class_sums import ClassSums, class_counts, per_class


@dataclass(frozen=True)
class Scored:
    """A batch as the network sees it, beside its truth.

    Attributes:
        log_probabilities: [N, C, *sides] fp32, with their graph.
        label: [N, *sides] int64: a class, or 255 where nothing is scored.
        background: the class that is no object, if there is one.
        reads: which of `ClassSums` the terms read, so that one pass makes them all: "overlap", "cross_entropy".
    """

    log_probabilities: Tensor
    label: Tensor
    background: int | None = None
    reads: Collection[str] = ("overlap", "cross_entropy")

    @cached_property
    def pixels(self) -> Tensor:
        """Pixels of each class in the truth, [C] fp32."""
        return class_counts(self.label, self.log_probabilities.shape[1]).float()

    @cached_property
    def _class_sums(self) -> tuple[Tensor, Tensor, Tensor]:
        wanted = ("overlap" in self.reads, "cross_entropy" in self.reads)
        return ClassSums.apply(self.log_probabilities, self.label, *wanted)

    @property
    def overlap(self) -> tuple[Tensor, Tensor]:
        """Intersection sum(p g) and predicted mass sum(p) of each class, each [C]."""
        return self._class_sums[:2]

    @property
    def cross_entropy(self) -> Tensor:
        """Sum of -log p of the true class over the pixels of each class, [C]."""
        return self._class_sums[2]

    @cached_property
    def scored(self) -> Tensor:
        """Where something is scored, [N, *sides] bool."""
        return self.label != IGNORED

    @cached_property
    def truth(self) -> Tensor:
        """A plane a class, [N, C, *sides] fp32: 1 where it is the truth; 0 in all where nothing is scored."""
        label, scored = self.label[:, None], self.scored[:, None]
        planes = torch.zeros_like(self.log_probabilities, requires_grad=False)
        return planes.scatter_(1, label.where(scored, 0), scored.to(planes.dtype))

    @cached_property
    def log_probability(self) -> Tensor:
        """That of the true class, [N, *sides], with its graph; 0 where nothing is scored."""
        return (self.log_probabilities * self.truth).sum(1)

    def by_class(self, values: Tensor) -> Tensor:
        """Add up values [N, *sides] over the pixels of each true class, [C], in an order that is always the same."""
        return per_class(values[:, None] * self.truth)

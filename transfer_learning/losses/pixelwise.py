"""Terms that are a mean over pixels of what each costs: cross-entropy and its kin, with the classes' weights."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from core.errors import UserError
from core.losses import ratio

if TYPE_CHECKING:
    from torch import Tensor

    from transfer_learning.losses.scored import Scored
    from transfer_learning.losses.terms import ClassWeighting


def weighted_mean(weigh: "ClassWeighting", costs: "Tensor", counted: "Tensor", pixels: "Tensor") -> "Tensor":
    """Return sum(w cost) / sum(w n) over the classes: torch's weighted `F.cross_entropy`.

    Args:
        weigh: makes the classes' weights of their pixels.
        costs: summed over the pixels of each class, [C].
        counted: how many pixels these are, [C].
        pixels: of each class in the truth, [C].
    """
    weights = weigh(pixels)
    return ratio((weights * costs).sum(), (weights * counted).sum())


@dataclass(frozen=True)
class CrossEntropy:
    """-log p of the true class."""

    reads: ClassVar = ("cross_entropy",)

    def sums(self, batch: "Scored") -> "tuple[Tensor, ...]":
        """Return the cross-entropy and the pixels of each class."""
        return batch.cross_entropy, batch.pixels

    def value(self, weigh: "ClassWeighting", cross_entropy: "Tensor", pixels: "Tensor") -> "Tensor":
        """Return the weighted mean."""
        return weighted_mean(weigh, cross_entropy, pixels, pixels)


@dataclass(frozen=True)
class Focal:
    """-(1 - p)^gamma log p of the true class (Lin et al. 2017, "Focal Loss for Dense Object Detection").

    The paper's alpha is the class's weight.
    """

    gamma: float = 2.0
    reads: ClassVar = ()

    def __post_init__(self) -> None:
        if not self.gamma >= 0:
            raise UserError(f"focal(gamma={self.gamma:g}): gamma is 0 (cross-entropy) or more, 2 in the paper")

    def sums(self, batch: "Scored") -> "tuple[Tensor, ...]":
        """Return the cost and the pixels of each class."""
        # Not quite 0, where a root has no slope.
        missing = batch.log_probability.expm1().neg().clamp(min=1e-6)
        return batch.by_class(-batch.log_probability * missing**self.gamma), batch.pixels

    def value(self, weigh: "ClassWeighting", costs: "Tensor", pixels: "Tensor") -> "Tensor":
        """Return the weighted mean."""
        return weighted_mean(weigh, costs, pixels, pixels)


@dataclass(frozen=True)
class HardPixels:
    """Cross-entropy of the pixels whose true class has less than a probability (Shrivastava et al. 2016, OHEM).

    Of each picture at least a share, its least probable pixels, counts: picture by picture and not of the whole batch,
    so that the sums of any division into batches and processes are the same.
    """

    threshold: float = 0.7
    share: float = 0.1
    reads: ClassVar = ()

    def __post_init__(self) -> None:
        if not (0 < self.threshold <= 1 and 0 <= self.share <= 1):
            raise UserError(f"ohem(threshold={self.threshold:g}, share={self.share:g}): both lie within 0 and 1")

    def sums(self, batch: "Scored") -> "tuple[Tensor, ...]":
        """Return the cross-entropy and the number of the pixels that count, and the pixels, of each class."""
        scored = batch.scored.flatten(1)
        probability = batch.log_probability.detach().exp().flatten(1).where(scored, 2)  # those not scored come last
        least = (self.share * scored.sum(1)).ceil().long().clamp(min=1)
        reached = probability.sort(1).values.gather(1, least[:, None] - 1)
        counted = scored & ((probability <= reached) | (probability < self.threshold))
        kept = counted.view_as(batch.label).float()
        return batch.by_class(-batch.log_probability * kept), batch.by_class(kept), batch.pixels

    def value(self, weigh: "ClassWeighting", costs: "Tensor", counted: "Tensor", pixels: "Tensor") -> "Tensor":
        """Return the weighted mean over the pixels that count."""
        return weighted_mean(weigh, costs, counted, pixels)


@dataclass(frozen=True)
class LabelSmoothing:
    """Cross-entropy against a truth that gives a share to all classes alike (Szegedy et al. 2016, Inception v3)."""

    share: float = 0.1
    reads: ClassVar = ("cross_entropy",)

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise UserError(f"label_smoothing(share={self.share:g}): the share lies in 0 to 1, 0.1 is common")

    def sums(self, batch: "Scored") -> "tuple[Tensor, ...]":
        """Return the cross-entropy of each class, what each costs as the truth of every pixel, and its pixels."""
        from transfer_learning.losses.class_sums import per_class

        everywhere = -per_class(batch.log_probabilities * batch.scored[:, None])
        return batch.cross_entropy, everywhere, batch.pixels

    def value(
        self, weigh: "ClassWeighting", cross_entropy: "Tensor", everywhere: "Tensor", pixels: "Tensor"
    ) -> "Tensor":
        """Return the weighted mean, as torch's `F.cross_entropy` has it."""
        costs = (1 - self.share) * cross_entropy + self.share / len(pixels) * everywhere
        return weighted_mean(weigh, costs, pixels, pixels)

"""Terms that compare regions: Dice, Tversky, Jaccard and Lovász, of the classes that the truth holds.

A class absent from the truth has no overlap: to count it as 1 would reward never naming it, as 0 would add a constant.
Its probability still costs, for it is missing from the classes that are there. No smoothing term, which would do both
in small doses.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from core.errors import UserError
from core.losses import ratio

if TYPE_CHECKING:
    from torch import Tensor

    from transfer_learning.losses.scored import Scored
    from transfer_learning.losses.terms import ClassWeighting


@dataclass(frozen=True)
class _Overlap:
    """What Dice, Tversky and Jaccard are made of: one numerator and one denominator a class over all pixels.

    Over those of the batch: the batch Dice of nnU-Net (Isensee et al. 2021, nnU-Net, Nature Methods 18).
    """

    reads: ClassVar = ("overlap",)

    def sums(self, batch: "Scored") -> "tuple[Tensor, ...]":
        """Return the intersection, the predicted mass and the pixels of each class."""
        return *batch.overlap, batch.pixels

    def value(self, weigh: "ClassWeighting", intersection: "Tensor", predicted: "Tensor", true: "Tensor") -> "Tensor":
        """Return 1 - the mean overlap of the classes that the truth holds; 0 where it holds none."""
        present = true > 0
        hit, whole = self.parts(intersection, predicted, true)
        return ((1 - hit / whole.where(present, 1)) * present).sum() / present.sum().clamp(min=1)

    def parts(self, intersection: "Tensor", predicted: "Tensor", true: "Tensor") -> "tuple[Tensor, Tensor]":
        """Return numerator and denominator of each class's overlap, above 0 where the truth holds the class."""
        raise NotImplementedError


@dataclass(frozen=True)
class Dice(_Overlap):
    """2 sum(p g) / (sum(p) + sum(g)): Drozdzal et al. 2016, "The Importance of Skip Connections in Biomedical ..."."""

    def parts(self, intersection: "Tensor", predicted: "Tensor", true: "Tensor") -> "tuple[Tensor, Tensor]":
        """Return numerator and denominator."""
        return 2 * intersection, predicted + true


@dataclass(frozen=True)
class Jaccard(_Overlap):
    """sum(p g) / (sum(p) + sum(g) - sum(p g)): Rahman and Wang 2016, "Optimizing Intersection-Over-Union ..."."""

    def parts(self, intersection: "Tensor", predicted: "Tensor", true: "Tensor") -> "tuple[Tensor, Tensor]":
        """Return numerator and denominator."""
        return intersection, predicted + true - intersection


@dataclass(frozen=True)
class Tversky(_Overlap):
    """Wrongly named mass costs alpha, missing mass beta: Salehi et al. 2017, "Tversky loss function ...".

    Dice is alpha = beta = 0.5, Jaccard alpha = beta = 1.
    """

    alpha: float = 0.3
    beta: float = 0.7

    def __post_init__(self) -> None:
        if not (self.alpha >= 0 and self.beta > 0):
            raise UserError(
                f"tversky(alpha={self.alpha:g}, beta={self.beta:g}): alpha (of what is wrongly named) is 0 or more, "
                "beta (of what is missed) above 0"
            )

    def parts(self, intersection: "Tensor", predicted: "Tensor", true: "Tensor") -> "tuple[Tensor, Tensor]":
        """Return numerator and denominator."""
        wrong, missed = predicted - intersection, true - intersection
        return intersection, intersection + self.alpha * wrong + self.beta * missed


@dataclass(frozen=True)
class Lovasz:
    """Lovász-Softmax (Berman et al. 2018), the mean over pictures: a surrogate of each picture's own mean IoU.

    The surrogate of a batch is no ratio of sums, so neither batches nor processes would add up to it. That of a picture
    is whole in one process (the paper's `per_image`), and the mean over pictures is a ratio of sums.
    """

    reads: ClassVar = ()

    def sums(self, batch: "Scored") -> "tuple[Tensor, ...]":
        """Return the sum over the pictures of which anything is scored, and their number."""
        truth, scored = batch.truth.flatten(2), batch.scored.flatten(1)[:, None]
        errors = (truth - batch.log_probabilities.exp().flatten(2)).abs().where(scored, -1)
        errors, order = errors.sort(dim=2, descending=True)  # [N, C, H W]; what is not scored comes last
        sorted_truth, pixels = truth.gather(2, order), truth.sum(2)
        missed = pixels[..., None] - sorted_truth.cumsum(2)
        # How much of the class's IoU is lost when the pixels up to each are wrong.
        lost = 1 - missed / (pixels[..., None] + (1 - sorted_truth).cumsum(2))
        lost[..., 1:] = lost.diff(dim=2)
        present = pixels > 0
        of_classes = (errors.clamp(min=0) * lost).sum(2)
        of_pictures = ratio((of_classes * present).sum(1), present.sum(1))
        return of_pictures.sum(), present.any(1).sum().float()

    def value(self, weigh: "ClassWeighting", of_pictures: "Tensor", pictures: "Tensor") -> "Tensor":
        """Return the mean over pictures."""
        return ratio(of_pictures, pictures)

"""The loss of phase 2: soft Dice and weighted cross-entropy, with the pixels of 255 left out of every term.

Both are ratios of sums over the batch; `ClassSums` gives the sums, apart from the division.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from core.classes import IGNORED
from core.errors import UserError
from core.losses import check_weights, ratio
from transfer_learning.config import ClassWeights


class SegmentationLoss(nn.Module):
    """dice_weight * (1 - Dice) + ce_weight * weighted cross-entropy, in fp32.

    Args:
        dice_weight: weight of the Dice loss; 0 leaves it out.
        ce_weight: weight of the cross-entropy; 0 leaves it out.
        weighted_ce: where the class weights come from: `static` = `class_weights` of `class_pixels`, `log` = their
            `log_weights`, `batch` = `class_weights` of the batch itself, `off` = all ones.
        class_pixels: [C] pixels of each class in the training labels; needed for `static` and `log`.

    Raises:
        UserError: for a negative weight, both weights zero, or `static` or `log` without any labelled pixel.
    """

    def __init__(
        self,
        dice_weight: float,
        ce_weight: float,
        weighted_ce: ClassWeights = "off",
        class_pixels: Sequence[int] | Tensor | None = None,
    ) -> None:
        super().__init__()
        self.weights = {"dice": dice_weight, "ce": ce_weight}
        check_weights({f"{part}_weight": weight for part, weight in self.weights.items()})
        self.weighted_ce = weighted_ce
        if weighted_ce in OF_ALL_LABELS:
            assert class_pixels is not None, f"{weighted_ce} class weights need the pixels of each class"
            if not any(class_pixels):
                raise UserError("the training labels hold no pixel of any class: there is nothing to learn from")
            weights = OF_ALL_LABELS[weighted_ce](torch.as_tensor(class_pixels))
            self.register_buffer("static_weights", weights, persistent=False)

    def forward(self, logits: Tensor, label: Tensor) -> dict[str, Tensor | None]:
        """Return the loss and its parts as fp32 scalars.

        Args:
            logits: [N, C, H, W], any floating type.
            label: [N, H, W] int64: a class, or 255 where nothing is scored.

        Returns:
            `loss` with its graph; `dice` (the Dice loss, 1 - Dice) and `ce` detached, None where the weight is 0.
            A batch of which nothing is scored gives 0, with a gradient of 0.
        """
        return self.from_sums(self.sums(logits, label))

    def sums(self, logits: Tensor, label: Tensor) -> dict[str, tuple[Tensor, ...]]:
        """Return what the parts are ratios of; arguments as those of `forward`. Sums of several batches add up."""
        with torch.autocast(logits.device.type, enabled=False):
            log_probabilities = logits.float().log_softmax(1)
            pixels = class_counts(label, logits.shape[1]).float()
            wanted = bool(self.weights["dice"]), bool(self.weights["ce"])
            intersection, predicted, cross_entropy = ClassSums.apply(log_probabilities, label, *wanted)
            sums = {"dice": (intersection, predicted, pixels), "ce": (cross_entropy, pixels)}
            return {name: sums[name] for name, weight in self.weights.items() if weight}

    def from_sums(self, sums: dict[str, tuple[Tensor, ...]]) -> dict[str, Tensor | None]:
        """Return what `forward` returns, from `sums` of one batch or added over several."""
        divide = {"dice": dice_loss, "ce": self._weighted_mean}
        parts = {name: divide[name](*of_part) for name, of_part in sums.items()}
        loss = sum(self.weights[name] * part for name, part in parts.items())
        return {"loss": loss, **{name: parts[name].detach() if name in parts else None for name in self.weights}}

    def _weighted_mean(self, cross_entropy: Tensor, pixels: Tensor) -> Tensor:
        """Return sum(w ce) / sum(w n) over the classes: torch's weighted `F.cross_entropy`."""
        if self.weighted_ce in OF_ALL_LABELS:
            weights = self.static_weights
        else:
            weights = class_weights(pixels) if self.weighted_ce == "batch" else torch.ones_like(pixels)
        return ratio((weights * cross_entropy).sum(), (weights * pixels).sum())


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
            log_probabilities: [N, C, H, W] fp32.
            label: [N, H, W] int64: a class, or 255 where nothing is scored.
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
            (probabilities * masks).sum((0, 2, 3)) if dice else None,
            (probabilities * scored).sum((0, 2, 3)) if dice else None,
            -(log_probabilities * masks).sum((0, 2, 3)) if cross_entropy else None,
        )

    @staticmethod
    @once_differentiable
    def backward(context: Any, *of_sums: Tensor) -> tuple[Any, ...]:
        """Return the gradient of the log-probabilities from those of the three sums."""
        probabilities, masks, scored = context.saved_tensors
        intersection, predicted, cross_entropy = (
            None if values is None else values.view(-1, 1, 1) for values in of_sums
        )
        if probabilities is None:
            return -cross_entropy * masks, None, None, None
        gradient = (intersection * masks).addcmul_(predicted, scored).mul_(probabilities)
        if context.cross_entropy:
            gradient.addcmul_(masks, cross_entropy, value=-1)
        return gradient, None, None, None


def class_counts(label: Tensor, num_classes: int) -> Tensor:
    """Count the pixels of each class, [C] int64, without `torch.bincount`, which waits for a GPU to say how many."""
    counts = torch.zeros(IGNORED + 1, dtype=torch.int64, device=label.device)
    return counts.index_add_(0, label.flatten(), torch.ones_like(label).flatten())[:num_classes]


def dice_loss(intersection: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
    """Return 1 - the mean soft Dice of the classes that the truth holds, from the sums of each; 0 where it holds none.

    One numerator and one denominator a class over all pixels of the batch: the batch Dice of nnU-Net (Isensee et al.
    2021, nnU-Net, Nature Methods 18), with the soft Dice 2 sum(p g) / (sum(p) + sum(g)) of Drozdzal et al. 2016 ("The
    Importance of Skip Connections in Biomedical Image Segmentation"). A class absent from the truth has no Dice: to
    count it as 1 would reward never naming it, as 0 would add a constant. Its probability still costs, for it is
    missing from the classes that are there. No smoothing term, which would do both in small doses.
    """
    present = true > 0
    dice = 2 * intersection / (predicted + true).where(present, 1)
    return ((1 - dice) * present).sum() / present.sum().clamp(min=1)


def class_weights(class_pixels: Tensor) -> Tensor:
    """Return the inverse frequency N / (C * n_c) of each class, [C] fp32, from its pixels n_c [C].

    A class without pixels weighs 0: nothing of it can be scored, and an infinite weight would help nobody.
    """
    pixels = class_pixels.float()
    return (pixels.sum() / (len(pixels) * pixels)).where(pixels > 0, 0)


def log_weights(class_pixels: Tensor) -> Tensor:
    """Return 1 / ln(1.02 + n_c / N) of each class, [C] fp32 (Paszke et al. 2016, ENet): 50 at most, 1.4 at least.

    Milder than the inverse frequency, which takes much of the common classes for rare ones. A class without pixels
    weighs 0, as there.
    """
    pixels = class_pixels.float()
    return (1 / torch.log(1.02 + pixels / pixels.sum())).where(pixels > 0, 0)


OF_ALL_LABELS = {"static": class_weights, "log": log_weights}

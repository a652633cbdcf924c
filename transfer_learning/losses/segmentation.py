"""The loss of phase 2: soft Dice and weighted cross-entropy, with the pixels of 255 left out of every term.

Both are ratios of sums over the batch; `dice_sums` and `cross_entropy_sums` give the sums, apart from the division.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from core.errors import UserError
from core.losses import check_weights, ratio


class SegmentationLoss(nn.Module):
    """dice_weight * (1 - Dice) + ce_weight * weighted cross-entropy, in fp32.

    Args:
        dice_weight: weight of the Dice loss; 0 leaves it out.
        ce_weight: weight of the cross-entropy; 0 leaves it out.
        weighted_ce: where the class weights come from: `static` = `class_pixels`, `batch` = the pixels of the batch
            itself, `off` = all ones.
        class_pixels: [C] pixels of each class in the training labels; needed for `static`.

    Raises:
        UserError: for a negative weight, both weights zero, or `static` without any labelled pixel.
    """

    def __init__(
        self,
        dice_weight: float,
        ce_weight: float,
        weighted_ce: Literal["static", "batch", "off"] = "off",
        class_pixels: Sequence[int] | Tensor | None = None,
    ) -> None:
        super().__init__()
        self.weights = {"dice": dice_weight, "ce": ce_weight}
        check_weights({f"{part}_weight": weight for part, weight in self.weights.items()})
        self.weighted_ce = weighted_ce
        if weighted_ce == "static":
            assert class_pixels is not None, "static class weights need the pixels of each class"
            if not any(class_pixels):
                raise UserError("the training labels hold no pixel of any class: there is nothing to learn from")
            self.register_buffer("static_weights", class_weights(torch.as_tensor(class_pixels)), persistent=False)

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
            truth = one_hot(label, logits.shape[1])
            compute = {
                "dice": lambda: dice_sums(log_probabilities.exp(), truth),
                "ce": lambda: cross_entropy_sums(log_probabilities, truth),
            }
            return {name: compute[name]() for name, weight in self.weights.items() if weight}

    def from_sums(self, sums: dict[str, tuple[Tensor, ...]]) -> dict[str, Tensor | None]:
        """Return what `forward` returns, from `sums` of one batch or added over several."""
        divide = {"dice": dice_loss, "ce": self._weighted_mean}
        parts = {name: divide[name](*of_part) for name, of_part in sums.items()}
        loss = sum(self.weights[name] * part for name, part in parts.items())
        return {"loss": loss, **{name: parts[name].detach() if name in parts else None for name in self.weights}}

    def _weighted_mean(self, cross_entropy: Tensor, pixels: Tensor) -> Tensor:
        """Return sum(w ce) / sum(w n) over the classes: torch's weighted `F.cross_entropy`."""
        if self.weighted_ce == "static":
            weights = self.static_weights
        else:
            weights = class_weights(pixels) if self.weighted_ce == "batch" else torch.ones_like(pixels)
        return ratio((weights * cross_entropy).sum(), (weights * pixels).sum())


def one_hot(label: Tensor, num_classes: int) -> Tensor:
    """Return [N, C, H, W] bool of label [N, H, W]; a pixel of 255 is of no class."""
    classes = torch.arange(num_classes, device=label.device).view(1, -1, 1, 1)
    return label[:, None] == classes


def dice_sums(probabilities: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sum what the soft Dice of a batch is made of, for each class.

    Args:
        probabilities: [N, C, H, W].
        truth: [N, C, H, W] bool, False for all classes where nothing is scored.

    Returns:
        intersection, predicted mass and true pixels, each [C] fp32. They add up over batches and processes.
    """
    scored = truth.any(1, keepdim=True)
    intersection = (probabilities * truth).sum((0, 2, 3))
    predicted = (probabilities * scored).sum((0, 2, 3))
    return intersection, predicted, truth.sum((0, 2, 3)).to(predicted)


def dice_loss(intersection: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
    """Return 1 - the mean soft Dice of the classes that the truth holds, from `dice_sums`; 0 where it holds none.

    One numerator and one denominator a class over all pixels of the batch: the batch Dice of nnU-Net (Isensee et al.
    2021, nnU-Net, Nature Methods 18), with the soft Dice 2 sum(p g) / (sum(p) + sum(g)) of Drozdzal et al. 2016 ("The
    Importance of Skip Connections in Biomedical Image Segmentation"). A class absent from the truth has no Dice: to
    count it as 1 would reward never naming it, as 0 would add a constant. Its probability still costs, for it is
    missing from the classes that are there. No smoothing term, which would do both in small doses.
    """
    present = true > 0
    dice = 2 * intersection / (predicted + true).where(present, 1)
    return ((1 - dice) * present).sum() / present.sum().clamp(min=1)


def cross_entropy_sums(log_probabilities: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Sum the cross-entropy over each class's pixels; returns it and their number, each [C] fp32.

    Unweighted, so that weights may come from the pixels of the whole batch, wherever its parts are. Written as a sum
    over one class after another, since torch's own kernel for pictures adds up in no fixed order on CUDA.

    Args:
        log_probabilities: [N, C, H, W].
        truth: [N, C, H, W] bool, False for all classes where nothing is scored.
    """
    return -log_probabilities.where(truth, 0).sum((0, 2, 3)), truth.sum((0, 2, 3)).float()


def class_weights(class_pixels: Tensor) -> Tensor:
    """Return the inverse frequency N / (C * n_c) of each class, [C] fp32, from its pixels n_c [C].

    A class without pixels weighs 0: nothing of it can be scored, and an infinite weight would help nobody.
    """
    pixels = class_pixels.float()
    return (pixels.sum() / (len(pixels) * pixels)).where(pixels > 0, 0)

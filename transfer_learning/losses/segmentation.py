"""The loss of phase 2: a weighted sum of terms, with the pixels of 255 left out of each.

Terms are made of sums over the batch (`transfer_learning.losses.terms`), which add up; the division comes last.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from core.errors import UserError
from transfer_learning.losses.expression import Part
from transfer_learning.losses.loss_config import ClassWeights
from transfer_learning.losses.scored import Scored


class SegmentationLoss(nn.Module):
    """The sum of weight * term, in fp32.

    Args:
        parts: the terms with their weights, by name (`transfer_learning.losses.expression.parts_of`).
        weighted_ce: where the class weights come from: `static` = `class_weights` of `class_pixels`, `log` = their
            `log_weights`, `batch` = `class_weights` of the batch itself, `off` = all ones.
        class_pixels: [C] pixels of each class in the training labels; needed for `static` and `log`.
        background: the class that is no object, for terms that tell objects apart; None where all are.

    Raises:
        UserError: for `static` or `log` without any labelled pixel.
    """

    static_weights: Tensor

    def __init__(
        self,
        parts: Mapping[str, Part],
        weighted_ce: ClassWeights = "off",
        class_pixels: Sequence[int] | Tensor | None = None,
        background: int | None = None,
    ) -> None:
        super().__init__()
        self.parts, self.background = dict(parts), background
        self.reads = {name for part in parts.values() for name in part.term.reads}
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
            logits: [N, C, *sides], any floating type.
            label: [N, *sides] int64: a class, or 255 where nothing is scored.

        Returns:
            `loss` with its graph; each term (before its weight) by its name, detached. A batch of which nothing is
            scored gives 0, with a gradient of 0.
        """
        return self.from_sums(self.sums(logits, label))

    def sums(self, logits: Tensor, label: Tensor) -> dict[str, tuple[Tensor, ...]]:
        """Return the sums of each term; arguments as those of `forward`. Sums of several batches add up."""
        return self.sums_of(self.scored(logits, label))

    def scored(self, logits: Tensor, label: Tensor) -> Scored:
        """Return what the terms read of a batch; arguments as those of `forward`."""
        with torch.autocast(logits.device.type, enabled=False):
            return Scored(logits.float().log_softmax(1), label, self.background, self.reads)

    def sums_of(self, batch: Scored) -> dict[str, tuple[Tensor, ...]]:
        """Return the sums of each term over a batch."""
        with torch.autocast(batch.label.device.type, enabled=False):
            return {name: part.term.sums(batch) for name, part in self.parts.items()}

    def from_sums(self, sums: dict[str, tuple[Tensor, ...]]) -> dict[str, Tensor | None]:
        """Return what `forward` returns, from `sums` of one batch or added over several."""
        values = {name: part.term.value(self._weights, *sums[name]) for name, part in self.parts.items()}
        loss = sum(part.weight * values[name] for name, part in self.parts.items())
        assert isinstance(loss, Tensor), "there is a term at least"
        return {"loss": loss, **{name: value.detach() for name, value in values.items()}}

    def _weights(self, pixels: Tensor) -> Tensor:
        """Return the classes' weights [C], from their pixels [C] in the batch."""
        if self.weighted_ce in OF_ALL_LABELS:
            return self.static_weights
        return class_weights(pixels) if self.weighted_ce == "batch" else torch.ones_like(pixels)


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

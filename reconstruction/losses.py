"""The loss of phase 1: squared error, perceptual distance and structural similarity, over content pixels alone.

Each part is a ratio of sums over the batch, and given as these sums, so that batches and processes add up.
"""

from typing import TYPE_CHECKING, Any

import torch
from pytorch_msssim import ssim
from torch import Tensor, nn

from core.losses import check_weights, ratio
from core.machine.processes import Sums
from core.networks.layers import axes_of, layers_of
from reconstruction.config import SSIM_WINDOW

if TYPE_CHECKING:
    from reconstruction.perceptual import PerceptualDistance


class ReconstructionLoss(nn.Module):
    """mse_weight * MSE + perceptual_weight * perceptual distance + ssim_weight * (1 - SSIM), in fp32.

    Args:
        mse_weight: weight of the squared error; 0 leaves the part out, and nothing of it is computed.
        perceptual_weight: weight of `perceptual`, likewise.
        ssim_weight: weight of 1 - SSIM, likewise.
        perceptual: the distance of (restored, target, content); needed where its weight is positive.

    Raises:
        UserError: for a negative weight, or where all are zero.
    """

    def __init__(
        self,
        mse_weight: float,
        perceptual_weight: float,
        ssim_weight: float,
        perceptual: "PerceptualDistance | None" = None,
    ) -> None:
        super().__init__()
        self.weights = {"mse": mse_weight, "perceptual": perceptual_weight, "ssim": ssim_weight}
        check_weights({f"{part}_weight": weight for part, weight in self.weights.items()})
        assert perceptual is not None or not perceptual_weight, "a perceptual weight needs a perceptual distance"
        self.perceptual = perceptual

    def forward(self, restored: Tensor, target: Tensor, content: Tensor) -> dict[str, Tensor | None]:
        """Return the loss and its parts as fp32 scalars.

        Args:
            restored: [N, C, *sides] in [0, 1], any floating type.
            target: [N, C, *sides] in [0, 1].
            content: [N, 1, *sides] bool, of any shape. What lies outside has no say in value or gradient.

        Returns:
            `loss` with its graph; `mse`, `perceptual` and `ssim` (the similarity, 1 = equal) detached, None where
            the weight is 0.
        """
        return self.from_sums(self.sums(restored, target, content))

    def sums(self, restored: Tensor, target: Tensor, content: Tensor) -> Sums:
        """Return numerator and denominator of each part; arguments as those of `forward`.

        Those of several batches or processes add up.
        """
        with torch.autocast(restored.device.type, enabled=False):
            restored = restored.float().where(content, 0)
            target = target.float().where(content, 0)
            compute = {"mse": squared_error_sums, "ssim": dissimilarity_sums}
            if self.perceptual is not None:
                compute["perceptual"] = self.perceptual.sums
            return {name: compute[name](restored, target, content) for name, weight in self.weights.items() if weight}

    def from_sums(self, sums: Sums) -> dict[str, Tensor | None]:
        """Return what `forward` returns, from `sums` of one batch or added over several."""
        # A part has a single ratio, or one for each depth of the perceptual network.
        parts = {name: ratio(*of_part).mean() for name, of_part in sums.items()}
        loss = sum(self.weights[name] * part for name, part in parts.items())
        assert isinstance(loss, Tensor), "one weight at least is positive"
        report = {name: parts[name].detach() if name in parts else None for name in self.weights}
        if report["ssim"] is not None:
            report["ssim"] = 1 - report["ssim"]
        return {"loss": loss, **report}


def squared_error_sums(restored: Tensor, target: Tensor, content: Tensor) -> tuple[Tensor, Tensor]:
    """Squared error and number of values in the content of the batch; the pictures are equal outside `content`."""
    return (restored - target).square().sum(), content.sum().float() * restored.shape[1]


def dissimilarity_sums(restored: Tensor, target: Tensor, content: Tensor) -> tuple[Tensor, Tensor]:
    """Sum over images, and number, of 1 - SSIM of the windows that see content.

    SSIM is that of Wang et al. 2004, with an 11 x 11 Gaussian of sigma 1.5, of volumes 11 x 11 x 11.

    The pictures are equal outside `content`, so a window that sees none of it scores exactly 1 and adds nothing to the
    sum; it remains to divide by the windows that do. With content everywhere this is 1 - SSIM; an image without content
    counts as equal.
    """
    dissimilarity = 1 - similarity(restored, target)
    seen = content.float()
    for axis in axes_of(seen):
        window = [SSIM_WINDOW if axis == other else 1 for other in axes_of(seen)]
        seen = layers_of(seen).max_pool(seen, window, stride=1)
    windows = seen[0].numel()  # [N, 1, *(sides - 10)]
    return (dissimilarity * windows / seen.sum((1, *axes_of(seen))).clamp(min=1)).sum(), dissimilarity.new_tensor(
        len(restored)
    )


def similarity(restored: Tensor, target: Tensor) -> Tensor:
    """Return each image's mean SSIM [N], by pytorch-msssim; both [N, C, *sides] fp32 in [0, 1].

    It filters channel by channel, which torch does in half the time where pictures lie channels last on a CPU. The
    gradient has the same bits, and the layout of `restored`; the mean of the map is taken in another order.
    """
    if restored.device.type == "cpu" and restored.ndim == 4:
        restored, target = ChannelsLast.apply(restored), target.contiguous(memory_format=torch.channels_last)
    return ssim(restored, target, data_range=1, size_average=False, win_size=SSIM_WINDOW)


class ChannelsLast(torch.autograd.Function):
    """Lay pictures [N, C, H, W] channels last, and their gradient as they lay: the network's backward pass sees it."""

    @staticmethod
    def forward(context: Any, images: Tensor) -> Tensor:
        """Return the pictures, channels last."""
        context.contiguous = images.is_contiguous()
        return images.contiguous(memory_format=torch.channels_last)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        """Return the gradient, contiguous if the pictures were."""
        return gradient.contiguous() if context.contiguous else gradient

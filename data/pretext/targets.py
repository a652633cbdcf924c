"""What is to be predicted besides pixels: normalised patches and oriented gradients."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.losses import ratio
from core.machine.processes import Sums
from core.networks.layers import cut, layers_of, spread
from data.pretext.settings import Target

ORIENTATIONS = 9
CELL = 8


def target_channels(target: Target, channels: int) -> int:
    """Return how many channels a network needs that predicts `target` of pictures of `channels` channels."""
    return channels * ORIENTATIONS if target == "hog" else channels


def normalised_patches(images: Tensor, patch: int) -> Tensor:
    """Return images [N, C, *sides] with each patch's own mean taken off and its deviation divided out (He et al. 2022).

    Mean and deviation are of all channels together; the patches tile the picture from its top left corner.
    """
    mean, deviation = patch_statistics(images, patch)
    return (images - mean) / deviation


def patch_statistics(images: Tensor, patch: int) -> tuple[Tensor, Tensor]:
    """Return each pixel's mean and deviation of its patch, [N, 1, *sides] each; see `normalised_patches`."""
    sides, pool = images.shape[2:], layers_of(images).avg_pool
    beyond = [length for side in reversed(sides) for length in (0, -side % patch)]
    padded = F.pad(images, beyond, mode="replicate")
    mean = pool(padded.mean(1, keepdim=True), patch)
    square = pool(padded.square().mean(1, keepdim=True), patch)
    deviation = (square - mean.square()).clamp(min=0).add(1e-4).sqrt()
    return cut(spread(mean, patch), sides), cut(spread(deviation, patch), sides)


def oriented_gradients(images: Tensor, cell: int = CELL) -> Tensor:
    """Return histograms of oriented gradients (Dalal & Triggs 2005) as MaskFeat predicts them (Wei et al. 2022).

    Gradients by central differences, each weighing by its size in one of 9 unsigned orientations; summed over cells,
    each channel's histogram divided by its length.

    Args:
        images: [N, C, H, W].
        cell: side of a cell in pixels; what does not fill one at the right and lower edge is left out.

    Returns:
        [N, 9 C, H // cell, W // cell] in [0, 1].
    """
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    across = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    down = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    angle = torch.atan2(down, across) % torch.pi
    bins = (angle / torch.pi * ORIENTATIONS).long().clamp(max=ORIENTATIONS - 1)
    size = (across.square() + down.square()).sqrt()
    planes = torch.zeros(*images.shape[:2], ORIENTATIONS, *images.shape[2:], device=images.device, dtype=images.dtype)
    planes.scatter_(2, bins[:, :, None], size[:, :, None])
    histograms = F.avg_pool2d(planes.flatten(1, 2), cell).unflatten(1, (images.shape[1], ORIENTATIONS))
    return F.normalize(histograms, dim=2, eps=1e-3).flatten(1, 2)


class TargetLoss(nn.Module):
    """Squared error in another target than pixels; the same calls as `ReconstructionLoss`.

    Args:
        target: `normalised` or `hog`.
        patch: side of the patches that are normalised.
    """

    def __init__(self, target: Target, patch: int) -> None:
        super().__init__()
        self.target, self.patch = target, patch

    def sums(self, output: Tensor, clean: Tensor, judged: Tensor) -> Sums:
        """Return sum and number of squared errors; output [N, K, *sides], judged [N, 1, *sides]."""
        with torch.autocast(output.device.type, enabled=False):
            output, weight = output.float(), judged.float()
            if self.target == "hog":
                wanted, output, weight = (
                    oriented_gradients(clean),
                    F.avg_pool2d(output, CELL),
                    F.avg_pool2d(weight, CELL),
                )
            else:
                wanted = normalised_patches(clean, self.patch)
            return {"mse": (((output - wanted).square() * weight).sum(), weight.sum() * wanted.shape[1])}

    def from_sums(self, sums: Sums) -> dict[str, Tensor | None]:
        """Return the loss with its graph, and it again detached as `mse`; `perceptual` and `ssim` are None."""
        loss = ratio(*sums["mse"])
        return {"loss": loss, "mse": loss.detach(), "perceptual": None, "ssim": None}

"""The loss of distillation: how far the student's features point away from the teacher's."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.losses import ratio
from core.machine.processes import Sums
from reconstruction.distillation.network import at_size


class DistillationLoss(nn.Module):
    """Squared error between feature vectors of unit length, in fp32; the same calls as `ReconstructionLoss`.

    Summed over channels, averaged over the positions that hold content, then over depths: 2 - 2 cos of the angle
    between them, 0 for the same direction, 4 at most.

    A position's vector is normalised over its channels, as feature distillation does (Wei et al. 2022), not a channel
    over a picture's positions: that would set every channel's mean over the picture to 0 in teacher and student, and
    with it what the picture is of as a whole; at 64 px four positions of stride 32 would remain to tell.
    """

    def sums(self, found: Sequence[Tensor], wanted: Sequence[Tensor], content: Tensor) -> Sums:
        """Return, as `mse`, the summed error at each depth and the content's share in positions there, both [depths].

        Args:
            found: the student's, [N, K, h, w] a depth; the gradient flows here only.
            wanted: the teacher's, likewise.
            content: [N, 1, H, W] bool.
        """
        with torch.autocast(content.device.type, enabled=False):
            depths = [error_maps(*pair, content) for pair in zip(found, wanted, strict=True)]
            sums = [((error * weight).sum(), weight.sum()) for error, weight in depths]
            errors, weights = (torch.stack(column) for column in zip(*sums, strict=True))
            return {"mse": (errors, weights)}

    def from_sums(self, sums: Sums) -> dict[str, Tensor | None]:
        """Return the loss with its graph, and it again detached as `mse`; `perceptual` and `ssim` are None."""
        loss = ratio(*sums["mse"]).mean()
        return {"loss": loss, "mse": loss.detach(), "perceptual": None, "ssim": None}


def error_maps(found: Tensor, wanted: Tensor, content: Tensor) -> tuple[Tensor, Tensor]:
    """Return the squared error at every position of a depth, and the content's share of it, both [N, 1, h, w]."""
    found = at_size(found.float(), wanted.shape[-2:])
    difference = F.normalize(found, dim=1) - F.normalize(wanted.float(), dim=1)
    error = difference.square().sum(1, keepdim=True)
    return error, F.interpolate(content.to(error.dtype), size=error.shape[-2:], mode="area")

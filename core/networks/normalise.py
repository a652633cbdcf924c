"""Input normalisation: one setting, stored with the weights, the same in both phases."""

import torch
from torch import Tensor, nn

from core.networks.layers import axes_of
from core.train_config import Normalisation

# Shares of red, green and blue in the brightness of a grey picture (ITU-R BT.601).
LUMA = (0.299, 0.587, 0.114)
# Mean and deviation of each channel of RGB pictures in [0, 1]. A grey picture takes the three weighted by `LUMA`: its
# mean is then that of the brightness, its deviation what the brightness would have if the colours rose and fell as one,
# as they nearly do.
STATISTICS: dict[Normalisation, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "unit": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}


class Normaliser(nn.Module):
    """Centres and scales pictures; what is not content becomes 0, the mean colour.

    The statistics belong to the network and go with it to a device and into an export; its weights do not hold them.

    Args:
        normalisation: which mean and deviation.
        channels: of the pictures, 1 or 3; of volumes any number, of which three are no colours.
        dims: 2 for pictures, 3 for volumes.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, normalisation: Normalisation, channels: int, dims: int = 2) -> None:
        super().__init__()
        for name, of_colours in zip(("mean", "deviation"), STATISTICS[normalisation], strict=True):
            of_grey = sum(share * value for share, value in zip(LUMA, of_colours, strict=True))
            coloured = dims == 2 and channels == 3
            values = torch.tensor(of_colours if coloured else [of_grey] * channels)
            self.register_buffer(name, values.view(1, channels, *[1] * dims), persistent=False)

    def forward(self, images: Tensor, content: Tensor | None = None) -> Tensor:
        """Normalise.

        Args:
            images: [N, channels, *sides] in [0, 1].
            content: [N, 1, *sides] bool, False on letterbox bars; None when everything is content.
        """
        normal = (images - self.mean) / self.deviation
        return normal if content is None else normal * content


def as_rgb(images: Tensor) -> Tensor:
    """Return grey pictures [N, 1, H, W] with their channel three times, [N, 3, H, W]; others as they are."""
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images


def content_statistics(images: Tensor, content: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return each picture's own mean and standard deviation a channel, over content: two [N, C, 1, 1(, 1)]."""
    images = images.float()
    weight = torch.ones_like(images[:, :1]) if content is None else content.float()
    sides = axes_of(images)
    count = weight.sum(dim=sides, keepdim=True).clamp(min=1)
    mean = (images * weight).sum(dim=sides, keepdim=True) / count
    variance = ((images - mean).square() * weight).sum(dim=sides, keepdim=True) / count
    return mean, variance.clamp(min=1e-8).sqrt()

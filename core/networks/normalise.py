"""Input normalisation: one setting, stored with the weights, the same in both phases."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from core.train_config import Normalisation

# Shares of red, green and blue in the brightness of a grey picture (ITU-R BT.601).
LUMA = (0.299, 0.587, 0.114)
# Mean and deviation of each channel of RGB pictures in [0, 1]. A grey picture takes the three weighted by `LUMA`: its
# mean is then that of the brightness, its deviation what the brightness would have if the colours rose and fell as one,
# as they nearly do.
STATISTICS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "unit": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}


def normalise(images: Tensor, content: Tensor | None, normalisation: Normalisation) -> Tensor:
    """Centre and scale pictures; what is not content becomes 0, the mean colour.

    Args:
        images: [N, 3, H, W], or grey [N, 1, H, W], in [0, 1].
        content: [N, 1, H, W] bool, False on letterbox bars; None when everything is content.
        normalisation: which mean and deviation.
    """
    mean, deviation = _statistics(normalisation, images.shape[1], images.device, images.dtype)
    normal = (images - mean) / deviation
    return normal if content is None else normal * content


@lru_cache
def _statistics(
    normalisation: Normalisation, channels: int, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Return mean and deviation [1, channels, 1, 1], made once: a GPU would wait for the copy at every step."""
    statistics: Sequence[Sequence[float]] = STATISTICS[normalisation]
    if channels == 1:
        statistics = [[sum(share * value for share, value in zip(LUMA, values, strict=True))] for values in statistics]
    with torch.inference_mode(False):
        mean, deviation = (torch.tensor(values, device=device, dtype=dtype) for values in statistics)
        return mean.view(1, channels, 1, 1), deviation.view(1, channels, 1, 1)


def as_rgb(images: Tensor) -> Tensor:
    """Return grey pictures [N, 1, H, W] with their channel three times, [N, 3, H, W]; others as they are."""
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images


def content_statistics(images: Tensor, content: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return each picture's own mean and standard deviation a channel, over content pixels: two [N, C, 1, 1]."""
    images = images.float()
    weight = torch.ones_like(images[:, :1]) if content is None else content.float()
    count = weight.sum(dim=(2, 3), keepdim=True).clamp(min=1)
    mean = (images * weight).sum(dim=(2, 3), keepdim=True) / count
    variance = ((images - mean).square() * weight).sum(dim=(2, 3), keepdim=True) / count
    return mean, variance.clamp(min=1e-8).sqrt()

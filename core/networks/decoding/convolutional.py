"""Decoders of convolutions with batch norm: transposed ones, with skips and without, and SegNet's unpooling."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.networks.decoding.attention import scse_or_nothing
from core.networks.decoding.feature_decoder import FeatureDecoder
from core.networks.decoding.sizes import padded

SIDES = 32  # five doublings


class BatchNorm(nn.BatchNorm2d):
    """Batch norm that takes one value a channel too (a picture pooled to one place, alone in its batch).

    Such a value has no deviation, and torch refuses it: here the running statistics stand in and stay as they are.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape."""
        if self.training and x.shape[0] * x.shape[2] * x.shape[3] == 1:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


def convolution(in_channels: int, out_channels: int, side: int = 3) -> list[nn.Module]:
    """Return a convolution, batch norm and ReLU."""
    conv = nn.Conv2d(in_channels, out_channels, side, padding=side // 2, bias=False)
    return [conv, BatchNorm(out_channels), nn.ReLU(inplace=True)]


class UNetTransposed(FeatureDecoder):
    """The UNet of tutorials: a transposed convolution doubles the side, the skip joins, two convolutions follow.

    Args:
        channels, strides: of the encoder's features, full resolution first; 0 channels where a stage has none.
        widths: features of the five stages, deepest first.
        scse: whether each stage ends in weights of channels and places.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int], widths: Sequence[int], scse: bool) -> None:
        super().__init__()
        self.strides, self.out_channels = tuple(strides), widths[-1]
        steps = list(pairwise((channels[-1], *widths)))
        self.doublings = nn.ModuleList(nn.ConvTranspose2d(deep, width, 2, stride=2) for deep, width in steps)
        self.stages = nn.ModuleList(
            nn.Sequential(*convolution(width + skip, width), *convolution(width, width), scse_or_nothing(width, scse))
            for width, skip in zip(widths, channels[-2::-1], strict=True)
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Encoder features -> [N, the last width, H, W], sides rounded up to a multiple of 32."""
        *skips, x = padded(features, self.strides, SIDES)
        for double, stage, skip in zip(self.doublings, self.stages, reversed(skips), strict=True):
            x = stage(torch.cat([double(x), skip], dim=1))
        return x


class Transposed(FeatureDecoder):
    """Transposed convolutions of stride 2, each with batch norm and ReLU, on the deepest features alone.

    As the decoder of Xiao et al. 2018 (simple baselines), here with 3x3 kernels. What it says is brought to the
    picture's size at the end: 240 px are 8 places of stride 32, which five doublings make 256.

    Args:
        in_channels: of the deepest features.
        channels: of each transposed convolution.
        bottleneck: channels of a 1x1 convolution before them; 0: none.
    """

    def __init__(self, in_channels: int, channels: Sequence[int], bottleneck: int = 0) -> None:
        super().__init__()
        self.out_channels = channels[-1]
        first = convolution(in_channels, bottleneck, side=1) if bottleneck else []
        self.stages = nn.Sequential(*first)
        for before, after in pairwise((bottleneck or in_channels, *channels)):
            double = nn.ConvTranspose2d(before, after, 3, stride=2, padding=1, output_padding=1, bias=False)
            self.stages.extend([double, BatchNorm(after), nn.ReLU(inplace=True)])

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Encoder features -> [N, the last of channels, h, w]: the deepest sides doubled by each."""
        return self.stages(features[-1])


class SegNet(FeatureDecoder):
    """SegNet (Badrinarayanan et al. 2017): values go back to the places that max pooling took them from.

    The places are those of the maxima in the encoder's own features, of each 2x2. In VGG these are what its pooling
    takes; an encoder that strides instead of pooling hands over nothing but these places all the same.

    Args:
        channels, strides: of the encoder's features, full resolution first; none of 0 channels.
    """

    def __init__(self, channels: Sequence[int], strides: Sequence[int]) -> None:
        super().__init__()
        self.strides, self.out_channels = tuple(strides), channels[0]
        finer = channels[-2::-1]
        self.stages = nn.ModuleList(
            nn.Sequential(*convolution(here, here), *convolution(here, after))
            for here, after in pairwise((*finer, channels[0]))
        )
        # Every value has a place only where there are as many channels as are unpooled by.
        self.first = nn.Identity() if channels[-1] == finer[0] else nn.Conv2d(channels[-1], finer[0], 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Encoder features -> [N, channels at full resolution, H, W], sides rounded up to a multiple of 32."""
        *finer, x = padded(features, self.strides, SIDES)
        x = self.first(x)
        for stage, feature in zip(self.stages, reversed(finer), strict=True):
            _, places = F.max_pool2d(feature, 2, return_indices=True)
            x = stage(F.max_unpool2d(x, places, [2, 2]))
        return x

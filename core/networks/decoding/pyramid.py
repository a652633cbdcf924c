"""A pyramid over features of one stride, for decoders that read several (ViTDet, Li et al. 2022)."""

from collections.abc import Sequence

import torch.nn.functional as F
from timm.layers import LayerNorm2d
from torch import Tensor, nn

from core.networks.decoding.feature_decoder import FeatureDecoder

FEATURES = 256
CHANNELS = (0, 0, *[FEATURES] * 4)
STRIDES = (1, 2, 4, 8, 16, 32)


class OverPyramid(FeatureDecoder):
    """The simple feature pyramid: strides 4, 8, 16 and 32 from the features at 16 alone, and a decoder over it.

    Args:
        channels: of the features at stride 16.
        decoder: for an encoder of `CHANNELS` at `STRIDES`.
    """

    def __init__(self, channels: int, decoder: FeatureDecoder) -> None:
        super().__init__()
        self.decoder, self.out_channels = decoder, decoder.out_channels
        half, quarter = channels // 2, channels // 4
        finest = (_double(channels, half), LayerNorm2d(half), nn.GELU(), _double(half, quarter))
        scales = ((nn.Sequential(*finest), quarter), (_double(channels, half), half))
        self.scales = nn.ModuleList(scale for scale, _ in scales)
        self.outs = nn.ModuleList(_out(count) for count in (*(count for _, count in scales), channels, channels))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Six feature maps, of which the last alone has channels -> what the decoder makes of the pyramid."""
        deepest = features[-1]
        scaled = [*(scale(deepest) for scale in self.scales), deepest, F.max_pool2d(deepest, 2, ceil_mode=True)]
        pyramid = [out(one) for out, one in zip(self.outs, scaled, strict=True)]
        return self.decoder([*features[:2], *pyramid])


def _double(channels: int, features: int) -> nn.Module:
    return nn.ConvTranspose2d(channels, features, 2, stride=2)


def _out(channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, FEATURES, 1, bias=False),
        LayerNorm2d(FEATURES),
        nn.Conv2d(FEATURES, FEATURES, 3, padding=1, bias=False),
        LayerNorm2d(FEATURES),
    )

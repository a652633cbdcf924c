"""Decoders without stages of their own: features of several strides read side by side, or summed."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.networks.decoding.feature_decoder import FeatureDecoder


class Hypercolumn(FeatureDecoder):
    """No decoder at all: the features of every stage at every position of a quarter of the resolution, side by side.

    A hypercolumn (Hariharan et al. 2015), on which one 1x1 convolution makes a linear probe. The deepest stage alone,
    with 4 x 4 positions at 128 px, would measure how coarse it is and not what the encoder knows. Each stage's vector
    is first brought to unit mean square over its channels (ParseNet, Liu et al. 2015): stages differ in scale, and the
    largest would drown the others. It has no parameters and no statistics.

    Args:
        channels: features of the encoder's stages, full resolution first.
    """

    quarter = 2  # the stage whose resolution it is

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.out_channels = sum(channels)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Encoder features -> [N, sum of channels, H / 4, W / 4]: means of finer ones, coarser ones bilinear."""
        size = features[self.quarter].shape[-2:]
        columns = []
        for stage, feature in enumerate(features):
            if not feature.shape[1]:
                continue
            feature = F.normalize(feature, dim=1) * feature.shape[1] ** 0.5
            if stage < self.quarter:
                feature = F.interpolate(feature, size=size, mode="area")
            elif stage > self.quarter:
                feature = F.interpolate(feature, size=size, mode="bilinear", align_corners=False)
            columns.append(feature)
        return torch.cat(columns, dim=1)


class FCN(FeatureDecoder):
    """FCN-8s (Long et al. 2015): a 1x1 convolution scores the features at strides 8, 16 and 32, and scores are summed.

    Coarser scores are brought to the size of the next finer ones, bilinear: what the paper's transposed convolutions
    begin as. Its two wide layers behind VGG's last stage are those of a classifier, which encoders here are without.

    Args:
        channels: features of the encoder's stages, full resolution first.
        outputs: scores a place.
    """

    finest = 3  # the stage at stride 8

    def __init__(self, channels: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.out_channels = outputs
        self.scores = nn.ModuleList(nn.Conv2d(count, outputs, 1) for count in channels[self.finest :])

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Encoder features -> scores [N, outputs, H / 8, W / 8]."""
        found = [score(feature) for score, feature in zip(self.scores, features[self.finest :], strict=True)]
        total = found.pop()
        while found:
            finer = found.pop()
            total = finer + F.interpolate(total, size=finer.shape[-2:], mode="bilinear", align_corners=False)
        return total

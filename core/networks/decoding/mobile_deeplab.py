"""DeepLabV3 as MobileNetV2's paper has it for phones (Sandler et al. 2018): no dilated branches, and no decoder."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.networks.decoding.convolutional import convolution
from core.networks.decoding.feature_decoder import FeatureDecoder

FEATURES = 256


class MobileDeepLab(FeatureDecoder):
    """The deepest features themselves and their mean over the picture, side by side, on which classes are scored.

    The published weights of that network, which `transfer_learning.convert` reads, are weights of this one on timm's
    `mobilenetv2_100` at output stride 16.

    Args:
        channels: of the deepest features.
        outputs: scores a place.
    """

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.out_channels = outputs
        self.aspp0 = nn.Sequential(*convolution(channels, FEATURES, 1))
        self.image_pooling = nn.Sequential(*convolution(channels, FEATURES, 1))
        self.concat_projection = nn.Sequential(*convolution(2 * FEATURES, FEATURES, 1))
        self.scores = nn.Conv2d(FEATURES, outputs, 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Encoder features -> scores at the picture's size [N, outputs, H, W].

        Scores are brought there by their corners: where the stride divides a side less one, as 16 does 513, each then
        stands at the pixel that its feature is centred on.
        """
        deepest = features[-1]
        pooled = self.image_pooling(deepest.mean((2, 3), keepdim=True)).expand(-1, -1, *deepest.shape[-2:])
        scores = self.scores(self.concat_projection(torch.cat([pooled, self.aspp0(deepest)], dim=1)))
        return F.interpolate(scores, size=features[0].shape[-2:], mode="bilinear", align_corners=True)

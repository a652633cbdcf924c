"""The encoder of tutorials' U-Nets: double convolutions with batch norm and ReLU, max pooling between them."""

from collections.abc import Sequence
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from core.networks.decoding.convolutional import convolution
from core.networks.dropout import spatial_dropout
from core.networks.unet import ENCODER_DROPOUT, MULTIPLIERS, require_sides, strides_of

STRIDE = 2 ** (len(MULTIPLIERS) - 1)


class DoubleConv(nn.Module):
    """Two 3x3 convolutions, each with batch norm and ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*convolution(in_channels, out_channels), *convolution(out_channels, out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """[N, in_channels, H, W] -> [N, out_channels, H, W]."""
        return self.layers(x)


class DoubleConvEncoder(nn.Module):
    """Six double convolutions, each but the first behind a max pooling that halves the side, rounded up.

    Ronneberger et al. 2015 with batch norm and padding, as tutorials write it; with `--decoder unet_transposed` theirs
    whole, one halving deeper.

    Args:
        width: features of the first stage; the others are width x (2, 4, 8, 16, 16).
        in_channels: channels of the picture.
        dropout: rate of spatial dropout of each stage.
    """

    def __init__(self, width: int = 32, in_channels: int = 3, dropout: Sequence[float] = ENCODER_DROPOUT) -> None:
        super().__init__()
        self.strides = strides_of(STRIDE)
        self.channels = tuple(width * multiplier for multiplier in MULTIPLIERS)
        steps = pairwise((in_channels, *self.channels))
        self.stages = nn.ModuleList(DoubleConv(shallow, deep) for shallow, deep in steps)
        self.dropout = tuple(dropout)

    @property
    def deepest(self) -> nn.Module:
        """The module whose output is the bottleneck."""
        return self.stages[-1]

    def parameter_stages(self) -> list[list[nn.Parameter]]:
        """Return the parameters of each stage, full resolution first."""
        return [list(stage.parameters()) for stage in self.stages]

    def forward(self, images: Tensor) -> list[Tensor]:
        """[N, C, H, W] -> six feature maps, from full resolution down to 1/32 (the bottleneck).

        Raises:
            UserError: if a side is shorter than 33 px.
        """
        require_sides(*images.shape[-2:])
        features: list[Tensor] = []
        for stage, rate in zip(self.stages, self.dropout, strict=True):
            pooled = F.max_pool2d(features[-1], 2, ceil_mode=True) if features else images
            features.append(spatial_dropout(stage(pooled), rate, self.training))
        return features

"""Decoders of segmentation_models_pytorch (Iakubovskii 2019) behind our contract."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from segmentation_models_pytorch.decoders.deeplabv3.decoder import DeepLabV3Decoder, DeepLabV3PlusDecoder
from segmentation_models_pytorch.decoders.fpn.decoder import FPNDecoder
from segmentation_models_pytorch.decoders.linknet.decoder import LinknetDecoder
from segmentation_models_pytorch.decoders.pspnet.decoder import PSPDecoder
from segmentation_models_pytorch.decoders.unetplusplus.decoder import UnetPlusPlusDecoder
from segmentation_models_pytorch.decoders.upernet.decoder import UPerNetDecoder
from torch import Tensor, nn

from core.networks.decoders import Plan
from core.networks.decoding.convolutional import BatchNorm
from core.networks.decoding.feature_decoder import FeatureDecoder
from core.networks.decoding.sizes import padded
from core.networks.dropout import spatial_dropout

# The library's own numbers of features.
OF_PYRAMID, OF_ATROUS, OF_POOLING, OF_LINKNET = 128, 256, 512, 32


class SMPDecoder(FeatureDecoder):
    """A decoder of the library: sides padded, dropout ours, batch norms that take one picture.

    Args:
        decoder: the library's module, its own dropout 0.
        out_channels: its features.
        strides: of the encoder's features.
        multiple: of which the library needs the sides to be.
        dropout: rate of spatial dropout on what it returns.
    """

    def __init__(
        self, decoder: nn.Module, out_channels: int, strides: Sequence[int], multiple: int, dropout: float
    ) -> None:
        super().__init__()
        self.decoder, self.out_channels = decoder, out_channels
        _adapt(decoder)
        self.strides, self.multiple, self.dropout = tuple(strides), multiple, dropout

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Encoder features -> [N, out_channels, h, w], at a part of the sides rounded up to the multiple."""
        found = features if self.multiple == 1 else padded(features, self.strides, self.multiple)
        return spatial_dropout(self.decoder(list(found)), self.dropout, self.training)


def fpn(plan: Plan) -> tuple[nn.Module, int]:
    """Return a feature pyramid's decoder and its features."""
    return FPNDecoder(plan.channels, segmentation_channels=OF_PYRAMID, dropout=0.0), OF_PYRAMID


def deeplabv3(plan: Plan) -> tuple[nn.Module, int]:
    """Return that of DeepLabV3 and its features."""
    rates = plan.settings.atrous_rates
    return DeepLabV3Decoder(plan.channels[-1], OF_ATROUS, rates, aspp_separable=False, aspp_dropout=0.0), OF_ATROUS


def deeplabv3plus(plan: Plan) -> tuple[nn.Module, int]:
    """Return that of DeepLabV3+, with separable convolutions, and its features."""
    rates, stride = plan.settings.atrous_rates, plan.settings.stride
    decoder = DeepLabV3PlusDecoder(
        plan.channels, 5, OF_ATROUS, rates, output_stride=stride, aspp_separable=True, aspp_dropout=0.0
    )
    return decoder, OF_ATROUS


def linknet(plan: Plan) -> tuple[nn.Module, int]:
    """Return that of LinkNet and its features."""
    return LinknetDecoder(plan.channels, OF_LINKNET), OF_LINKNET


def unetplusplus(plan: Plan) -> tuple[nn.Module, int]:
    """Return that of U-Net++ and its features."""
    decoder = UnetPlusPlusDecoder(plan.channels, plan.widths, attention_type="scse" if plan.scse else None)
    decoder.blocks[f"x_0_{decoder.depth}"].attention1 = nn.Identity()  # of a skip that the last stage does not have
    return decoder, plan.widths[-1]


def pspnet(plan: Plan) -> tuple[nn.Module, int]:
    """Return that of PSPNet and its features."""
    decoder = PSPDecoder(plan.channels, out_channels=OF_POOLING, dropout=0.0)
    decoder.psp.blocks = nn.ModuleList(Pooled(block.pool) for block in decoder.psp.blocks)
    return decoder, OF_POOLING


def upernet(plan: Plan) -> tuple[nn.Module, int]:
    """Return that of UPerNet and its features."""
    return UPerNetDecoder(plan.channels), OF_ATROUS


class Pooled(nn.Module):
    """A picture pooled to few places and convolved, brought back to its size: the library's, in one form everywhere."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, D, H, W]."""
        return F.interpolate(self.pool(x), size=x.shape[-2:], mode="bilinear", align_corners=True)


class Places(nn.Module):
    """`nn.AdaptiveAvgPool2d` to a few places a side, as products of matrices, which ONNX knows for sides of any length.

    Args:
        count: places a side.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, count, count]: means of parts that overlap where the count does not divide a side."""
        return self._means(x, -2) @ x @ self._means(x, -1).T

    def _means(self, x: Tensor, axis: int) -> Tensor:  # [count, side]
        side = x.shape[axis]
        place, position = torch.arange(self.count, device=x.device)[:, None], torch.arange(side, device=x.device)
        within = (position >= place * side // self.count) & (position * self.count < (place + 1) * side)
        return (within / within.sum(1, keepdim=True)).to(x.dtype)


def _adapt(module: nn.Module) -> None:
    for name, part in module.named_children():
        if type(part) is nn.BatchNorm2d:
            setattr(module, name, BatchNorm(part.num_features))
        elif isinstance(part, nn.AdaptiveAvgPool2d) and (count := _places(part)) > 1:
            setattr(module, name, Places(count))
        else:
            _adapt(part)


def _places(pool: nn.AdaptiveAvgPool2d) -> int:
    size = pool.output_size
    return size if isinstance(size, int) else (size[0] or 1 if size else 1)

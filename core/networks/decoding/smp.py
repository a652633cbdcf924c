"""Decoders of segmentation_models_pytorch (Iakubovskii 2019) behind our contract."""

from collections.abc import Sequence

from segmentation_models_pytorch.decoders.deeplabv3.decoder import DeepLabV3Decoder, DeepLabV3PlusDecoder
from segmentation_models_pytorch.decoders.fpn.decoder import FPNDecoder
from segmentation_models_pytorch.decoders.linknet.decoder import LinknetDecoder
from segmentation_models_pytorch.decoders.pspnet.decoder import PSPDecoder
from segmentation_models_pytorch.decoders.unetplusplus.decoder import UnetPlusPlusDecoder
from segmentation_models_pytorch.decoders.upernet.decoder import UPerNetDecoder
from torch import Tensor, nn

from core.networks.decoders import Plan
from core.networks.decoding.convolutional import BatchNorm
from core.networks.decoding.sizes import padded
from core.networks.dropout import spatial_dropout

# The library's own numbers of features.
OF_PYRAMID, OF_ATROUS, OF_POOLING, OF_LINKNET = 128, 256, 512, 32


class SMPDecoder(nn.Module):
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
        _take_one_picture(decoder)
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
    return PSPDecoder(plan.channels, out_channels=OF_POOLING, dropout=0.0), OF_POOLING


def upernet(plan: Plan) -> tuple[nn.Module, int]:
    """Return that of UPerNet and its features."""
    return UPerNetDecoder(plan.channels), OF_ATROUS


def _take_one_picture(module: nn.Module) -> None:
    for name, part in module.named_children():
        if type(part) is nn.BatchNorm2d:
            setattr(module, name, BatchNorm(part.num_features))
        else:
            _take_one_picture(part)

"""Decoders by name, a row each. To add one: a row here, and the module, a `FeatureDecoder`.

A decoder takes the encoder's six feature maps, [N, channels, height / stride, width / stride], and returns features
[N, out_channels, h, w] at the picture's size or a part of it; the networks put a head behind it and bring what it says
to the picture's size (`core.networks.decoding.sizes`). Nothing here loads torch before a decoder is built.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from core.errors import UserError

if TYPE_CHECKING:
    from core.networks.decoding.feature_decoder import FeatureDecoder
    from core.networks.network_config import NetworkConfig


@dataclass(frozen=True)
class Plan:
    """What a decoder is built for.

    Attributes:
        channels, strides: of the encoder's six feature maps; 0 channels where it has none.
        width: features at full resolution, of decoders that go by it.
        dropout: rates, deepest stage first.
        outputs: channels that the network ends in.
        settings: those of the network.
        dims: 2 for pictures, 3 for volumes.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    width: int
    dropout: Sequence[float]
    outputs: int
    settings: "NetworkConfig"
    dims: int = 2

    @property
    def widths(self) -> tuple[int, ...]:
        """Features of five stages back to full resolution, deepest first: as our own encoder has them."""
        return tuple(self.width * multiplier for multiplier in (16, 8, 4, 2, 1))

    @property
    def alone(self) -> bool:
        """Whether the encoder has features at one stride alone, as vision transformers have."""
        return not any(self.channels[:-1])

    @property
    def scse(self) -> bool:
        """Whether its stages have weights of channels and places behind them."""
        return self.settings.attention == "scse"


@dataclass(frozen=True)
class Row:
    """A decoder.

    Attributes:
        build: from a plan to the module.
        paper: where it comes from.
        needs: strides at which the encoder must have features, beside the deepest ones.
        output_strides: those of the deepest features that it takes, its own first.
        multiple: what sides are padded to a multiple of, and cut again.
        skips: whether it reads more than the deepest features.
        scse, by_width, drops: whether `--attention scse`, `--width` and `--decoder_dropout` have a say in it.
        scores: whether it ends in scores, so that no head stands behind it.
        pyramid: whether features of one stride alone will do, from which a pyramid is made.
        volumes: whether it decodes volumes too.
    """

    build: Callable[[Plan], "FeatureDecoder"]
    paper: str
    needs: tuple[int, ...] = ()
    output_strides: tuple[int, ...] = (32, 16, 8)
    multiple: int = 1
    skips: bool = True
    scse: bool = False
    by_width: bool = False
    drops: bool = False
    scores: bool = False
    pyramid: bool = False
    volumes: bool = False

    def fits(self, strides: Sequence[int]) -> bool:
        """Say whether an encoder with features at these strides, shallow to deep, has what the decoder reads."""
        return set(self.needs) <= set(strides) and strides[-1] in self.output_strides


def make_decoder(name: str, plan: Plan, encoder: str, in_channels: int = 3) -> "FeatureDecoder":
    """Return the decoder of a name, for the encoder of another; of a network as a whole its own.

    Raises:
        UserError: the encoder has no features where the decoder reads them, or too few; or they are of volumes, and
            the decoder is of pictures.
    """
    from core.train_config import WHOLE_NETWORKS  # which reads this table

    if encoder in WHOLE_NETWORKS:
        from core.networks.whole import make_whole

        return make_whole(encoder, plan.width, in_channels, len(plan.channels))[1]
    row = DECODERS[name]
    if plan.dims == 3:
        if not row.volumes:
            able = " or ".join(other for other, its in DECODERS.items() if its.volumes)
            raise UserError(f"--decoder {name} decodes pictures, these are volumes: give --decoder {able}")
        return row.build(plan)
    if row.pyramid and plan.alone:
        from core.networks.decoding.pyramid import CHANNELS, STRIDES, OverPyramid

        return OverPyramid(plan.channels[-1], row.build(replace(plan, channels=CHANNELS, strides=STRIDES)))
    there = [stride for stride, channels in zip(plan.strides, plan.channels, strict=True) if channels]
    if not row.fits(there):
        able = ", ".join(other for other, its in DECODERS.items() if its.fits(there) or (its.pyramid and plan.alone))
        encoders = "unet or vgg16_bn" if 1 in row.needs else "unet, resnet18 or mobilenetv2_100"
        raise UserError(
            f"--decoder {name} reads features at strides {_listed((*row.needs, row.output_strides[0]))}, --encoder "
            f"{encoder} has them at {_listed(there)}: take an encoder such as {encoders}, or a decoder of {able}"
        )
    with warnings.catch_warnings():  # of layers without channels, which are refused below
        warnings.simplefilter("ignore")
        decoder = row.build(plan)
    if any(not parameter.numel() for parameter in decoder.parameters()):
        raise UserError(f"--encoder {encoder} has too few features for --decoder {name}: give --width 8 or more")
    return decoder


def _listed(strides: Sequence[int]) -> str:
    return ", ".join(map(str, strides))


def _unet(plan: Plan) -> "FeatureDecoder":
    from core.networks.unet import Decoder

    return Decoder(plan.channels, plan.width, plan.dropout, plan.scse, plan.dims)


def _linear(plan: Plan) -> "FeatureDecoder":
    from core.networks.decoding.plain import Hypercolumn

    return Hypercolumn(plan.channels)


def _fcn(plan: Plan) -> "FeatureDecoder":
    from core.networks.decoding.plain import FCN

    return FCN(plan.channels, plan.outputs)


def _unet_transposed(plan: Plan) -> "FeatureDecoder":
    from core.networks.decoding.convolutional import UNetTransposed

    return UNetTransposed(plan.channels, plan.strides, plan.widths, plan.scse)


def _transposed(plan: Plan) -> "FeatureDecoder":
    from core.networks.decoding.convolutional import Transposed

    return Transposed(plan.channels[-1], plan.settings.decoder_channels, plan.settings.bottleneck_channels)


def _segnet(plan: Plan) -> "FeatureDecoder":
    from core.networks.decoding.convolutional import SegNet

    return SegNet(plan.channels, plan.strides)


def _mobile_deeplabv3(plan: Plan) -> "FeatureDecoder":
    from core.networks.decoding.mobile_deeplab import MobileDeepLab

    return MobileDeepLab(plan.channels[-1], plan.outputs)


def _of_smp(name: str) -> Callable[[Plan], "FeatureDecoder"]:
    def build(plan: Plan) -> "FeatureDecoder":
        from core.networks.decoding import smp

        row = DECODERS[name]
        dropout = plan.dropout[0] if row.drops else 0.0
        decoder, features = getattr(smp, name)(plan)
        return smp.SMPDecoder(decoder, features, plan.strides, row.multiple, dropout)

    return build


DECODERS = {
    "unet": Row(
        _unet, "Ronneberger et al. 2015; Isensee et al. 2021", scse=True, by_width=True, drops=True, volumes=True
    ),
    "linear": Row(_linear, "Hariharan et al. 2015"),
    "unet_transposed": Row(
        _unet_transposed,
        "Ronneberger et al. 2015",
        output_strides=(32,),
        multiple=32,
        scse=True,
        by_width=True,
    ),
    "transposed": Row(_transposed, "Xiao et al. 2018", skips=False),
    "fpn": Row(
        _of_smp("fpn"),
        "Kirillov et al. 2019",
        needs=(4, 8, 16),
        output_strides=(32,),
        multiple=32,
        drops=True,
        pyramid=True,
    ),
    "deeplabv3": Row(_of_smp("deeplabv3"), "Chen et al. 2017", output_strides=(16, 8, 32), skips=False, drops=True),
    "deeplabv3plus": Row(
        _of_smp("deeplabv3plus"), "Chen et al. 2018", needs=(4,), output_strides=(16, 8), multiple=16, drops=True
    ),
    "linknet": Row(
        _of_smp("linknet"), "Chaurasia & Culurciello 2017", needs=(2, 4, 8, 16), output_strides=(32,), multiple=32
    ),
    "unetplusplus": Row(
        _of_smp("unetplusplus"),
        "Zhou et al. 2018",
        needs=(2, 4, 8, 16),
        output_strides=(32,),
        multiple=32,
        scse=True,
        by_width=True,
    ),
    "pspnet": Row(_of_smp("pspnet"), "Zhao et al. 2017", skips=False, drops=True),
    "upernet": Row(_of_smp("upernet"), "Xiao et al. 2018", needs=(4, 8), drops=True, pyramid=True),
    "segnet": Row(_segnet, "Badrinarayanan et al. 2017", needs=(1, 2, 4, 8, 16), output_strides=(32,), multiple=32),
    "fcn": Row(_fcn, "Long et al. 2015", needs=(8, 16), output_strides=(32,), scores=True),
    "mobile_deeplabv3": Row(
        _mobile_deeplabv3, "Sandler et al. 2018", output_strides=(16, 8, 32), skips=False, scores=True
    ),
}

"""Encoders by name: the project's own two, or a network of timm that has features at the strides of a UNet, or at one.

All keep the contract of `core.networks.unet.Encoder`: `strides` of the six feature maps, 1, 2, 4, ... up to the output
stride, at which the last ones stand; `channels`, one number for each; a forward pass that returns the features in that
order; `deepest`, the module whose output is the bottleneck; `parameter_stages`. Only `unet` can leave out what is
hidden (its argument `seen`).
"""

import difflib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import UserError
from core.machine.processes import Processes
from core.networks.decoding.sizes import nothing
from core.networks.double_conv import DoubleConvEncoder
from core.networks.dropout import spatial_dropout
from core.networks.normalise import as_rgb
from core.networks.transformers import AS_RGB, TransformerEncoder, is_transformer
from core.networks.unet import ENCODER_DROPOUT, STAGES, Encoder, require_sides, strides_of
from core.networks.whole import WholeEncoder, make_whole
from core.train_config import DOUBLE_CONV, OWN_ENCODER, OWN_ENCODERS, WHOLE_NETWORKS

WHOLE = 32  # the output stride of networks as they are
# Encoders that keep their features at 1/16 or 1/8 of the side when asked to.
DILATED = "unet, resnet18, mobilenetv2_100, regnety_002 or convnext_atto"
# Sides that no stride divides, and of two lengths: what a network for one size, or for even ones only, cannot take.
TRIED = (45, 33)


def make_encoder(
    name: str,
    width: int,
    dropout: Sequence[float] = ENCODER_DROPOUT,
    in_channels: int = 3,
    output_stride: int = WHOLE,
    dims: int = 2,
    stages: int = STAGES,
) -> "AnyEncoder":
    """Return the encoder of a name with random weights; `width` has no say in one of timm's.

    Raises:
        UserError: the name is unknown, or the network cannot be such an encoder, of volumes perhaps.
    """
    if name == OWN_ENCODER:
        return Encoder(width, in_channels, dropout, output_stride, dims, stages)
    if name in WHOLE_NETWORKS and dims == 3:
        return make_whole(name, width, in_channels, stages)[0]
    if name in WHOLE_NETWORKS or dims == 3:
        takes, these = ("pictures", "volumes") if dims == 3 else ("volumes", "pictures")
        raise UserError(f"--encoder {name} takes {takes}, these are {these}: give --encoder {OWN_ENCODER}")
    if name == DOUBLE_CONV:
        if output_stride != WHOLE:  # a pooling cannot dilate
            raise _undilated(name, output_stride)
        return DoubleConvEncoder(width, in_channels, dropout)
    if is_transformer(name):
        return TransformerEncoder(name, dropout, output_stride, in_channels)
    return TimmEncoder(name, dropout, output_stride, in_channels)


class TimmEncoder(nn.Module):
    """A network of timm (Wightman 2019) without its head, its weights those that timm draws.

    Most of timm's networks have features at strides 2 to 32 and none at full resolution. A stride without features has
    0 channels: the decoder's stage there works without a skip. It takes RGB; a grey picture comes as one, its channel
    three times, as ImageNet weights expect it.

    Args:
        name: as timm lists it, without a tag of pretrained weights. Nothing is ever downloaded.
        dropout: rate of spatial dropout on the features of each stride, as they are handed to the decoder; the
            network itself has none.
        output_stride: of the deepest features, 32, 16 or 8: strides beyond it become dilations.
        in_channels: of the pictures; other numbers than 1 and 3 make a first convolution of their own.

    Attributes:
        strides, channels: of the six feature maps.
        deepest: its output is the bottleneck.
        initialised: tells `core.networks.unet.initialise` to leave the weights as they are.

    Raises:
        UserError: the name is unknown (with near ones), or the network has other strides, or takes one size only.
    """

    initialised = True
    network: Any  # timm's own, with what it says of its features

    def __init__(
        self,
        name: str,
        dropout: Sequence[float] = ENCODER_DROPOUT,
        output_stride: int = WHOLE,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.takes_rgb = in_channels in AS_RGB
        in_channels = 3 if self.takes_rgb else in_channels
        self.network = _create(name, output_stride, in_channels)
        self.strides = strides_of(output_stride)
        self.channels = _channels_at(self.strides, self.network.feature_info, name)
        self.deepest = nn.Identity()
        self.dropout = tuple(dropout)
        _require_fit(self.network, name, in_channels)

    def forward(self, images: Tensor) -> list[Tensor]:
        """[N, in_channels, H, W] -> six feature maps at `strides`, of 0 channels where the network has none.

        Raises:
            UserError: if a side is shorter than 33 px, or a batch norm would train on one value a channel.
        """
        require_sides(*images.shape[-2:])
        found = iter(self._features(as_rgb(images) if self.takes_rgb else images))
        features = [next(found) if channels else None for channels in self.channels]
        deepest = features[-1] = self.deepest(features[-1])
        return [
            nothing(deepest, images, stride) if feature is None else self._dropped(feature, rate)
            for feature, stride, rate in zip(features, self.strides, self.dropout, strict=True)
        ]

    def _features(self, images: Tensor) -> list[Tensor]:
        try:
            return self.network(images)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise UserError(
                "the encoder halves a picture to one place, over which batch norm has no deviation where a batch holds "
                "one picture: give another --batch_size, which leaves none alone at an epoch's end, or larger pictures"
            ) from None

    def _dropped(self, feature: Tensor, rate: float) -> Tensor:
        return spatial_dropout(feature, rate, self.training)

    def parameter_stages(self) -> list[list[nn.Parameter]]:
        """Return the parameters by the feature that they lead to, shallow to deep: none is left out, none twice."""
        # timm joins the parts of a name by "_" where it flattens a network.
        names = [name.removeprefix("model.").replace(".", "_") for name, _ in self.network.named_modules()]
        ends = [_last_within(place.replace(".", "_"), names) for place in self.network.feature_info.module_name()]
        stages: list[list[nn.Parameter]] = [[] for _ in ends]
        for index, module in enumerate(self.network.modules()):
            stage = sum(index > end for end in ends[:-1])
            stages[stage] += module.parameters(recurse=False)
        return [stage for stage in stages if stage]  # a feature may be no more than the one before, pooled


AnyEncoder = Encoder | DoubleConvEncoder | TimmEncoder | TransformerEncoder | WholeEncoder


def require_one_process(part: nn.Module, processes: Processes, what: str, frozen: bool = False) -> None:
    """Raise UserError where several processes would train batch norms, each of whose statistics is of one process.

    Args:
        part: of a network, the encoder or the decoder.
        processes: those of the run.
        what: chose the part: the setting and its value.
        frozen: whether it stands still throughout.
    """
    normed = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in part.modules())
    if processes.count > 1 and normed and not frozen:
        raise UserError(
            f"{what} has batch norm, whose statistics {processes.count} processes would each take from their "
            "own share of a batch: train it with one process"
        )


def require_known(name: str) -> None:
    """Raise UserError, with near names, where timm has no network of a name."""
    import timm

    known = timm.list_models()
    if name not in known:
        near = difflib.get_close_matches(name, [*OWN_ENCODERS, *known], n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "timm.list_models() names those of timm"
        raise UserError(f"encoder {name!r} is unknown: it is {', '.join(OWN_ENCODERS)} or a network of timm; {hint}")


def _create(name: str, output_stride: int, in_channels: int) -> nn.Module:
    import timm

    from core.networks.same_padding import count_in_whole_numbers

    require_known(name)
    asked: dict[str, Any] = {"in_chans": in_channels} if in_channels != 3 else {}
    if output_stride != WHOLE:  # not every network takes the argument
        asked["output_stride"] = output_stride
    try:
        network: Any = timm.create_model(name, pretrained=False, features_only=True, **asked)
    except (RuntimeError, ValueError, AssertionError, AttributeError, TypeError) as error:
        if output_stride != WHOLE:
            raise _undilated(name, output_stride) from None
        raise _unfit(name, f"timm has no features of it ({error})") from None
    if output_stride != WHOLE and network.feature_info.reduction()[-1] != output_stride:
        raise _undilated(name, output_stride)
    count_in_whole_numbers(network)
    return network


def _channels_at(strides: Sequence[int], features: Any, name: str) -> tuple[int, ...]:
    """Return the channels of the six feature maps, 0 where a network has none, by what timm says of its features."""
    left = list(zip(features.reduction(), features.channels(), strict=True))
    # Several stand at the output stride, the deepest of them last.
    channels = [left.pop()[1] if left and left[-1][0] == stride else 0 for stride in reversed(strides)]
    if left or not channels[0]:
        raise _unfit(name, f"its features have strides {features.reduction()}")
    return tuple(reversed(channels))


def _require_fit(network: Any, name: str, in_channels: int) -> None:
    network.eval()
    try:
        with torch.no_grad():
            features = network(torch.zeros(1, in_channels, *TRIED))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise _unfit(name, f"it does not take pictures of any size ({error})") from None
    network.train()
    if [feature.shape[1] for feature in features] != list(network.feature_info.channels()):
        raise _unfit(name, "its features are not [N, C, H, W]")


def _unfit(name: str, why: Any) -> UserError:
    return UserError(
        f"encoder {name!r} cannot be that of a UNet: {why}; needed are features at strides out of "
        f"{', '.join(map(str, strides_of(WHOLE)))}, the last among them, as resnet18, mobilenetv3_small_050, "
        "convnext_atto or tf_efficientnet_lite0 have them"
    )


def _undilated(name: str, output_stride: int) -> UserError:
    return UserError(
        f"encoder {name!r} cannot keep its features at 1/{output_stride} of the side (--output_stride): take "
        f"{DILATED}, which can, or --output_stride {WHOLE} with a decoder such as fpn"
    )


def _last_within(place: str, names: Sequence[str]) -> int:
    """Return the index of the last module that is or lies within the one named `place`."""
    return max(index for index, name in enumerate(names) if name == place or name.startswith(f"{place}_"))

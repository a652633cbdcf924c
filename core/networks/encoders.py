"""Encoders by name: the project's own, or a network of timm that has features at the strides of a UNet.

All keep the contract of `core.networks.unet.Encoder`: `channels`, one number for each stride 1, 2, 4, ..., 32; a
forward pass that returns the features in that order; `deepest`, the module whose output is the bottleneck;
`parameter_stages`. Only the project's own can leave out what is hidden (its argument `seen`).
"""

import difflib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import UserError
from core.machine.processes import Processes
from core.networks.dropout import spatial_dropout
from core.networks.normalise import as_rgb
from core.networks.unet import ENCODER_DROPOUT, MULTIPLIERS, Encoder, require_sides
from core.train_config import OWN_ENCODER

STRIDES = tuple(2**stage for stage in range(len(MULTIPLIERS)))
# Sides that no stride divides, and of two lengths: what a network for one size, or for even ones only, cannot take.
TRIED = (45, 33)


def make_encoder(name: str, width: int, dropout: Sequence[float] = ENCODER_DROPOUT, in_channels: int = 3) -> nn.Module:
    """Return the encoder of a name with random weights; `width` and `in_channels` have no say in one of timm's.

    Raises:
        UserError: the name is unknown, or the network cannot be the encoder of a UNet.
    """
    return Encoder(width, in_channels, dropout) if name == OWN_ENCODER else TimmEncoder(name, dropout)


class TimmEncoder(nn.Module):
    """A network of timm (Wightman 2019) without its head, its weights those that timm draws.

    Most of timm's networks have features at strides 2 to 32 and none at full resolution. A stride without features has
    0 channels: the decoder's stage there works without a skip. It takes RGB; a grey picture comes as one, its channel
    three times, as ImageNet weights expect it.

    Args:
        name: as timm lists it, without a tag of pretrained weights. Nothing is ever downloaded.
        dropout: rate of spatial dropout on the features of each stride, as they are handed to the decoder; the
            network itself has none.

    Attributes:
        channels: of the features at strides 1, 2, 4, 8, 16, 32.
        deepest: its output is the bottleneck.
        initialised: tells `core.networks.unet.initialise` to leave the weights as they are.

    Raises:
        UserError: the name is unknown (with near ones), or the network has other strides, or takes one size only.
    """

    initialised = True
    network: Any  # timm's own, with what it says of its features

    def __init__(self, name: str, dropout: Sequence[float] = ENCODER_DROPOUT) -> None:
        super().__init__()
        self.network = _create(name)
        strides = self.network.feature_info.reduction()
        self.channels = tuple(
            dict(zip(strides, self.network.feature_info.channels(), strict=True)).get(at, 0) for at in STRIDES
        )
        self.deepest = nn.Identity()
        self.dropout = tuple(dropout)
        _require_fit(self.network, name)

    def forward(self, images: Tensor) -> list[Tensor]:
        """[N, 3 or 1, H, W] -> six feature maps at strides 1 to 32, of 0 channels where the network has none.

        Raises:
            UserError: if a side is shorter than 33 px.
        """
        require_sides(*images.shape[-2:])
        found = iter(self.network(as_rgb(images)))
        features = [next(found) if channels else None for channels in self.channels]
        deepest = features[-1] = self.deepest(features[-1])
        return [
            _nothing(deepest, images, stride) if feature is None else self._dropped(feature, rate)
            for feature, stride, rate in zip(features, STRIDES, self.dropout, strict=True)
        ]

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


def require_one_process(encoder: nn.Module, processes: Processes, name: str, frozen: bool) -> None:
    """Raise UserError where several processes would train batch norms, each of whose statistics is of one process."""
    normed = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in encoder.modules())
    if processes.count > 1 and normed and not frozen:
        raise UserError(
            f"--encoder {name} has batch norm, whose statistics {processes.count} processes would each take from their "
            "own share of a batch: train it with one process"
        )


def _create(name: str) -> nn.Module:
    import timm

    known = timm.list_models()
    if name not in known:
        near = difflib.get_close_matches(name, [OWN_ENCODER, *known], n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "timm.list_models() names those of timm"
        raise UserError(f"encoder {name!r} is unknown: it is {OWN_ENCODER} or a network of timm; {hint}")
    try:
        return timm.create_model(name, pretrained=False, features_only=True)
    except (RuntimeError, ValueError, AssertionError, AttributeError, TypeError) as error:
        raise _unfit(name, f"timm has no features of it ({error})") from None


def _require_fit(network: Any, name: str) -> None:
    strides, channels = network.feature_info.reduction(), network.feature_info.channels()
    if sorted(set(strides)) != list(strides) or not set(strides) <= set(STRIDES) or strides[-1] != STRIDES[-1]:
        raise _unfit(name, f"its features have strides {strides}")
    network.eval()
    try:
        with torch.no_grad():
            features = network(torch.zeros(1, 3, *TRIED))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise _unfit(name, f"it does not take pictures of any size ({error})") from None
    network.train()
    if [feature.shape[1] for feature in features] != list(channels):
        raise _unfit(name, "its features are not [N, C, H, W]")


def _unfit(name: str, why: Any) -> UserError:
    return UserError(
        f"encoder {name!r} cannot be that of a UNet: {why}; needed are features at strides out of "
        f"{', '.join(map(str, STRIDES))}, the last among them, as resnet18, mobilenetv3_small_050, convnext_atto or "
        "tf_efficientnet_lite0 have them"
    )


def _nothing(like: Tensor, images: Tensor, stride: int) -> Tensor:
    """Return features of 0 channels at a stride: [N, 0, H / stride, W / stride], rounded up."""
    height, width = (-(-side // stride) for side in images.shape[-2:])
    return like.new_zeros(len(images), 0, height, width)


def _last_within(place: str, names: Sequence[str]) -> int:
    """Return the index of the last module that is or lies within the one named `place`."""
    return max(index for index, name in enumerate(names) if name == place or name.startswith(f"{place}_"))

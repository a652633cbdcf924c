"""The UNet that both phases share, of pictures and of volumes: an encoder of stages and a decoder over its features.

Ronneberger et al. 2015 (UNet) with the choices of Isensee et al. 2021 (nnU-Net): strided convolutions, instance
norm, LeakyReLU. Dropout has no parameters and no module here, so that weights load whatever the dropout rates.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import UserError
from core.networks.decoding.attention import scse_or_nothing
from core.networks.decoding.feature_decoder import FeatureDecoder
from core.networks.dropout import spatial_dropout
from core.networks.kernels import instance_norm, upsample
from core.networks.layers import LAYERS, a_channel, layers_of, resized
from core.networks.normalise import content_statistics

MULTIPLIERS = (1, 2, 4, 8, 16, 16)
ENCODER_DROPOUT = (0.0, 0.0, 0.05, 0.1, 0.15, 0.15)
DECODER_DROPOUT = (0.15, 0.1, 0.1, 0.05, 0.0)
STAGES = len(MULTIPLIERS)
# So many positions along its shortest side the deepest stage of a volume keeps, at least (Isensee et al. 2021).
FEWEST_DEEPEST = 4


def smallest_side(stages: int) -> int:
    """Return the shortest side whose halvings leave more than one position: instance norm takes a deviation there."""
    return 2 ** (stages - 1) + 1


MIN_SIDE = smallest_side(STAGES)


def stages_of(patch: Sequence[int]) -> int:
    """Return how many stages an encoder of volumes has for patches of these sides [D, H, W], six at most.

    A stage is added while half of the shortest side is no less than four positions: 32 voxels make four stages.

    Raises:
        UserError: a side is too short for two stages.
    """
    shortest, stages = min(patch), 1
    while stages < STAGES and shortest // 2**stages >= FEWEST_DEEPEST:
        stages += 1
    if stages < 2:
        raise UserError(f"patch {'x'.join(map(str, patch))}: every side needs at least {2 * FEWEST_DEEPEST} voxels")
    return stages


def volume_arguments(patch: Sequence[int]) -> dict[str, Any]:
    """Return what a network's arguments are beside those of pictures where it reads patches; nothing without one.

    Voxels are z-scores brought to [0, 1] about 0.5 already: `unit` takes them back.
    """
    return {"dims": 3, "stages": stages_of(patch), "normalisation": "unit"} if patch else {}


def strides_of(output_stride: int, stages: int = STAGES) -> tuple[int, ...]:
    """Return the strides of an encoder's feature maps, six for pictures, the deepest at the output stride."""
    return tuple(min(2**stage, output_stride) for stage in range(stages))


def require_sides(*sides: int, stages: int = STAGES) -> None:
    """Raise UserError for pictures, or volumes, that the halvings of so many stages would leave too small."""
    if min(sides) < (least := smallest_side(stages)):
        what = "pictures" if len(sides) == 2 else "volumes"
        unit, size = LAYERS[len(sides)].unit, "x".join(map(str, sides))
        raise UserError(f"{what} of {size} {unit} are too small: every side needs at least {least} {unit}")


def require_channels(weights: Path, theirs: int, ours: int) -> None:
    """Raise UserError for weights of a network that takes pictures of another number of channels."""
    if theirs != ours:
        raise UserError(
            f"{weights} takes pictures of {theirs} channel{'s' * (theirs > 1)}, these have {ours}: "
            f"prepare pictures of your own with --channels {theirs}, or train phase 1 on pictures like these"
        )


class InstanceNorm(nn.GroupNorm):
    """Instance norm (Ulyanov et al. 2016) by the kernel of group norm, with a group a channel.

    The same function with the same parameters as `nn.InstanceNorm2d(channels, affine=True)`, and faster on CPUs
    (`benchmarks.kernels` measures both).

    Attributes:
        kernels: `torch` or `own` (`core.networks.kernels`).
    """

    kernels = "torch"

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, *sides] -> the same shape."""
        return instance_norm(x, self.weight, self.bias, self.eps) if self.kernels == "own" else super().forward(x)

    def of_seen(self, x: Tensor, seen: Tensor) -> Tensor:
        """Normalise by the mean and deviation over the positions that are seen; the others become 0.

        Args:
            x: [N, C, *sides]; what it holds at positions that are not seen has no effect.
            seen: [N, 1, *sides], 1 or 0.
        """
        mean, deviation = content_statistics(x, seen)
        scale = a_channel(self.weight, x) / (deviation.square() + self.eps).sqrt()
        normal = torch.addcmul(a_channel(self.bias, x) - mean * scale, x, scale)
        return (normal * seen).to(x.dtype)


class ConvStage(nn.Module):
    """Two 3x3 convolutions, each with instance norm, LeakyReLU(0.01) and spatial dropout.

    Args:
        in_channels, out_channels: channels before and after.
        stride: of the first convolution.
        dropout: share of channels dropped in training (Tompson et al. 2015), in [0, 1).
        dilations: of the two convolutions.
        dims: 2 for pictures, 3 for volumes.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        dropout: float = 0.0,
        dilations: tuple[int, int] = (1, 1),
        dims: int = 2,
    ) -> None:
        super().__init__()
        first, second = dilations
        conv = LAYERS[dims].conv
        self.conv1 = conv(in_channels, out_channels, 3, stride, padding=first, dilation=first)
        self.norm1 = InstanceNorm(out_channels)
        self.conv2 = conv(out_channels, out_channels, 3, padding=second, dilation=second)
        self.norm2 = InstanceNorm(out_channels)
        self.dropout = dropout

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """[N, in_channels, *sides] -> [N, out_channels, *(sides / stride)], rounded up.

        With `seen` ([N, 1, *(sides / stride)], 1 or 0) only positions that are seen have features: see `Encoder`.
        """
        for conv, norm in ((self.conv1, self.norm1), (self.conv2, self.norm2)):
            x = conv(x)
            x = F.leaky_relu(norm(x) if seen is None else norm.of_seen(x, seen), 0.01, inplace=True)
            x = spatial_dropout(x, self.dropout, self.training)
        return x


class Encoder(nn.Module):
    """Six stages, of volumes fewer; every stage but the first halves the side, down to the output stride.

    Args:
        width: features of the first stage; the others are width x (2, 4, 8, 16, 16).
        in_channels: channels of the picture.
        dropout: rate of each stage, of six.
        output_stride: of the deepest features, 32, 16 or 8: stages that would halve the side further dilate what
            follows instead, so that the weights are the same whatever it is.
        dims: 2 for pictures, 3 for volumes.
        count: of stages, 2 to 6.
    """

    def __init__(
        self,
        width: int = 32,
        in_channels: int = 3,
        dropout: Sequence[float] = ENCODER_DROPOUT,
        output_stride: int = 2 ** (STAGES - 1),
        dims: int = 2,
        count: int = STAGES,
    ) -> None:
        super().__init__()
        if width < 1:
            raise UserError(f"width {width} must be at least 1: 32 is the reference, 8 or 16 suit small machines")
        self.channels = tuple(width * multiplier for multiplier in MULTIPLIERS[:count])
        inputs = (in_channels, *self.channels[:-1])
        self.strides = strides_of(output_stride, count)
        self.steps = [later // earlier for earlier, later in pairwise((1, *self.strides))]
        wanted = [2**stage // stride for stage, stride in enumerate(self.strides)]  # dilations that make up for strides
        stages = zip(inputs, self.channels, self.steps, dropout[:count], pairwise((1, *wanted)), strict=True)
        self.stages = nn.ModuleList(ConvStage(*arguments, dims) for arguments in stages)

    @property
    def deepest(self) -> nn.Module:
        """The module whose output is the bottleneck."""
        return self.stages[-1]

    def parameter_stages(self) -> list[list[nn.Parameter]]:
        """Return the parameters of each stage, full resolution first."""
        return [list(stage.parameters()) for stage in self.stages]

    def forward(self, images: Tensor, seen: Tensor | None = None) -> list[Tensor]:
        """[N, C, *sides] -> a feature map a stage, from full resolution down to the output stride (the bottleneck).

        With `seen` it computes what sparse convolutions would (SparK, Tian et al. 2023): a position without anything
        seen beneath it has features 0, and no norm takes it into its statistics. What is hidden then neither spreads
        into its surroundings nor shifts what the norms see from what they see in whole pictures.

        Args:
            images: 0 where they are not seen.
            seen: [N, 1, *sides], 1 or 0; None when everything is.

        Raises:
            UserError: if a side is shorter than 33 px, with fewer stages than `smallest_side` of them.
        """
        require_sides(*images.shape[2:], stages=len(self.stages))
        features: list[Tensor] = []
        for stage, step in zip(self.stages, self.steps, strict=True):
            if seen is not None and step > 1:
                seen = layers_of(seen).max_pool(seen, 2, ceil_mode=True)
            images = stage(images, seen)
            features.append(images)
        return features


class Decoder(FeatureDecoder):
    """Stages back to full resolution, five of pictures: upsampling, concatenation with the skip, two convolutions.

    Args:
        channels: features of the encoder's stages, full resolution first; 0 where a stage has none to hand over.
        width: features of the last stage; the others have width x (16, 8, 4, 2), deepest first, as our own encoder has.
        dropout: rate of each of five stages, deepest first; of fewer, those nearest to full resolution.
        scse: whether each stage ends in weights of channels and places.
        dims: 2 for pictures, 3 for volumes.

    Attributes:
        kernels: `torch` or `own` (`core.networks.kernels`), of the upsampling.
    """

    kernels = "torch"

    def __init__(
        self,
        channels: Sequence[int],
        width: int,
        dropout: Sequence[float] = DECODER_DROPOUT,
        scse: bool = False,
        dims: int = 2,
    ) -> None:
        super().__init__()
        self.out_channels = width
        outputs = [width * multiplier for multiplier in MULTIPLIERS[len(channels) - 2 :: -1]]
        below = [channels[-1], *outputs[:-1]]
        inputs = [deep + skip for deep, skip in zip(below, channels[-2::-1], strict=True)]
        self.stages = nn.ModuleList(
            ConvStage(wide, narrow, dropout=rate, dims=dims)
            for wide, narrow, rate in zip(inputs, outputs, dropout[-len(outputs) :], strict=True)
        )
        self.attention = nn.ModuleList(scse_or_nothing(narrow, scse) for narrow in outputs)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Encoder features -> [N, width, *sides]."""
        x = features[-1]
        for stage, attend, skip in zip(self.stages, self.attention, features[-2::-1], strict=True):
            size = tuple(skip.shape[2:])
            x = upsample(x, size) if self.kernels == "own" else resized(x, size)
            x = attend(stage(torch.cat([x, skip], dim=1)))
        return x


def count_parameters(module: nn.Module) -> int:
    """Return the number of parameters, trainable or not."""
    return sum(parameter.numel() for parameter in module.parameters())


def initialise(module: nn.Module) -> None:
    """Draw weights for LeakyReLU networks (He et al. 2015), biases zero; call under a fixed seed.

    A part that says of itself that it is `initialised` (`core.networks.encoders.TimmEncoder`) is left as it is.
    """
    if getattr(module, "initialised", False):
        return
    if isinstance(module, nn.Conv2d | nn.Conv3d):
        nn.init.kaiming_normal_(module.weight, a=0.01)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    for part in module.children():
        initialise(part)

"""Networks of other projects as a whole: MONAI's DynUNet and SegResNet, each as an encoder and the decoder of its own.

The halves are MONAI's modules, so phase 2 freezes, averages and saves them as it does any other; the 1x1 convolution
behind them is the last layer of either.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from core.errors import UserError
from core.extras import to_install
from core.networks.decoding.feature_decoder import FeatureDecoder

BLOCKS = (1, 2, 2, 4, 4, 4)  # of SegResNet's stages, the last two beyond its paper


def make_whole(name: str, width: int, in_channels: int, stages: int) -> tuple["WholeEncoder", "WholeDecoder"]:
    """Return both halves of a network for volumes.

    Args:
        name: of `core.train_config.WHOLE_NETWORKS`.
        width: features of the first stage; each further one has twice as many.
        in_channels: of the volumes.
        stages: as of `core.networks.unet.stages_of`.

    Raises:
        UserError: MONAI is not installed.
    """
    try:
        import monai.networks.nets as networks
    except ImportError:
        raise UserError(f"--encoder {name} is of monai: {to_install('medical')}") from None
    channels = [width * 2**stage for stage in range(stages)]
    return {"monai:dynunet": _dynunet, "monai:segresnet": _segresnet}[name](networks, in_channels, channels)


class WholeEncoder(nn.Module):
    """The half of a network that goes down, with the contract of `core.networks.unet.Encoder`.

    Args:
        stages: from full resolution down, each but the first halves the sides.
        channels: of their features.
    """

    initialised = True

    def __init__(self, stages: Sequence[nn.Module], channels: Sequence[int]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.channels = tuple(channels)
        self.strides = tuple(2**stage for stage in range(len(stages)))

    @property
    def deepest(self) -> nn.Module:
        """The module whose output is the bottleneck."""
        return self.stages[-1]

    def parameter_stages(self) -> list[list[nn.Parameter]]:
        """Return the parameters of each stage, full resolution first."""
        return [list(stage.parameters()) for stage in self.stages]

    def forward(self, volumes: Tensor) -> list[Tensor]:
        """[N, C, D, H, W] -> a feature map a stage.

        Raises:
            UserError: a side cannot be halved so often.
        """
        if any(side % self.strides[-1] for side in volumes.shape[2:]):
            size = "x".join(map(str, volumes.shape[2:]))
            raise UserError(
                f"patches of {size} voxels: networks of monai take sides that are multiples of {self.strides[-1]}"
            )
        features: list[Tensor] = []
        for stage in self.stages:
            volumes = stage(volumes)
            features.append(volumes)
        return features


class WholeDecoder(FeatureDecoder):
    """The half of a network that goes up again.

    Args:
        stages: deepest first.
        join: what a stage makes of what is below and of the skip.
        last: behind them.
        width: features of the result, at full resolution.
    """

    initialised = True

    def __init__(
        self, stages: Sequence[nn.Module], join: Callable[[Any, Tensor, Tensor], Tensor], last: nn.Module, width: int
    ) -> None:
        super().__init__()
        self.stages, self.last, self.out_channels = nn.ModuleList(stages), last, width
        self.join = join

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Encoder features -> [N, width, D, H, W]."""
        x = features[-1]
        for stage, skip in zip(self.stages, features[-2::-1], strict=True):
            x = self.join(stage, x, skip)
        return self.last(x)


def _dynunet(networks: Any, in_channels: int, channels: Sequence[int]) -> tuple[WholeEncoder, WholeDecoder]:
    """nnU-Net's architecture (Isensee et al. 2021) as MONAI has it."""
    count = len(channels)
    strides = [1, *[2] * (count - 1)]
    whole = networks.DynUNet(3, in_channels, 1, [3] * count, strides, strides[1:], filters=channels)
    encoder = WholeEncoder([whole.input_block, *whole.downsamples, whole.bottleneck], channels)
    return encoder, WholeDecoder(whole.upsamples, lambda stage, x, skip: stage(x, skip), nn.Identity(), channels[0])


def _segresnet(networks: Any, in_channels: int, channels: Sequence[int]) -> tuple[WholeEncoder, WholeDecoder]:
    """SegResNet (Myronenko 2018) without its variational branch, as MONAI has it."""
    width, count = channels[0], len(channels)
    groups = {"num_groups": math.gcd(8, width)}  # of 8 features in the paper
    whole = networks.SegResNet(
        3, width, in_channels, 1, norm=("GROUP", groups), blocks_down=BLOCKS[:count], blocks_up=[1] * (count - 1)
    )
    first = nn.Sequential(whole.convInit, whole.down_layers[0])
    encoder = WholeEncoder([first, *whole.down_layers[1:]], channels)
    stages = map(nn.ModuleList, zip(whole.up_samples, whole.up_layers, strict=True))
    return encoder, WholeDecoder(
        list(stages), lambda stage, x, skip: stage[1](stage[0](x) + skip), whole.conv_final[:-1], width
    )

"""Say what a network is made of: parameters, multiply-adds, size on disk, what its encoder sees, shapes stage by stage.

Any combination of the settings of training, without data and without weights, or that of a run's weights. --max_params
and --max_mb make a check of it: exit code 1 where the network is larger.

    python -m transfer_learning.describe --encoder mobilenetv2_100 --decoder transposed --num_classes 23 --size 240
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.command import run_command
from core.errors import RunError, UserError
from core.networks.network_config import NetworkConfig
from core.sides import MAX_SIZE, sides_of
from core.train_config import OWN_ENCODER
from transfer_learning.config import Refinement
from transfer_learning.inference.weights_files import is_torchvision

if TYPE_CHECKING:
    from transfer_learning.description import Description


BOUNDS = {"width": (1, 4096), "num_classes": (2, 254)}  # as training has them
# What says how to describe, and not what.
OF_CHECK = ("model_path", "size", "max_params", "max_mb")


@dataclass(frozen=True)
class DescribeConfig(NetworkConfig):
    """Settings of `transfer_learning.describe`."""

    model_path: Path | None = None
    """Weights of phase 2: describe their network, whatever the other settings say."""
    encoder: str = OWN_ENCODER
    """unet, double_conv or a network of timm."""
    width: int = 32
    """Features of the first stage; with an --encoder of timm, of the decoder alone."""
    num_classes: int = 3
    """Classes to tell apart."""
    in_channels: Literal[1, 3] = 3
    """Channels of the pictures: 1 where they are grey."""
    refine: Refinement = "none"
    """boundary: a residual block behind the scores."""
    size: int | str = 256
    """Side of the picture, or HEIGHTxWIDTH, that shapes and multiply-adds are of."""
    max_params: float | None = None
    """Fail where the network has more parameters than this (5e6)."""
    max_mb: float | None = None
    """Fail where its weights take more megabytes (10^6 bytes) on disk than this."""

    def __post_init__(self) -> None:
        NetworkConfig.__post_init__(self)
        for name, (lowest, highest) in BOUNDS.items():
            if not lowest <= getattr(self, name) <= highest:
                raise UserError(f"{name} {getattr(self, name)} must lie between {lowest} and {highest}")
        if max(sides_of(self.size)) > MAX_SIZE:
            raise UserError(f"size {self.size}: sides have {MAX_SIZE} px at most")
        if is_torchvision(self.model_path):
            raise UserError(f"model_path {self.model_path}: this command takes weights of a run of this project")
        for name in ("max_params", "max_mb"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UserError(f"{name} {value} must be above 0")

    def idle(self) -> dict[str, str]:
        """Return the settings that have no say beside the others, and why."""
        names = [field.name for field in fields(self) if field.name not in OF_CHECK]
        if self.model_path:
            return dict.fromkeys(names, "with --model_path")
        found = {**NetworkConfig.idle(self), "gradient_checkpointing": "without a training"}
        return {name: why for name, why in found.items() if name in names}

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the network."""
        names = ("encoder", "width", "num_classes", "in_channels", "refine")
        return {**self.network(), **{name: getattr(self, name) for name in names}}


def describe(config: DescribeConfig) -> "Description":
    """Print the description; returns it.

    Raises:
        UserError: the parts do not fit together, or the weights are none of phase 2.
        RunError: after all is printed, where the network is larger than `max_params` or `max_mb`.
    """
    from transfer_learning.description import described, lines

    arguments = _arguments_of_weights(config.model_path) if config.model_path else config.arguments()
    found = described(arguments, sides_of(config.size))
    print("\n".join(lines(found)))
    _require_small(found, config)
    return found


def _arguments_of_weights(path: Path) -> dict[str, Any]:
    from core.headers.header import read_header
    from core.weights import arguments_of
    from transfer_learning.network import SegmentationUNet

    header = read_header(path)
    if header.phase != "transfer_learning":
        raise UserError(f"{path} comes from {header.phase}: this command takes weights of transfer_learning")
    return arguments_of(SegmentationUNet, header, str(path))


def _require_small(found: "Description", config: DescribeConfig) -> None:
    count, megabytes = found.total, found.bytes_on_disk / 1e6
    if config.max_params is not None and count > config.max_params:
        raise RunError(f"the network has {count:,} parameters, more than --max_params {config.max_params:,.0f}")
    if config.max_mb is not None and megabytes > config.max_mb:
        raise RunError(f"its weights take {megabytes:.1f} MB, more than --max_mb {config.max_mb:g}")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command(
        "transfer_learning.describe", DescribeConfig, describe, argv, section="describe", description=__doc__
    )


if __name__ == "__main__":
    sys.exit(main())

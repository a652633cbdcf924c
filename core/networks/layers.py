"""What networks of pictures and of volumes are made of: one table by the number of their axes.

A volume is [N, C, D, H, W], a picture [N, C, H, W]: whoever reads this table computes on both.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Layers:
    """Layers for one number of axes.

    Attributes:
        conv: the convolution.
        max_pool, avg_pool: the largest and the mean value of windows.
        between: the mode of `F.interpolate` between positions.
        unit: what a side is counted in.
    """

    conv: type[nn.Conv2d] | type[nn.Conv3d]
    max_pool: Callable[..., Tensor]
    avg_pool: Callable[..., Tensor]
    between: str
    unit: str


LAYERS = {
    2: Layers(nn.Conv2d, F.max_pool2d, F.avg_pool2d, "bilinear", "px"),
    3: Layers(nn.Conv3d, F.max_pool3d, F.avg_pool3d, "trilinear", "voxels"),
}


def layers_of(x: Tensor) -> Layers:
    """Return the layers for [N, C, *sides]."""
    return LAYERS[x.ndim - 2]


def axes_of(x: Tensor) -> tuple[int, ...]:
    """Return the axes of [N, C, *sides] that are sides."""
    return tuple(range(2, x.ndim))


def a_channel(values: Tensor, like: Tensor) -> Tensor:
    """Return values [C], one a channel, as they combine with [N, C, *sides]."""
    return values.view(1, -1, *(1 for _ in axes_of(like)))


def spread(values: Tensor, times: int) -> Tensor:
    """Repeat every position of [N, C, *sides] so often along each side."""
    for axis in axes_of(values):
        values = values.repeat_interleave(times, axis)
    return values


def cut(x: Tensor, sides: Iterable[int]) -> Tensor:
    """Return the part of [N, C, *sides] that begins at its first position and has these sides."""
    kept: tuple[Any, ...] = (..., *(slice(side) for side in sides))
    return x[kept]


def resized(x: Tensor, sides: list[int] | tuple[int, ...]) -> Tensor:
    """Bring [N, C, *sides] to other sides, linearly between positions."""
    return F.interpolate(x, size=sides, mode=layers_of(x).between, align_corners=False)

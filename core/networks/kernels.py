"""Instance norm and linear upsampling computed in other ways than torch's, faster where that was measured.

The same functions: results differ from torch's by rounding alone. `core.machine.choices` says where they are used.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from core.networks.layers import resized

# From so many positions on, group norm's kernel for channels last wins in a forward pass; below, it takes ten times as
# long as a batch norm a picture. Its backward pass never wins.
GROUPED_FROM = 32 * 32
CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def use_kernels(network: nn.Module, kernels: str) -> None:
    """Have every part of a network that knows both compute by `torch`'s kernels or by our `own`."""
    for module in network.modules():
        if hasattr(module, "kernels"):
            setattr(module, "kernels", kernels)  # noqa: B010 - torch types what modules have as tensors


def is_channels_last(x: Tensor) -> bool:
    """Say whether [N, C, *sides] lies channels last in memory, and not contiguous too."""
    return x.is_contiguous(memory_format=CHANNELS_LAST[x.ndim]) and not x.is_contiguous()


def instance_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Return `F.instance_norm` of [N, C, *sides] with weight and bias [C] (Ulyanov et al. 2016)."""
    if is_channels_last(x):
        return PictureNorm.apply(x, weight, bias, eps)
    return F.group_norm(x, x.shape[1], weight, bias, eps)


class PictureNorm(torch.autograd.Function):
    """Instance norm of a batch that lies channels last, as a batch norm of each picture, or volume, by itself."""

    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        """Normalise; see `instance_norm`."""
        count, channels, *sides = x.shape
        if (positions := math.prod(sides)) >= GROUPED_FROM:
            normal, mean, scale = torch.native_group_norm(x, weight, bias, count, channels, positions, channels, eps)
        else:
            pictures = [torch.native_batch_norm(one, weight, bias, None, None, True, 0.0, eps) for one in x.split(1)]
            normal, mean, scale = (torch.cat(parts) for parts in zip(*pictures, strict=True))
        statistics = (values.view(count, channels).to(weight.dtype) for values in (mean, scale))
        context.save_for_backward(x, weight, *statistics)
        context.eps = eps
        return normal

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Any, ...]:
        """Return the gradients of x, weight and bias."""
        x, weight, mean, scale = context.saved_tensors
        gradient = gradient.contiguous(memory_format=CHANNELS_LAST[gradient.ndim])
        parts = zip(gradient.split(1), x.split(1), mean, scale, strict=True)
        pictures = [
            torch.ops.aten.native_batch_norm_backward(
                of_output, of_input, weight, None, None, *statistics, True, context.eps, (True, True, True)
            )
            for of_output, of_input, *statistics in parts
        ]
        of_x, of_weight, of_bias = zip(*pictures, strict=True)
        return torch.cat(of_x), torch.stack(of_weight).sum(0), torch.stack(of_bias).sum(0), None


def upsample(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return `F.interpolate` of [N, C, *sides] to size, linear with `align_corners` off, in the type of x.

    Autocast would have it in fp32. Downwards, and in half precision by other factors than two (whose weights have no
    exact half), it is torch's; so it is of volumes that lie contiguous.
    """
    doubles = all(new == 2 * old for new, old in zip(size, x.shape[2:], strict=True))
    upwards = all(new >= old for new, old in zip(size, x.shape[2:], strict=True))
    exact = doubles or (x.dtype in (torch.float32, torch.float64) and upwards)
    if is_channels_last(x) or (x.ndim == 4 and exact):
        return Upsampling.apply(x, size)
    return resized(x, size)


class Upsampling(torch.autograd.Function):
    """Linear upsampling by torch's kernels for channels last, which are many times as fast as those for contiguous.

    A contiguous batch has its columns upsampled by a matrix product, and its rows by the same kernels: seen as a batch
    of pictures one column wide, whose channels are the columns, it lies channels last.
    """

    @staticmethod
    def forward(context: Any, x: Tensor, size: tuple[int, ...]) -> Tensor:
        """Upsample; see `upsample`."""
        context.shape, context.last = x.shape, is_channels_last(x)
        with torch.autocast(x.device.type, enabled=False):
            if context.last:
                return resized(x, size)
            count, channels, height, _ = x.shape
            wide = x @ _columns(x, size[1]).T
            rows = wide.reshape(count * channels, height, 1, size[1]).permute(0, 3, 1, 2)
            return resized(rows, (size[0], 1)).permute(0, 2, 3, 1).reshape(count, channels, *size)

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Any, ...]:
        """Return the gradient of x."""
        with torch.autocast(gradient.device.type, enabled=False):
            if context.last:
                gradient = gradient.contiguous(memory_format=CHANNELS_LAST[gradient.ndim])
                return _backward(gradient, context.shape), None
            count, channels, height, width = context.shape
            size = gradient.shape[-2:]
            rows = gradient.reshape(count * channels, size[0], 1, size[1]).permute(0, 3, 1, 2)
            narrow = _backward(rows, (count * channels, size[1], height, 1))
            narrow = narrow.permute(0, 2, 3, 1).reshape(count, channels, height, size[1])
            return narrow @ _columns(gradient, size[1], width), None


def _backward(gradient: Tensor, shape: tuple[int, ...]) -> Tensor:
    backward = {4: torch.ops.aten.upsample_bilinear2d_backward, 5: torch.ops.aten.upsample_trilinear3d_backward}
    return backward[gradient.ndim](gradient, gradient.shape[2:], shape, False)


def _columns(like: Tensor, wide: int, width: int | None = None) -> Tensor:
    """Return the matrix [wide, width] that upsamples a row; `width` is that of `like` where it is not given."""
    exact = torch.promote_types(like.dtype, torch.float32)
    one = torch.eye(width or like.shape[-1], dtype=exact, device=like.device)
    matrix = F.interpolate(one[None], size=wide, mode="linear", align_corners=False)[0].T
    return matrix.to(like.dtype)

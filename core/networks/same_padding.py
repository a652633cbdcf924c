"""Convolutions of timm's that pad as TensorFlow's "same" does, their padding counted in whole numbers.

timm divides and rounds up, and each convolution's sides come out of the last one's: with free sides, as an export has
them, the terms grow until tracing a U-Net on EfficientNet-Lite0 takes minutes. In whole numbers it takes half of one
(27 s of one thread, which were more than 280), and the padding is the same.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from timm.layers import Conv2dSame
from torch import Tensor, nn

from core.networks.decoding.sizes import rounded_up


class WholeConv2dSame(Conv2dSame):
    """timm's convolution with "same" padding: as many outputs as the stride fits into a side, rounded up."""

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C', H / stride, W / stride], rounded up."""
        height, width = _padding(x.shape[-2:], self.weight.shape[-2:], self.stride, self.dilation)
        x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def _padding(
    sides: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[int, ...]:
    """Return how many zeros each side takes."""
    beyond = [(size - 1) * each + 1 - step for size, each, step in zip(kernel, dilation, stride, strict=True)]
    whole = [rounded_up(side, step) - side for side, step in zip(sides, stride, strict=True)]
    # A kernel smaller than its stride leaves out, and takes none.
    return tuple(more + rest if rest >= 0 else max(more + rest, 0) for more, rest in zip(whole, beyond, strict=True))


def count_in_whole_numbers(network: nn.Module) -> None:
    """Have a network's convolutions with "same" padding count it in whole numbers; weights stay as they are."""
    for module in network.modules():
        if type(module) is Conv2dSame:
            module.__class__ = WholeConv2dSame

"""What a network of phase 2 is made of, counted and measured on the network itself."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from core.networks.batch_norms import batch_norms
from core.networks.unet import MIN_SIDE, count_parameters
from transfer_learning.network import SegmentationUNet

# Parts of the network that are counted apart, where it has them.
PARTS = ("encoder", "attention", "decoder", "head", "refine")
LONGEST = 2049  # of a strip on which the receptive field is measured


@dataclass(frozen=True)
class Counts:
    """How large a network is.

    Attributes:
        parameters: of each part.
        multiply_adds: of one picture, of convolutions and matrix products.
        bytes_on_disk: of the tensors that a weights file holds, in fp32.
    """

    parameters: dict[str, int]
    multiply_adds: int
    bytes_on_disk: int

    @property
    def total(self) -> int:
        """Parameters of all parts."""
        return sum(self.parameters.values())


@dataclass(frozen=True)
class Description(Counts):
    """What is printed, the counts among it.

    Attributes:
        title: encoder and decoder.
        size: height and width of the picture.
        receptive_field: side in pixels of what one of the encoder's deepest features depends on; None where that is
            more than `LONGEST` or cannot be measured.
        stages: name -> shape without the batch, in the order in which they are computed.
    """

    title: str
    size: tuple[int, int]
    receptive_field: int | None
    stages: dict[str, tuple[int, ...]]


def described(arguments: Mapping[str, Any], size: Sequence[int]) -> Description:
    """Build a network and count.

    Args:
        arguments: of `SegmentationUNet`.
        size: height and width of a picture.

    Raises:
        UserError: the arguments do not fit together, or the picture is too small.
    """
    torch.manual_seed(0)
    network = SegmentationUNet(**arguments).eval()
    height, width = size
    stages: dict[str, tuple[int, ...]] = {"picture": (network.in_channels, height, width)}
    hooks = [module.register_forward_hook(_note(stages, name)) for name, module in _stages_of(network)]
    counts = counted(network, size)
    for hook in hooks:
        hook.remove()
    return Description(
        **asdict(counts),
        title=f"encoder {arguments.get('encoder', 'unet')}, decoder {arguments.get('decoder', 'unet')}",
        size=(height, width),
        receptive_field=receptive_field(network.encoder, network.in_channels),
        stages=stages,
    )


def counted(network: SegmentationUNet, size: Sequence[int]) -> Counts:
    """Count a network in eval mode, on a picture of a height and width. Raises UserError where that is too small."""
    multiply_adds = forward_multiply_adds(network, network.in_channels, size)
    return Counts(
        parameters={part: count for part in PARTS if (count := _count(network, part))},
        multiply_adds=multiply_adds,
        bytes_on_disk=sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values()),
    )


def forward_multiply_adds(network: nn.Module, in_channels: int, size: Sequence[int]) -> int:
    """Count convolutions and matrix products of one picture through a network of either phase."""
    picture = torch.zeros(1, in_channels, *size)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(picture)
    return counter.get_total_flops() // 2


def receptive_field(encoder: nn.Module, in_channels: int = 3) -> int | None:
    """Return the side of what the encoder's deepest feature depends on by its convolutions and pooling, in pixels.

    Measured by the gradient of a feature in the middle of a long strip, on a copy in which nothing can cancel: weights
    positive, means instead of largest values, and no norm over places (which, strictly, sees all of the picture).
    What weighs channels by their mean over the picture (squeeze and excitation) does see all of it.

    Returns:
        None where it is more than 2,049 px, or the encoder takes no such strip.
    """
    copied = _without_cancelling(encoder)
    strip = torch.rand(1, in_channels, LONGEST, MIN_SIDE, dtype=torch.float64).mul(1e-3).requires_grad_()
    try:
        deepest = copied(strip)[-1]
        (gradient,) = torch.autograd.grad(deepest[0, :, deepest.shape[-2] // 2].sum(), strip)
    except (RuntimeError, ValueError, AssertionError):
        return None
    rows = gradient.abs().sum((0, 1, 3)).nonzero().flatten()
    extent = int(rows[-1] - rows[0]) + 1 if len(rows) else LONGEST
    return extent if extent < LONGEST else None


def lines(found: Description) -> Iterator[str]:
    """Yield what is printed."""
    height, width = found.size
    yield f"{found.title}, a picture of {height}x{width} px"
    parts = ", ".join(f"{name} {count:,}" for name, count in found.parameters.items())
    yield f"parameters       {found.total:,} ({parts})"
    yield f"multiply-adds    {found.multiply_adds / 1e9:.3f} billion a picture"
    yield f"size on disk     {found.bytes_on_disk / 1e6:.1f} MB in fp32"
    field = found.receptive_field
    seen = f"{field} px" if field else f"the whole picture, or more than {LONGEST:,} px"
    yield f"receptive field  {seen}, of the encoder's deepest feature, by gradients (norms over places left out)"
    yield "shapes [channels, height, width]"
    longest = max(map(len, found.stages))
    for name, shape in found.stages.items():
        yield f"  {name:<{longest}}  {' x '.join(map(str, shape))}"


def _stages_of(network: SegmentationUNet) -> Iterator[tuple[str, nn.Module]]:
    """Yield the parts whose output is shown: the encoder, the stages of the decoder, what stands behind it."""
    yield "encoder", network.encoder
    for name, part in network.decoder.named_children():
        stages = list(part) if isinstance(part, nn.ModuleList) else _convolutions(part)
        for number, stage in enumerate(stages or [part], 1):
            if not isinstance(stage, nn.Identity):
                yield f"decoder {name} {number if stages else ''}".rstrip(), stage
    yield "decoder", network.decoder
    yield "scores", network


def _convolutions(part: nn.Module) -> list[nn.Module]:
    """Return the convolutions of parts in a plain row, what stands between which keeps their shapes; [] of others."""
    row = part if isinstance(part, nn.Sequential) else ()
    return [module for module in row if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]


def _note(stages: dict[str, tuple[int, ...]], name: str) -> Any:
    def note(module: nn.Module, given: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            stages[name] = tuple(output.shape[1:])
        elif name == "encoder":
            strides = getattr(module, "strides", [2**stage for stage in range(len(output))])
            for number, (feature, stride) in enumerate(zip(output, strides, strict=True)):
                if feature.shape[1]:
                    stages[f"encoder {number + 1}, stride {stride}"] = tuple(feature.shape[1:])

    return note


def _count(network: SegmentationUNet, part: str) -> int:
    found = getattr(network, part, None)
    return count_parameters(found) if isinstance(found, nn.Module) else 0


def _without_cancelling(encoder: nn.Module) -> nn.Module:
    copied = copy.deepcopy(encoder).double().eval()
    for name, part in list(copied.named_modules()):
        parent = copied.get_submodule(name.rpartition(".")[0]) if name else copied
        if isinstance(part, nn.MaxPool2d):
            mean = nn.AvgPool2d(part.kernel_size, part.stride, part.padding, part.ceil_mode, count_include_pad=False)
            setattr(parent, name.rpartition(".")[2], mean)
        elif isinstance(part, nn.GroupNorm):
            setattr(parent, name.rpartition(".")[2], nn.Identity())
    with torch.no_grad():
        for norm in batch_norms(copied):
            norm.reset_parameters()  # timm begins some at 0
        for part in copied.modules():
            if isinstance(part, nn.Conv2d):
                # Means, so that nothing grows out of the range in which activations let a gradient through.
                part.weight.copy_(part.weight.abs() / part.weight.abs().sum((1, 2, 3), keepdim=True))
                if part.bias is not None:
                    part.bias.zero_()
    return copied

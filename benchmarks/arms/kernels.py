"""What `benchmarks.kernels` times: the network alone in every layout and by all kernels, and its parts."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.arms.training import plain_network
from benchmarks.config import KernelsConfig
from benchmarks.loops import practitioner
from core.machine.device import LAYOUTS
from core.networks.kernels import upsample, use_kernels
from core.networks.unet import MULTIPLIERS, InstanceNorm
from transfer_learning.inference.backends import TYPES, autocast
from transfer_learning.network import SegmentationUNet

Arms = dict[str, Callable[[], Any]]
PLAIN = "instance norm, contiguous, fp32"
CONVOLUTIONS = "convolutions alone"
KERNELS = ("torch", "own")


def network_arms(config: KernelsConfig, device: torch.device, precision: str) -> Arms:
    """Return a step and a forward pass of the network for all kernels and layouts, a practitioner's and its parts'."""
    images = torch.rand(config.batch_size, 3, config.size, config.size, device=device)
    label = torch.randint(practitioner.NUM_CLASSES, (config.batch_size, config.size, config.size), device=device)
    plain = plain_network(config.width).to(device)
    arms = _arms_of(PLAIN, plain, images, label, "off")
    for (layout, memory_format), kernels in itertools.product(LAYOUTS.items(), KERNELS):
        model = SegmentationUNet(practitioner.NUM_CLASSES, config.width).to(device).to(memory_format=memory_format)
        use_kernels(model, kernels)
        arms |= _arms_of(f"{kernels}, {layout}", model, images, label, precision)
    shapes = inputs_of(plain, nn.Conv2d, images)
    for layout, memory_format in LAYOUTS.items():
        alone = [_convolution(*of_one, memory_format, TYPES.get(precision, torch.float32)) for of_one in shapes]
        arms[f"step, {CONVOLUTIONS}, {layout}"] = partial(_each, [step for step, _ in alone])
        arms[f"forward, {CONVOLUTIONS}, {layout}"] = partial(_each, [forward for _, forward in alone])
    return arms


def _arms_of(name: str, model: nn.Module, images: Tensor, label: Tensor, precision: str) -> Arms:
    return {
        f"step, {name}": partial(_step, model, images, label, precision),
        f"forward, {name}": partial(_forward, model, images, precision),
    }


def _step(model: nn.Module, images: Tensor, label: Tensor, precision: str) -> None:
    with autocast(images.device, precision):
        logits = model.train()(images)
    F.cross_entropy(logits.float(), label).backward()
    model.zero_grad()


@torch.inference_mode()
def _forward(model: nn.Module, images: Tensor, precision: str) -> None:
    with autocast(images.device, precision):
        model.eval()(images)


def _each(works: list[Callable[[], Any]]) -> None:
    for work in works:
        work()


def inputs_of(network: nn.Module, kind: type[nn.Module], images: Tensor) -> list[tuple[Any, torch.Size]]:
    """Return every module of a kind in the order of a forward pass, with the shape of what it gets."""
    found: list[tuple[Any, torch.Size]] = []
    hooks = [
        module.register_forward_hook(lambda module, inputs, _: found.append((module, inputs[0].shape)))
        for module in network.modules()
        if isinstance(module, kind)
    ]
    with torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    return found


def _convolution(
    like: nn.Conv2d, shape: torch.Size, memory_format: torch.memory_format, dtype: torch.dtype
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Return a convolution's step (forward and backward) and its forward pass."""
    device = like.weight.device
    convolution = nn.Conv2d(like.in_channels, like.out_channels, like.kernel_size, like.stride, like.padding)  # type: ignore[arg-type]
    convolution = convolution.to(device, dtype, memory_format=memory_format)  # type: ignore[call-overload]
    x = torch.rand(shape, device=device, dtype=dtype).contiguous(memory_format=memory_format)
    x.requires_grad_(like.in_channels > 3)  # pictures need no gradient
    gradient = torch.rand_like(convolution(x).detach())

    def step() -> None:
        convolution(x).backward(gradient)
        x.grad = None
        convolution.zero_grad()

    @torch.inference_mode()
    def forward() -> None:
        convolution(x)

    return step, forward


def part_arms(config: KernelsConfig, device: torch.device, precision: str) -> Arms:
    """Return norm and upsampling at all shapes of the network: forward, and forward with backward."""
    dtype = TYPES.get(precision, torch.float32)
    images = torch.rand(config.batch_size, 3, config.size, config.size, device=device)
    arms: Arms = {}
    for kernels, (layout, memory_format) in itertools.product(KERNELS, LAYOUTS.items()):
        network = SegmentationUNet(practitioner.NUM_CLASSES, config.width).to(device)
        use_kernels(network, kernels)
        drawn = partial(_drawn, dtype=dtype, device=device, memory_format=memory_format)
        norms = inputs_of(network, InstanceNorm, images)
        # The decoder upsamples what the encoder's last norm, and the second one of its own stages, gave.
        below = [shape for _, shape in norms[2 * len(MULTIPLIERS) - 1 : -1 : 2]]
        works: dict[str, list] = {
            "norm": [(module, drawn(shape)) for module, shape in norms],
            "upsampling": [(partial(_upsampled, kernels, precision), drawn(shape)) for shape in below],
        }
        for part, pairs in works.items():
            arms[f"{part} forward, {kernels}, {layout}"] = partial(_each, [partial(f, x.detach()) for f, x in pairs])
            arms[f"{part} step, {kernels}, {layout}"] = partial(_each, [partial(_both, f, x) for f, x in pairs])
    return arms


def _drawn(shape: torch.Size, dtype: torch.dtype, device: torch.device, memory_format: torch.memory_format) -> Tensor:
    x = torch.rand(shape, device=device, dtype=dtype).contiguous(memory_format=memory_format)
    return x.requires_grad_()


def _upsampled(kernels: str, precision: str, x: Tensor) -> Tensor:
    size = (2 * x.shape[2], 2 * x.shape[3])
    if kernels == "own":
        return upsample(x, size)
    with autocast(x.device, precision):
        return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def _both(work: Callable[[Tensor], Tensor], x: Tensor) -> None:
    y = work(x)
    y.backward(y.detach())
    x.grad = None

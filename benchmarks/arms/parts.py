"""What `benchmarks.parts` times beside the network: losses, targets and augmentation, by us and by others.

Every arm returns what it computed, so that a test can say that all of a group compute the same.
"""

import copy
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import timm
import torch
import torch.nn.functional as F
from pytorch_msssim import ssim
from segmentation_models_pytorch.losses import DiceLoss
from skimage.feature import hog
from torch import Tensor, nn
from torchvision.transforms import v2

from benchmarks.config import PartsConfig
from core.classes import IGNORED
from core.machine.device import LAYOUTS
from core.networks.pretrained import efficientnet_lite0
from core.randomness import keys
from data.augment.batch import augment, plain
from data.augment.settings import AugmentConfig
from data.pretext.targets import CELL, ORIENTATIONS, oriented_gradients
from reconstruction.config import SSIM_WINDOW
from reconstruction.losses import dissimilarity_sums
from reconstruction.perceptual import PerceptualDistance, fold_batch_norms
from transfer_learning.inference.backends import TYPES, autocast
from transfer_learning.losses.expression import parts_of
from transfer_learning.losses.segmentation import SegmentationLoss

OURS = "ours"
NO_BLUR = AugmentConfig(blur=0, noise=0)


class Way(NamedTuple):
    """A way to compute a part; those of a part with one layout and one precision are compared with `OURS`."""

    name: str
    layout: str = "contiguous"
    precision: str = "off"


Arms = dict[Way, Callable[[], Any]]


def step_of(function: Callable[..., Tensor], x: Tensor, *others: Any) -> Tensor:
    """Return a scalar function's value, after a backward pass to its first argument."""
    x.grad = None
    value = function(x, *others)
    value.backward()
    return value.detach()


def _drawn(config: PartsConfig, channels: int = 3) -> Tensor:
    return torch.rand(config.batch_size, channels, config.size, config.size)


def loss_arms(config: PartsConfig, device: torch.device, classes: int, precisions: list[str]) -> Arms:
    """Return Dice and cross-entropy of logits as networks give them, with the backward pass; others' are in fp32."""
    label = torch.randint(0, classes + 1, (config.batch_size, config.size, config.size), device=device)
    label[label == classes] = IGNORED
    dice, both = DiceLoss("multiclass", smooth=0, ignore_index=IGNORED), SegmentationLoss(parts_of("dice + ce"))
    drawn = 2 * _drawn(config, classes).to(device)

    def cross_entropy(logits: Tensor) -> Tensor:
        return F.cross_entropy(logits.float(), label, ignore_index=IGNORED)

    functions: dict[str, Callable[[Tensor], Tensor]] = {
        OURS: lambda logits: both(logits, label)["loss"],
        "F.cross_entropy alone": cross_entropy,
        "F.cross_entropy and SMP's DiceLoss": lambda logits: cross_entropy(logits) + dice(logits.float(), label),
    }
    arms: Arms = {}
    for (layout, memory_format), precision in _each_way(precisions):
        logits = drawn.to(TYPES.get(precision, torch.float32), memory_format=memory_format).requires_grad_()
        arms |= {Way(name, layout, precision): partial(step_of, f, logits) for name, f in functions.items()}
    return arms


def _each_way(precisions: list[str]) -> list[tuple[tuple[str, torch.memory_format], str]]:
    return [(of_layout, precision) for of_layout in LAYOUTS.items() for precision in precisions]


def class_arms(config: PartsConfig, device: torch.device, classes: int, precisions: list[str]) -> Arms:
    """Return the likeliest class of every pixel, as validation takes it and by argmax."""
    drawn = _drawn(config, classes).to(device)
    arms: Arms = {}
    for (layout, memory_format), precision in _each_way(precisions):
        logits = drawn.to(TYPES.get(precision, torch.float32), memory_format=memory_format)
        arms[Way(OURS, layout, precision)] = partial(_by_max, logits)
        arms[Way("argmax", layout, precision)] = partial(logits.argmax, 1)
    return arms


def _by_max(logits: Tensor) -> Tensor:
    return logits.max(1).indices


def _pair(config: PartsConfig, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return a restored batch, its target and content everywhere."""
    target = F.avg_pool2d(_drawn(config), 5, 1, 2)
    restored = (target + 0.1 * torch.randn(target.shape)).clamp(0, 1)
    content = torch.ones_like(target[:, :1], dtype=torch.bool)
    return restored.to(device).requires_grad_(), target.to(device), content.to(device)


def ssim_arms(config: PartsConfig, device: torch.device) -> Arms:
    """Return 1 - SSIM, with the backward pass, of a restored batch in each layout and a target as augmentation has it.

    The package as it is called by itself is what losses were before they laid their pictures channels last.
    """
    restored, target, content = _pair(config, device)

    def of_package(restored: Tensor) -> Tensor:
        return 1 - ssim(restored, target, data_range=1, win_size=SSIM_WINDOW)

    def ours(restored: Tensor) -> Tensor:
        dissimilarity, count = dissimilarity_sums(restored, target, content)
        return dissimilarity / count

    arms: Arms = {}
    for layout, memory_format in LAYOUTS.items():
        laid = restored.detach().clone(memory_format=memory_format).requires_grad_()
        arms[Way(OURS, layout)] = partial(step_of, ours, laid)
        arms[Way("pytorch-msssim", layout)] = partial(step_of, of_package, laid)
    return arms


class TimmFeatures(nn.Module):
    """The perceptual network as timm gives it, its batch norms perhaps folded, in the layout of the weights."""

    def __init__(self, memory_format: torch.memory_format, folded: bool) -> None:
        super().__init__()
        wrapper = timm.create_model("tf_efficientnet_lite0", features_only=True).eval()
        wrapper.load_state_dict(efficientnet_lite0().state_dict(), strict=False)
        if folded:
            fold_batch_norms(wrapper)
        self.network, self.memory_format = wrapper.to(memory_format=memory_format), memory_format

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the features of images [N, 3, H, W] in [0, 1], shallow to deep."""
        return [f.float() for f in self.network((2 * images - 1).contiguous(memory_format=self.memory_format))]


def perceptual_arms(config: PartsConfig, device: torch.device, precisions: list[str]) -> Arms:
    """Return the perceptual distance with the backward pass: ours, and with timm's network in every layout."""
    pair = _pair(config, device)
    ours = PerceptualDistance().to(device)
    arms: Arms = {Way(OURS): partial(step_of, ours, *pair)}
    ways = itertools.product(_each_way(precisions), {"timm's network": False, "the same, norms folded": True}.items())
    for ((layout, memory_format), precision), (name, folded) in ways:
        distance = copy.deepcopy(ours)
        distance.features = TimmFeatures(memory_format, folded).requires_grad_(False).eval().to(device)
        with_autocast = autocast(device, precision)(distance.forward)
        arms[Way(name, layout, precision)] = partial(step_of, with_autocast, *pair)
    return arms


def hog_arms(config: PartsConfig, device: torch.device) -> Arms:
    """Return histograms of oriented gradients as a target, without a backward pass, which it has not."""
    images = _drawn(config).to(device)

    def of_package() -> np.ndarray:
        settings = {"feature_vector": False, "block_norm": "L2", "cells_per_block": (1, 1)}
        planes = images.flatten(0, 1).cpu().numpy()
        found = [hog(plane, ORIENTATIONS, (CELL, CELL), **settings)[:, :, 0, 0] for plane in planes]
        return np.stack(found)  # [N * 3, h, w, 9]

    return {Way(OURS): partial(oriented_gradients, images), Way("scikit-image, a channel at a time"): of_package}


def augment_arms(config: PartsConfig, device: torch.device) -> Arms:
    """Return augmentation by default, its parts, and torchvision's of each picture alone by the same settings."""
    shape = (config.batch_size, config.size, config.size)
    images = torch.randint(0, 256, (*shape, 3), dtype=torch.uint8, device=device)
    labels = torch.randint(0, 3, shape, dtype=torch.uint8, device=device)
    rectangles = torch.tensor((0, 0, config.size, config.size)).expand(len(images), 4)
    drawn = keys(0, 0, np.arange(len(images)))
    defaults = AugmentConfig()

    def ours(settings: AugmentConfig) -> Callable[[], Any]:
        return lambda: augment(images, rectangles, labels, drawn, settings)

    return {
        Way(OURS): ours(defaults),
        Way("ours, without blur and noise"): ours(NO_BLUR),
        Way("ours, nothing drawn"): lambda: plain(images, rectangles, labels),
        Way("torchvision.transforms.v2, a picture at a time"): lambda: _of_torchvision(images, labels, defaults),
    }


def _of_torchvision(images: Tensor, labels: Tensor, settings: AugmentConfig) -> list[Any]:
    from torchvision.tv_tensors import Image, Mask

    shift = (settings.shift, settings.shift)
    zoom = (1 / (1 + settings.scale), 1 + settings.scale)
    bilinear = v2.InterpolationMode.BILINEAR
    transform = v2.Compose(
        [
            v2.ToDtype({Image: torch.float32, Mask: torch.int64}, scale=True),
            v2.RandomHorizontalFlip(settings.flip),
            v2.RandomAffine(settings.rotation, shift, zoom, interpolation=bilinear, fill={Image: 0, Mask: IGNORED}),
            v2.ColorJitter(settings.brightness, settings.contrast, settings.saturation, settings.hue),
            v2.RandomApply([v2.GaussianBlur(9, (0.64, 1.9))], settings.blur),
            v2.RandomApply([v2.GaussianNoise(sigma=settings.noise / 2)], 1.0),
        ]
    )
    pictures = images.permute(0, 3, 1, 2)
    return [transform(Image(picture), Mask(label)) for picture, label in zip(pictures, labels, strict=True)]


def arms_of(config: PartsConfig, device: torch.device, precisions: list[str]) -> dict[str, Callable[[], Arms]]:
    """Return by the name of each part what makes its arms, one after the other, since many classes take much memory."""
    losses = {
        f"Dice and cross-entropy, {classes} classes": partial(loss_arms, config, device, classes, precisions)
        for classes in config.classes
    }
    likeliest = {
        f"likeliest class of {classes}": partial(class_arms, config, device, classes, precisions)
        for classes in config.classes
    }
    return {
        **losses,
        **likeliest,
        "SSIM": partial(ssim_arms, config, device),
        "perceptual distance": partial(perceptual_arms, config, device, precisions),
        "HOG": partial(hog_arms, config, device),
        "augmentation": partial(augment_arms, config, device),
    }

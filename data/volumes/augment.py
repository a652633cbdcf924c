"""Augmentation of patches of volumes, batched, on their device, by each patch's key alone, as nnU-Net's.

Flips are along each axis; rotations about each, in voxels; zoom and elastic displacement come with them in one
resampling. Brightness, contrast and gamma change `clean`; blur, noise and low resolution the input alone. Brightness
scales z-scores (0.5 is their 0). With everything off a patch is as it was read, to the bit.
"""

import math

import numpy as np
import torch
from torch.nn import functional

from core.classes import IGNORED
from core.randomness import symmetric, uniform
from data.augment.batch import Batch
from data.augment.corruption import standard_normal
from data.augment.settings import AugmentConfig
from data.volumes.geometry import Triple

_CONTROL = 5  # points a side of the elastic field
_BLUR_SIGMA = (0.5, 1.0)  # voxels, nnU-Net's
_LOWEST = 0.5  # resolution, nnU-Net's
_ZERO = 0.5  # a z-score of 0


def reach(patch: Triple, config: AugmentConfig) -> Triple:
    """Return how many voxels more are read at either end of a patch, so that rotated ones show the volume."""
    elastic = getattr(config, "elastic", 0.0) * min(patch)
    turn = math.sin(math.radians(min(config.rotation, 90.0)))
    longest = math.sqrt(sum(side**2 for side in patch))
    depth, height, width = (
        math.ceil(
            (min(side + turn * (sum(patch) - side), max(longest, side)) * (1 + config.scale) - side) / 2 + elastic
        )
        for side in patch
    )
    return depth, height, width


def augment(batch: Batch, keys: np.ndarray, patch: Triple, config: AugmentConfig) -> Batch:
    """Change a plain batch that was read larger than `patch` by `reach` at either end.

    Args:
        keys: [N] uint64.
        config: how much; a `PatchConfig` too.
    """
    batch = _flipped(_placed(batch, keys, patch, config), keys, config.flip)
    clean = _recoloured(batch.clean, batch.content, keys, config)
    return Batch(clean, _corrupted(clean, batch.content, keys, config), batch.content, batch.label)


def _placed(batch: Batch, keys: np.ndarray, patch: Triple, config: AugmentConfig) -> Batch:
    """Rotate, zoom and displace where something of it is on, and cut the patch out."""
    elastic = getattr(config, "elastic", 0.0)
    if not (config.rotation or config.scale or elastic):
        return batch
    device, sides = batch.clean.device, batch.clean.shape[2:]
    axes = [torch.arange(side, dtype=torch.float32, device=device) - (side - 1) / 2 for side in patch]
    offsets = torch.stack(torch.meshgrid(*axes, indexing="ij"))  # [3, d, h, w] voxels from the middle
    matrix = _matrices(keys, config).to(device, torch.float32)
    # Sums of products instead of a matrix product, whose last bits may depend on the size of the batch.
    points = [(matrix[:, row, :, None, None, None] * offsets).sum(1) for row in range(3)]
    if elastic:
        field = symmetric(keys, "elastic", elastic * min(patch), 3 * _CONTROL**3).float()
        coarse = field.view(-1, 3, _CONTROL, _CONTROL, _CONTROL).to(device)
        moved = functional.interpolate(coarse, size=patch, mode="trilinear", align_corners=True)
        points = [point + moved[:, axis] for axis, point in enumerate(points)]
    source = [point + (side - 1) / 2 for point, side in zip(points, sides, strict=True)]
    return _sampled(batch, source)


def _matrices(keys: np.ndarray, config: AugmentConfig) -> torch.Tensor:
    """Return rotations about the three axes, and a zoom: float64 [N, 3, 3], from a point of the patch to its source."""
    angles = symmetric(keys, "rotation of a volume", math.radians(config.rotation), 3)
    matrix = torch.eye(3, dtype=torch.float64).expand(len(keys), 3, 3)
    for axis, (first, second) in enumerate(((1, 2), (0, 2), (0, 1))):
        turn = torch.eye(3, dtype=torch.float64).repeat(len(keys), 1, 1)
        cos, sin = torch.cos(angles[:, axis]), torch.sin(angles[:, axis])
        turn[:, first, first], turn[:, second, second] = cos, cos
        turn[:, first, second], turn[:, second, first] = -sin, sin
        matrix = (matrix[:, :, :, None] * turn[:, None]).sum(2)
    zoom = torch.exp(symmetric(keys, "scale", math.log1p(config.scale)))
    return matrix / zoom[:, None, None]


def _sampled(batch: Batch, source: list[torch.Tensor]) -> Batch:
    """Read a batch at these points (D, H and W, [N, d, h, w] voxels each): linearly, labels and content the nearest."""
    sides = batch.clean.shape[2:]
    inside = torch.ones_like(source[0], dtype=torch.bool)
    nearest = torch.zeros_like(source[0], dtype=torch.long)
    for point, side in zip(source, sides, strict=True):
        inside &= (point >= -0.5) & (point < side - 0.5)
        nearest = nearest * side + point.round().long().clamp(0, side - 1)
    places = nearest.flatten(1)
    content = batch.content.flatten(1).gather(1, places).view_as(nearest) & inside
    normed = [2 * point / max(side - 1, 1) - 1 for point, side in zip(source, sides, strict=True)]
    grid = torch.stack(normed[::-1], -1)
    clean = functional.grid_sample(batch.clean, grid, padding_mode="border", align_corners=True)
    if not batch.content.all():  # what lies outside the volume does not bleed into it
        weight = functional.grid_sample(batch.content.float(), grid, padding_mode="border", align_corners=True)
        clean = clean / weight.clamp(min=1e-6)
    clean = clean.clamp(0, 1) * content[:, None]
    label = batch.label
    if label is not None:
        label = label.flatten(1).gather(1, places).view_as(nearest).masked_fill(~content, IGNORED)
    return Batch(clean, clean, content[:, None], label)


def _flipped(batch: Batch, keys: np.ndarray, probability: float) -> Batch:
    """Mirror each patch along each axis with the given probability."""
    clean, content, label = batch.clean, batch.content, batch.label
    drawn = uniform(keys, "flip of a volume", 3).double() < probability
    for axis in range(3):
        rows = drawn[:, axis].to(clean.device)
        spread = rows[:, None, None, None, None]
        clean = torch.where(spread, clean.flip(axis + 2), clean)
        content = torch.where(spread, content.flip(axis + 2), content)
        label = None if label is None else torch.where(spread[:, 0], label.flip(axis + 1), label)
    return Batch(clean, clean, content, label)


def _recoloured(clean: torch.Tensor, content: torch.Tensor, keys: np.ndarray, config: AugmentConfig) -> torch.Tensor:
    """Change brightness, contrast (about each channel's mean) and gamma (within its values) where they are on."""
    gamma = getattr(config, "gamma", 0.0)
    if not (config.brightness or config.contrast or gamma):
        return clean

    def factor(numbers: torch.Tensor) -> torch.Tensor:
        return numbers.float().to(clean.device)[:, None, None, None, None]

    result = clean
    if config.brightness:
        result = (result - _ZERO) * factor(1 + symmetric(keys, "brightness", config.brightness)) + _ZERO
    if config.contrast:
        # Whole numbers have the same sum in every order, so that the mean's last bits do not depend on the batch.
        total = (result * content * 65536).round().long().sum((2, 3, 4), keepdim=True)
        mean = (total / (65536 * content.sum((2, 3, 4), keepdim=True).clamp(min=1))).float()
        result = (result - mean) * factor(1 + symmetric(keys, "contrast", config.contrast)) + mean
    if gamma:
        power = factor(torch.exp(symmetric(keys, "gamma", math.log1p(gamma))))
        low, high = result.amin((2, 3, 4), keepdim=True), result.amax((2, 3, 4), keepdim=True)
        span = (high - low).clamp(min=1e-6)
        result = ((result - low) / span).pow(power) * span + low
    return result.clamp(0, 1) * content


def _corrupted(clean: torch.Tensor, content: torch.Tensor, keys: np.ndarray, config: AugmentConfig) -> torch.Tensor:
    """Return what the network sees: `clean` itself where blur, noise and low resolution are off."""
    low = getattr(config, "low_resolution", 0.0)
    if not (config.blur or config.noise or low):
        return clean
    result = clean.clone()
    blurred, sigma, lowered, share = uniform(keys, "corruption of a volume", 4).double().unbind(1)
    # One patch at a time, since a convolution's bits may change with the size of the batch.
    for row in (blurred < config.blur).nonzero().flatten().tolist():
        first, last = _BLUR_SIGMA
        result[row] = _blurred(result[row], first + (last - first) * sigma[row].item())
    for row in (lowered < low).nonzero().flatten().tolist():
        scale = _LOWEST + (1 - _LOWEST) * share[row].item()
        result[row] = _at_resolution(result[row], scale)
    if config.noise:
        strength = (uniform(keys, "noise strength") * config.noise).to(clean.device)[:, None, None, None, None]
        result = result + strength * standard_normal(keys, "noise", result.shape, clean.device)
    return result.clamp(0, 1) * content


def _blurred(volume: torch.Tensor, sigma: float) -> torch.Tensor:
    """Filter [C, d, h, w] with a Gaussian of deviation `sigma` voxels, axis by axis."""
    radius = math.ceil(3 * sigma)
    steps = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.softmax(-(steps**2) / (2 * sigma**2), 0).to(volume)
    planes = functional.pad(volume[:, None], [radius] * 6, mode="replicate")
    for axis in range(3):
        shape = [1, 1, 1, 1, 1]
        shape[axis + 2] = len(kernel)
        planes = functional.conv3d(planes, kernel.view(shape))
    return planes[:, 0]


def _at_resolution(volume: torch.Tensor, scale: float) -> torch.Tensor:
    """Bring [C, d, h, w] down to a share of its resolution by nearest neighbour, and up again linearly."""
    smaller = [max(2, round(side * scale)) for side in volume.shape[1:]]
    coarse = functional.interpolate(volume[None], size=smaller, mode="nearest-exact")
    return functional.interpolate(coarse, size=volume.shape[1:], mode="trilinear", align_corners=False)[0]

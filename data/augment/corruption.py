"""Blur, noise and cut-out: what the network's input suffers and the reconstruction's target does not."""

import math
from functools import lru_cache

import numpy as np
import torch
from torch.nn import functional

from core.randomness import seed_of, uniform
from data.augment.settings import AugmentConfig

_BLUR_SIGMA = (0.005, 0.015)  # range of the blur's deviation, as a share of the shorter side: 0.6 to 1.9 px of 128
_TABLE_OFFSETS = 1 << 22  # places in the table of noise: 17 MB


def corrupt(
    clean: torch.Tensor, content: torch.Tensor, rectangles: torch.Tensor, keys: np.ndarray, config: AugmentConfig
) -> torch.Tensor:
    """Blur, add noise to and cut a square out of images [N, C, H, W], each where drawn; `clean` itself stays as it is.

    Values are clamped to [0, 1]; pixels outside the content, and in a cut-out square, hold 0. Returns `clean` itself
    where all three are off.
    """
    if not (config.blur or config.noise or config.cutout):
        return clean
    images = clean.clone()
    if config.blur:
        _blur(images, content, keys, config.blur)
    if config.noise:
        _add_noise(images, content, keys, config.noise)
    if config.cutout:
        _cut_out(images, rectangles, keys, config)
    return images


def _blur(images: torch.Tensor, content: torch.Tensor, keys: np.ndarray, probability: float) -> None:
    """Blur each image with the given probability, in place. Weights of pixels outside the content are left out."""
    drawn, strength = uniform(keys, "blur", 2).double().unbind(1)
    low, high = _BLUR_SIGMA
    for row in (drawn < probability).nonzero().flatten().tolist():
        # One image at a time, since a convolution's bits may change with the size of the batch.
        sigma = (low + (high - low) * strength[row].item()) * min(images.shape[2:])
        planes = torch.cat((images[row], content[row])).unsqueeze(1)  # [C + 1, 1, H, W]
        *colours, weight = _gaussian(planes, sigma).squeeze(1)
        images[row] = (torch.stack(colours) / weight.clamp(min=1e-6)).clamp_(0, 1) * content[row]


def _gaussian(planes: torch.Tensor, sigma: float) -> torch.Tensor:
    """Filter planes [P, 1, H, W] with a Gaussian of deviation `sigma` pixels, along the rows, then the columns."""
    radius = math.ceil(3 * sigma)
    steps = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.softmax(-(steps**2) / (2 * sigma**2), 0).to(planes)
    planes = functional.conv2d(planes, kernel.view(1, 1, 1, -1), padding=(0, radius))
    return functional.conv2d(planes, kernel.view(1, 1, -1, 1), padding=(radius, 0))


def _add_noise(images: torch.Tensor, content: torch.Tensor, keys: np.ndarray, largest: float) -> None:
    """Add Gaussian noise of a deviation drawn within 0..largest to every image, in place."""
    strength = uniform(keys, "noise strength") * largest
    noise = standard_normal(keys, "noise", images.shape, images.device)
    noise *= strength.to(images.device)[:, None, None, None]
    images.add_(noise).clamp_(0, 1).mul_(content)


def standard_normal(keys: np.ndarray, stream: str, shape: torch.Size, device: torch.device) -> torch.Tensor:
    """Draw normal numbers of mean 0 and deviation 1 for each key: float32 of the given shape [N, ...].

    They are a stretch of one fixed table, from a place of each key's own, as in Salimans et al., "Evolution Strategies
    as a Scalable Alternative to Reinforcement Learning", 2017: much faster than drawing them anew, and alike on every
    device.
    """
    length = shape[1:].numel()
    table = _noise_table(length, device)
    starts = (uniform(keys, stream).double() * _TABLE_OFFSETS).long().tolist()
    return torch.stack([table[start : start + length] for start in starts]).view(shape)


@lru_cache(maxsize=4)
def _noise_table(length: int, device: torch.device) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed_of(length))
    return torch.randn(_TABLE_OFFSETS + length, generator=generator).to(device)


def _cut_out(images: torch.Tensor, rectangles: torch.Tensor, keys: np.ndarray, config: AugmentConfig) -> None:
    """Set one square of an image to 0 with the given probability, in place. DeVries and Taylor, "Cutout", 2017.

    The square's centre lies in the picture; the square may stick out of it.
    """
    drawn, down, across = uniform(keys, "cutout", 3).unbind(1)
    top, left, bottom, right = rectangles.float().unbind(1)
    height, width = images.shape[2:]
    # An image that is not drawn gets a square without extent.
    half = torch.where(drawn < config.cutout, config.cutout_size * min(height, width) / 2, 0.0)[:, None]
    row = (torch.arange(height) + 0.5 - (top + down * (bottom - top))[:, None]).abs() < half
    column = (torch.arange(width) + 0.5 - (left + across * (right - left))[:, None]).abs() < half
    square = row[:, None, :, None] & column[:, None, None, :]
    images.mul_(~square.to(images.device))

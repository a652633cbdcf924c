"""Flip, zoom, rotation, shift and crop as one affine transform an image, for picture, label and content alike."""

import math

import numpy as np
import torch
from torch.nn import functional

from core.classes import IGNORED
from core.randomness import symmetric, uniform
from data.augment.settings import AugmentConfig

_CROP_ASPECT = 4 / 3  # largest change of a crop's aspect ratio, as in Szegedy et al., "Going deeper", CVPR 2015


def inside(rectangles: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Tell which of the points x, y (pixels, [N, ...] each) lie in each image's rectangle [N, 4]: bool [N, ...]."""
    top, left, bottom, right = _edges(rectangles)
    return (x >= left) & (x < right) & (y >= top) & (y < bottom)


def draw_affine(
    rectangles: torch.Tensor, side: tuple[int, int], keys: np.ndarray, config: AugmentConfig
) -> torch.Tensor:
    """Draw one affine transform an image: float64 [N, 2, 3], from a point of the result to its source, in pixels.

    A picture is first cropped (the window is enlarged to fill the content's rectangle, or to the whole result with
    `config.train_crop`), then flipped, zoomed and rotated about the centre, and shifted by a share of `side` (height,
    width). The matrix is exactly the identity for an image for which nothing is drawn.
    """
    top, left, bottom, right = rectangles.double().unbind(1)
    content = torch.stack((right - left, bottom - top), 1)
    middle = torch.stack(((left + right) / 2, (top + bottom) / 2), 1)
    if config.window:
        side = config.window
        window, window_shift = _draw_training_window(content, keys, config)
        centre = (torch.tensor((side[1], side[0]), dtype=torch.float64) / 2).expand_as(middle)
    else:
        window, window_shift = _draw_window(keys, config)
        centre = middle
    mirror = torch.where(uniform(keys, "flip").double() < config.flip, -1.0, 1.0)
    zoom = torch.exp(symmetric(keys, "scale", math.log1p(config.scale)))
    angle = torch.deg2rad(symmetric(keys, "rotation", config.rotation))
    shift = symmetric(keys, "shift", config.shift, 2) * torch.tensor((side[1], side[0]))

    cosine, sine = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    rotation = torch.stack((torch.stack((cosine, sine), 1), torch.stack((-sine, cosine), 1)), 1)
    linear = (window * torch.stack((mirror, torch.ones_like(mirror)), 1))[:, :, None] * rotation
    origin = middle + window_shift * content
    offset = origin - (linear * (centre + shift)[:, None]).sum(2)
    return torch.cat((linear, offset[:, :, None]), 2)


def _draw_window(keys: np.ndarray, config: AugmentConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the crop's window: its sides and the shift of its centre, both [N, 2] (x, y) as shares of the content's."""
    first, second = uniform(keys, "crop", 2).double().unbind(1)
    area = 1 - _share(first, config)
    # Bounding the aspect ratio by the area keeps both sides at most 1, without drawing again.
    aspect = torch.exp((2 * second - 1) * torch.clamp(-torch.log(area), max=math.log(_CROP_ASPECT)))
    window = torch.stack((torch.sqrt(area * aspect), torch.sqrt(area / aspect)), 1)
    return window, symmetric(keys, "crop position", 0.5, 2) * (1 - window)


def _share(drawn: torch.Tensor, config: AugmentConfig) -> torch.Tensor:
    """Return the share of the area that a crop cuts away, by a number drawn from [0, 1)."""
    return config.crop_least + (config.crop - config.crop_least) * drawn


def _draw_training_window(
    content: torch.Tensor, keys: np.ndarray, config: AugmentConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the window that fills a training picture of `config.window`; content [N, 2] (width, height) in pixels.

    Returns source pixels a pixel of the result, and the shift of the window's centre as a share of the content's, both
    [N, 2] (x, y). The window has the result's aspect ratio, which a crop changes a little, and lies in the content.
    """
    height, width = config.window or (0, 0)
    first, second = uniform(keys, "crop", 2).double().unbind(1)
    area = (1 - _share(first, config)) * content.prod(1)
    change = torch.exp((2 * second - 1) * math.log(_CROP_ASPECT)) if config.crop else torch.ones_like(second)
    aspect = width / height * change
    window = torch.stack((torch.sqrt(area * aspect), torch.sqrt(area / aspect)), 1)
    window = window * torch.clamp((content / window).amin(1, keepdim=True), max=1)
    scale = window / torch.tensor((width, height), dtype=torch.float64)
    return scale, symmetric(keys, "crop position", 0.5, 2) * (1 - window / content)


def warp(
    images: torch.Tensor,
    labels: torch.Tensor | None,
    rectangles: torch.Tensor,
    affine: torch.Tensor,
    size: tuple[int, int] | None = None,
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
    """Apply one affine transform an image: images [N, C, H, W] bilinearly, labels [N, H, W] by nearest neighbour.

    The results are of `size` (height, width), without it of that of the images.

    Points whose source lies outside the content's rectangle are not content; they hold 0 and the label 255. All three
    results look at the same source point, and bars never bleed into content: the bilinear weights of pixels outside
    the rectangle go to the outermost content pixel, since source points are held within the content pixels' centres.
    Returns images, labels and content [N, 1, H, W] bool.
    """
    height, width = images.shape[2:]
    x, y = _source_points(affine.to(images.device, torch.float32), *(size or (height, width)))
    rectangles = rectangles.to(images.device)
    content = inside(rectangles, x, y)
    top, left, bottom, right = _edges(rectangles)
    x = torch.minimum(torch.maximum(x, left + 0.5), right - 0.5)
    y = torch.minimum(torch.maximum(y, top + 0.5), bottom - 0.5)

    grid = torch.stack((x * (2 / width) - 1, y * (2 / height) - 1), 3)
    images = functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    if labels is not None:
        # Gathering by the pixel that holds the source point is nearest neighbour without a detour through floats.
        nearest = y.long() * width + x.long()
        labels = labels.flatten(1).gather(1, nearest.flatten(1)).view_as(nearest).masked_fill(~content, IGNORED)
    return images.mul_(content[:, None]).clamp_(0, 1), labels, content[:, None]


def _source_points(affine: torch.Tensor, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Map every pixel's centre through [N, 2, 3]: x and y, [N, H, W] each, in pixels.

    What `affine_grid` does, but by sums and products of single numbers: a matrix product's bits may change with N.
    """
    column = torch.arange(width, device=affine.device) + 0.5
    row = torch.arange(height, device=affine.device)[:, None] + 0.5
    a, b, offset = affine[:, :, None, None].unbind(4)  # [N, 2, 1, 1] each
    points = a * column + (b * row + offset)
    return points[:, 0], points[:, 1]


def _edges(rectangles: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return top, left, bottom and right as [N, 1, 1] each."""
    return rectangles[:, :, None, None].unbind(1)

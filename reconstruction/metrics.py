"""Scores of restored pictures, one for each image, on the image's content rectangle."""

import math
from collections.abc import Iterator

import torch
from pytorch_msssim import ms_ssim, ssim
from torch import Tensor

from core.errors import RunError
from core.machine.processes import Sums
from reconstruction.losses import SSIM_WINDOW

MAX_PSNR = 100.0
# Four halvings must leave more than the window of 11 px less one: the shorter side has to exceed this.
MS_SSIM_SIDE = (SSIM_WINDOW - 1) * 2**4
# Scores that an image may lack since there is too little of it; NaN in any other comes from a network that broke.
OPTIONAL = ("ssim", "ms_ssim", "target_error")


def restoration_scores(restored: Tensor, target: Tensor, rectangles: Tensor) -> dict[str, Tensor]:
    """Score every image by itself on its content, in fp32.

    Args:
        restored: [N, C, H, W] in [0, 1].
        target: [N, C, H, W] in [0, 1].
        rectangles: [N, 4] integers: top, left, bottom, right of the content, the latter two beyond the last pixel.

    Returns:
        Three scores [N] on the device of `restored`. `mse`, over content pixels and channels. `psnr` in dB for values
        in [0, 1], 100 at most: for an exact copy the formula gives infinity, which would swallow a mean and which JSON
        cannot hold (rounding to 8 bits alone gives 59 dB). `ssim` (Wang et al. 2004) with an 11 x 11 Gaussian window,
        sigma 1.5, at the positions where it lies wholly in the content; NaN where it fits nowhere, a side being
        shorter than 11 px; `score_sums` leaves those out.
    """
    scores = torch.full((3, len(restored)), torch.nan, device=restored.device)
    with torch.no_grad(), torch.autocast(restored.device.type, enabled=False):
        for same, crops in _crops(restored, target, rectangles):
            scores[:, same] = torch.stack(_crop_scores(*crops))
    return dict(zip(("mse", "psnr", "ssim"), scores, strict=True))


def multi_scale_ssim(restored: Tensor, target: Tensor, rectangles: Tensor) -> Tensor:
    """Return each image's MS-SSIM [N] on its content (Wang et al. 2003); arguments as those of `restoration_scores`.

    NaN where the content's shorter side is 160 px or less: at the coarsest of the five scales no window would fit.
    """
    scores = torch.full((len(restored),), torch.nan, device=restored.device)
    with torch.no_grad(), torch.autocast(restored.device.type, enabled=False):
        for same, (found, wanted) in _crops(restored, target, rectangles):
            if min(found.shape[-2:]) > MS_SSIM_SIDE:
                scores[same] = ms_ssim(found, wanted, data_range=1, size_average=False, win_size=SSIM_WINDOW)
    return scores


def _crops(restored: Tensor, target: Tensor, rectangles: Tensor) -> Iterator[tuple[Tensor, tuple[Tensor, Tensor]]]:
    """Yield the images that share a rectangle, as a mask [N], and their content [n, C, h, w] in fp32."""
    rectangles = rectangles.cpu()
    for rectangle in rectangles.unique(dim=0):
        same = (rectangles == rectangle).all(1).to(restored.device)
        top, left, bottom, right = rectangle.tolist()
        found, wanted = (images[same, :, top:bottom, left:right].float() for images in (restored, target))
        yield same, (found, wanted)


def score_sums(scores: dict[str, Tensor]) -> Sums:
    """Return each score's sum and number of images, in fp64, from `restoration_scores`; batches add up.

    Images that lack an optional score (NaN, since no window fits) are left out of it.
    """
    sums: Sums = {}
    for name, values in scores.items():
        known = values.cpu().double()
        known = known[~known.isnan()] if name in OPTIONAL else known
        sums[name] = (known.sum(), torch.tensor(len(known), dtype=torch.float64))
    return sums


def mean_scores(sums: Sums) -> dict[str, float | None]:
    """Return each score's mean from `score_sums`, None where no image has it.

    One that is not finite comes from a network that broke, and raises `RunError` instead of passing unseen.
    """
    means = {name: (total / count).item() if count else None for name, (total, count) in sums.items()}
    for name, mean in means.items():
        if mean is not None and not math.isfinite(mean):
            raise RunError(f"the mean {name} of the restored pictures is {mean}: the network broke")
    return means


def _crop_scores(restored: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    mse = (restored - target).square().mean((1, 2, 3))
    psnr = (-10 * mse.log10()).clamp(max=MAX_PSNR)
    if min(restored.shape[-2:]) < SSIM_WINDOW:
        return mse, psnr, torch.full_like(mse, torch.nan)
    return mse, psnr, ssim(restored, target, data_range=1, size_average=False, win_size=SSIM_WINDOW)

"""Scores of every picture of a split by itself, their means with intervals, and the table that holds them all."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from core.randomness import keys
from core.statistics import mean_interval
from data.augment import Batch
from data.dataset import Split
from data.loading import plain_batches
from reconstruction.metrics import MS_SSIM_SIDE, mean_scores, multi_scale_ssim, restoration_scores, score_sums
from reconstruction.perceptual import PerceptualDistance
from reconstruction.pretext import Pretext, shown

# Seed of what is hidden or noised in evaluation: the same for all networks that are compared.
EVALUATION = 0
METRICS = ("mse", "psnr", "ssim", "ms_ssim", "perceptual")


def restored_batches(
    model: nn.Module, split: Split, indices: np.ndarray, batch_size: int, device: torch.device, pretext: Pretext
) -> Iterator[tuple[np.ndarray, Batch, Tensor]]:
    """Yield (indices, batch, restored [N, 3, H, W] in [0, 1]) over the given pictures in order.

    The network is shown what `pretext` leaves of a picture, which is the batch's `input`: the same at every call. Where
    it was trained on hidden patches alone, what it was shown stands in the restored picture as it was.
    """
    for chosen, batch in plain_batches(split, indices, batch_size, device):
        seen = shown(batch.clean, batch.content, keys(EVALUATION, 0, chosen), pretext)
        with torch.inference_mode():
            restored = model(seen.images, seen.visible, seen.hidden).float()
        batch.input = seen.images * seen.visible
        yield chosen, batch, seen.completed(restored, batch.clean)


def score_split(
    model: nn.Module,
    distance: PerceptualDistance,
    split: Split,
    batch_size: int,
    device: torch.device,
    pretext: Pretext,
) -> dict[str, np.ndarray]:
    """Return `METRICS`, each [N] float64 in the split's order, NaN where a picture is too small for the score.

    Nothing else is kept of a picture, so that memory hardly grows with their number.
    """
    scores = {name: np.full(len(split.names), np.nan) for name in METRICS}
    everything = np.arange(len(split.names))
    batches = restored_batches(model, split, everything, batch_size, device, pretext)
    for indices, batch, restored in track(batches, f"restoring {split.name}", -(-len(everything) // batch_size)):
        rectangles = torch.from_numpy(split.rectangles[indices])
        found = {
            **restoration_scores(restored, batch.clean, rectangles),
            "ms_ssim": multi_scale_ssim(restored, batch.clean, rectangles),
            "perceptual": distance.of_images(restored, batch.clean, batch.content),
        }
        for name in METRICS:
            scores[name][indices] = found[name].cpu().numpy()
    return scores


def summary(scores: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return each score's mean over pictures, `intervals` (95 %, bootstrap over pictures) and `ms_ssim_note`.

    A score that no picture has is None, and so is its interval. Raises `RunError` where a network broke.
    """
    means = mean_scores(score_sums({name: torch.from_numpy(values) for name, values in scores.items()}))
    intervals = {name: mean_interval(values) for name, values in scores.items()}
    return {**means, "ms_ssim_note": _ms_ssim_note(scores["ms_ssim"]), "intervals": intervals}


def _ms_ssim_note(values: np.ndarray) -> str | None:
    missing = int(np.isnan(values).sum())
    if not missing:
        return None
    return (
        f"MS-SSIM needs a content whose shorter side exceeds {MS_SSIM_SIDE} px: "
        f"{missing} of {len(values)} pictures are smaller and have none"
    )


def image_rows(split: Split, scores: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return a row a picture: name, breed, species and its scores, None where it lacks one."""
    return [
        {
            "name": name,
            "breed": split.breeds[index],
            "species": split.species[index],
            **{metric: None if np.isnan(values[index]) else float(values[index]) for metric, values in scores.items()},
        }
        for index, name in enumerate(split.names)
    ]

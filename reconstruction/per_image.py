"""Scores of every picture of a split by itself, their means with intervals, and the table that holds them all."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.errors import RunError
from core.randomness import keys
from core.statistics import mean_interval
from core.terminal.progress import track
from data.augment.batch import Batch
from data.loading import AnySplit, plain_batches
from data.pretext.hiding import Pretext, Shown, shown
from data.pretext.targets import TargetLoss
from data.split import Split
from reconstruction.metrics import MS_SSIM_SIDE, mean_scores, multi_scale_ssim, restoration_scores, score_sums
from reconstruction.perceptual import PerceptualDistance

# Seed of what is hidden or noised in evaluation: the same for all networks that are compared.
EVALUATION = 0
METRICS = ("mse", "psnr", "ssim", "ms_ssim", "perceptual")


def shown_batches(
    model: nn.Module, split: AnySplit, indices: np.ndarray, batch_size: int, device: torch.device, pretext: Pretext
) -> Iterator[tuple[np.ndarray, Batch, Shown, Tensor]]:
    """Yield (indices, batch, what `pretext` shows of it, output [N, C, H, W]) over the given pictures in order.

    A picture is shown in the same way at every call.
    """
    for chosen, batch in plain_batches(split, indices, batch_size, device):
        seen = shown(batch.clean, batch.content, keys(EVALUATION, 0, chosen), pretext)
        with torch.inference_mode():
            output = model(seen.images, seen.visible, seen.hidden).float()
        yield chosen, batch, seen, output


def restored_batches(
    model: nn.Module, split: Split, indices: np.ndarray, batch_size: int, device: torch.device, pretext: Pretext
) -> Iterator[tuple[np.ndarray, Batch, Tensor]]:
    """Yield (indices, batch, restored [N, C, H, W] in [0, 1]) over the given pictures in order.

    Where the network was trained on hidden patches alone, what it was shown stands in the restored picture as it was.
    """
    for chosen, batch, seen, output in shown_batches(model, split, indices, batch_size, device, pretext):
        yield chosen, batch, seen.completed(output, batch.clean)


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


def target_errors(
    model: nn.Module, loss: TargetLoss, split: Split, batch_size: int, device: torch.device, pretext: Pretext
) -> dict[str, np.ndarray]:
    """Return `target_error` [N] float64: each picture's mean squared error in what a network without pictures predicts.

    Over what the pretext task judges; NaN where that holds nothing of a picture.
    """
    found = np.full(len(split.names), np.nan)
    everything = np.arange(len(split.names))
    batches = shown_batches(model, split, everything, batch_size, device, pretext)
    for indices, batch, seen, output in track(batches, f"predicting {split.name}", -(-len(everything) // batch_size)):
        for place, index in enumerate(indices):
            one = slice(place, place + 1)
            total, count = loss.sums(output[one], batch.clean[one], seen.judged[one])["mse"]
            found[index] = (total / count).item() if count else np.nan
            if count and not np.isfinite(found[index]):
                raise RunError(f"the prediction for {split.names[index]} holds NaN or infinity: the network broke")
    return {"target_error": found}


def summary(scores: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return each score's mean over pictures, and `intervals` (95 %, bootstrap over pictures).

    A score that no picture has is None, and so is its interval. Raises `RunError` where a network broke.
    """
    means = mean_scores(score_sums({name: torch.from_numpy(values) for name, values in scores.items()}))
    intervals = {name: mean_interval(values) for name, values in scores.items()}
    return {**means, "intervals": intervals}


def ms_ssim_note(values: np.ndarray) -> str | None:
    """Say how many pictures have no MS-SSIM [N], None where all have one."""
    missing = int(np.isnan(values).sum())
    if not missing:
        return None
    return (
        f"MS-SSIM needs a content whose shorter side exceeds {MS_SSIM_SIDE} px: "
        f"{missing} of {len(values)} pictures are smaller and have none"
    )


def image_rows(split: Split, scores: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return a row a picture: its name, its tags and its scores, None where it lacks one."""
    return [
        {
            "name": name,
            **{f"tag_{tag}": values[index] for tag, values in split.tags.items()},
            **{metric: None if np.isnan(values[index]) else float(values[index]) for metric, values in scores.items()},
        }
        for index, name in enumerate(split.names)
    ]

"""Scoring at original size as a practitioner would: a DataLoader, the plain network, the libraries' metrics."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchmetrics.classification import MulticlassCalibrationError, MulticlassConfusionMatrix

from benchmarks.loops.practitioner import DEVIATION, IGNORE_INDEX, MEAN, NUM_CLASSES
from transfer_learning.scores.boundary import DILATION_RATIO
from transfer_learning.scores.calibration import BINS

Scores = dict[str, float]


class OriginalFiles(Dataset):
    """JPEG pictures, resized for the network, and PNG masks as they are.

    Args:
        files: `images/*.jpg`, with masks of the same names in `masks` beside that folder.
        size: side after resizing.
    """

    def __init__(self, files: Sequence[Path], size: int) -> None:
        self.files, self.size = files, size

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return a picture [3, S, S] float32, normalised, and its mask [H, W] int64."""
        file = self.files[index]
        picture = Image.open(file).convert("RGB").resize((self.size, self.size), Image.Resampling.BILINEAR)
        mask = Image.open(file.parents[1] / "masks" / f"{file.stem}.png")
        image = torch.from_numpy(np.array(picture).transpose(2, 0, 1).copy()).float() / 255
        return (image - MEAN) / DEVIATION, torch.from_numpy(np.array(mask)).long()


def evaluation(
    model: nn.Module, files: Sequence[Path], size: int, device: torch.device, workers: int, everything: bool
) -> Callable[[], Scores]:
    """Return a function that scores all pictures, one by one since their sizes differ, and returns the scores.

    Args:
        model: of three classes, the first the background.
        files: as those of `OriginalFiles`.
        size: what the network sees.
        device: where it computes.
        workers: processes that read.
        everything: False counts pixels alone (the confusion matrix); True scores the outlines of the foreground and
            the calibration as well, all that `transfer_learning.evaluate` scores but for its intervals.
    """
    model.to(device).eval()
    loader = DataLoader(OriginalFiles(files, size), 1, num_workers=workers, persistent_workers=workers > 0)

    @torch.no_grad()
    def round_of_images() -> Scores:
        matrix = MulticlassConfusionMatrix(NUM_CLASSES, ignore_index=IGNORE_INDEX)
        calibration = MulticlassCalibrationError(NUM_CLASSES, n_bins=BINS, norm="l1", ignore_index=IGNORE_INDEX)
        outlines = []
        for image, label in loader:
            logits = F.interpolate(model(image.to(device)), label.shape[1:], mode="bilinear", align_corners=False)
            probabilities = logits.softmax(1).cpu()
            matrix.update(probabilities, label)
            if everything:
                calibration.update(probabilities, label)
                outlines.append(_outline(probabilities.argmax(1), label))
        scores = _of_matrix(matrix.compute())
        if everything:
            distance, overlap = np.nanmean(outlines, axis=0)
            scores |= {"boundary_distance_pixels": distance, "boundary_iou": overlap}
            scores["expected_calibration_error"] = float(calibration.compute())
        return scores

    return round_of_images


def _of_matrix(matrix: Tensor) -> Scores:
    hit, true, said = matrix.diagonal().double(), matrix.sum(1).double(), matrix.sum(0).double()
    iou, dice = hit / (true + said - hit), 2 * hit / (true + said)
    return {
        "pixel_accuracy": float(hit.sum() / true.sum()),
        "mean_iou": float(iou.nanmean()),
        "mean_foreground_dice": float(dice[1:].nanmean()),
    }


def _outline(prediction: Tensor, label: Tensor) -> tuple[float, float]:
    """Return the average surface distance by MONAI, and the boundary IoU, of the foreground of [1, H, W] classes."""
    from monai.metrics import compute_average_surface_distance

    judged = label != IGNORE_INDEX
    said, true = (prediction != 0) & judged, (label != 0) & judged
    one_hot = [torch.stack([~mask, mask], 1) for mask in (said, true)]
    distance = compute_average_surface_distance(*one_hot, include_background=False, symmetric=True)
    rims = [mask_to_boundary(mask[0].numpy().astype(np.uint8)) for mask in (said, true)]
    union = np.logical_or(*rims).sum()
    return float(distance), np.logical_and(*rims).sum() / union if union else np.nan


def mask_to_boundary(mask: np.ndarray, dilation_ratio: float = DILATION_RATIO) -> np.ndarray:
    """Return the rim of a mask [H, W] uint8, as the reference code of Boundary IoU (Cheng et al. 2021) finds it."""
    width = max(1, round(dilation_ratio * float(np.hypot(*mask.shape))))
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=width)
    return mask - eroded[1:-1, 1:-1]

"""Calibration against torchmetrics."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from transfer_learning.inference.readout import probabilities_of
from transfer_learning.scores.calibration import calibration_counts, expected_calibration_error, reliability
from transfer_learning.scores.confusion import likeliest


def drawn(seed: int, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    scores = sharpness * generator.normal(size=(3, 24, 31)).astype(np.float32)
    truth = np.where(generator.random((24, 31)) < 0.6, scores.argmax(0), generator.integers(0, 3, (24, 31)))
    return probabilities_of(scores), np.where(generator.random((24, 31)) < 0.1, 255, truth).astype(np.uint8)


def counted(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return calibration_counts(*likeliest(probabilities), truth)


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 5.0])
def test_the_error_is_torchmetrics(sharpness):
    images = [drawn(seed, sharpness) for seed in range(3)]
    counts = sum(counted(*image) for image in images)
    probabilities, truth = (torch.from_numpy(np.stack(column)) for column in zip(*images, strict=True))
    flat = probabilities.permute(0, 2, 3, 1).reshape(-1, 3)
    expected = multiclass_calibration_error(flat, truth.flatten().long(), 3, n_bins=15, norm="l1", ignore_index=255)
    assert expected_calibration_error(counts) == pytest.approx(expected.item(), abs=1e-5)
    assert counts[:, 0].sum() == (truth != 255).sum()


def test_a_hand_made_image():
    probabilities = np.array([[[0.9, 0.6]], [[0.1, 0.4]]])
    result = reliability(counted(probabilities, np.array([[0, 1]])))
    assert result["ece"] == pytest.approx((0.1 + 0.6) / 2)
    assert result["count"] == [0] * 8 + [1] + [0] * 4 + [1, 0]
    assert result["accuracy"][8] == 0
    assert result["confidence"][13] == pytest.approx(0.9)
    assert result["accuracy"][0] is None


def test_certainty_falls_into_the_last_bin_and_nothing_scored_is_null():
    sure = np.array([[[1.0, 1.0]], [[0.0, 0.0]]])
    assert counted(sure, np.array([[0, 0]]))[-1].tolist() == [2, 2, 2]
    assert reliability(counted(sure, np.array([[255, 255]])))["ece"] is None

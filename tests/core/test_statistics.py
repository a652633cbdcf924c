"""Bootstrap intervals against scipy's, and what resampling must keep."""

import numpy as np
import pytest
from scipy import stats

from core.statistics import interval, mean_interval, resampled_sums


def test_the_interval_of_a_mean_is_scipys():
    values = np.random.default_rng(1).gamma(2.0, size=80)
    expected = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=2).confidence_interval
    assert mean_interval(values, resamples=20_000) == pytest.approx([expected.low, expected.high], abs=0.02)


def test_every_draw_counts_as_many_images(monkeypatch):
    counts = np.stack([np.ones(7), np.arange(7)], axis=1)
    whole = resampled_sums(counts, 50, seed=3)
    assert whole.shape == (50, 2)
    assert (whole[:, 0] == 7).all()
    assert len(np.unique(whole[:, 1])) > 10
    monkeypatch.setattr("core.statistics.PIECE", 10)  # one draw a piece
    assert np.array_equal(resampled_sums(counts, 50, seed=3), whole)


def test_the_same_seed_pairs_two_runs():
    scores = np.random.default_rng(0).random((40, 1))
    difference = resampled_sums(scores + 0.25) - resampled_sums(scores)
    assert difference == pytest.approx(np.full((2000, 1), 10.0))


def test_images_without_a_value_are_left_out():
    assert mean_interval(np.array([np.nan, 2.0, 2.0])) == [2.0, 2.0]
    assert mean_interval(np.array([np.nan])) is None
    assert interval(np.array([np.nan, np.nan])) is None


def test_one_image_has_no_interval():
    assert mean_interval(np.array([0.5])) is None
    assert mean_interval(np.array([np.nan, 0.5, np.nan])) is None
    assert interval(resampled_sums(np.array([[3.0, 4.0]]))[:, 0]) is None

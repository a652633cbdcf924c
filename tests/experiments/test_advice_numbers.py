"""Intervals over folds and the forecast: against formulas by hand, references and made-up curves."""

import numpy as np
import pytest
from fold_counts import pooled
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from experiments.advice.evidence.estimates import Pooled, estimate
from experiments.advice.evidence.forecast import FARTHEST, WOBBLE, Point, curves

SCORES = st.lists(st.floats(0, 1), min_size=2, max_size=8)


def test_the_corrected_interval_of_a_mean_is_that_of_nadeau_and_bengio():
    scores = np.array([0.6, 0.62, 0.58, 0.7, 0.65])
    found = estimate(pooled(scores), test_to_train=0.25)
    deviation = np.sqrt((1 / 5 + 1 / 4) * np.var(scores, ddof=1))
    half = 2.7764451051977987 * deviation  # Student's t, 0.975, 4 degrees of freedom
    assert (found.value, found.low, found.high) == pytest.approx((0.63, 0.63 - half, 0.63 + half))
    plain = stats.t.interval(0.95, 4, scores.mean(), stats.sem(scores))
    assert estimate(pooled(scores), test_to_train=0.0).low == pytest.approx(plain[0])


def test_several_intervals_that_hold_at_once_are_wider():
    scores = pooled([0.1, 0.2, 0.15, 0.12])
    one, three = estimate(scores, 0.5), estimate(scores, 0.5, comparisons=3)
    ratio = stats.t.ppf(1 - 0.05 / 6, 3) / stats.t.ppf(1 - 0.05 / 2, 3)
    assert three.high - three.value == pytest.approx(ratio * (one.high - one.value))


def test_folds_weigh_by_their_pixels_and_a_class_that_one_of_them_lacks_is_scored_by_the_others():
    # A fold with a cat alone and one with a dog alone: means of what each holds would call 0.8 and 0.6 0.7 and 0.7.
    mean = Pooled.of(np.array([[[8, 10, 10], [0, 0, 0]], [[2, 10, 10], [9, 10, 10]]]), _dice)
    assert mean.value == pytest.approx((2 * 10 / 40 + 2 * 9 / 20) / 2)
    assert mean.without == pytest.approx([(0.2 + 0.9) / 2, 0.8])


def _dice(counts):
    hit, true, said = counts[counts[:, 1] + counts[:, 2] > 0].T
    return float((2 * hit / (true + said)).mean())


def test_one_fold_has_no_limits_and_nothing_to_score_no_estimate():
    # The second alone has something to score: how much that varies nobody knows.
    for rates in ([0.4], [float("nan"), 0.4, float("nan")]):
        alone = estimate(pooled(rates), 0.5)
        assert (alone.value, alone.low, alone.high, alone.tells) == (0.4, None, None, 0)
    assert estimate(pooled([float("nan")]), 0.5) is None


def test_a_mean_of_repetitions_is_estimated_likewise():
    values = np.array([0.1, float("nan"), 0.2, 0.4])
    found, same = Pooled.of_mean(values), pooled([0.1, 0.2, 0.4])
    assert found.value == pytest.approx(same.value)
    assert found.without == pytest.approx(same.without)
    assert found.error(0.0) == pytest.approx(stats.sem([0.1, 0.2, 0.4]))
    assert estimate(Pooled.of_mean(np.array([0.3])), 0.0).low is None
    assert estimate(Pooled.of_mean(np.array([float("nan")])), 0.0) is None


@given(SCORES)
def test_a_difference_tells_where_all_of_its_interval_lies_on_one_side(values):
    other = pooled([0.5] * len(values))
    found, turned = estimate(pooled(values) - other, 0.25), estimate(other - pooled(values), 0.25)
    assert found.tells == -turned.tells
    assert (found.tells == 1) == (found.low > 0)


def power(labels: float, asymptote: float, gap: float, exponent: float) -> float:
    return asymptote - gap * labels**-exponent


def test_a_curve_without_noise_comes_back():
    points = [Point(n, power(n, 0.9, 1.0, 0.5), 1e-4) for n in (16, 64, 256, 1024)]
    median, low, high = curves(points).gain(1024, 1024)
    true = power(2048, 0.9, 1.0, 0.5) - power(1024, 0.9, 1.0, 0.5)
    assert low <= true <= high
    assert median == pytest.approx(true, abs=0.005)


def test_the_forecast_at_twice_the_labels_holds_the_truth_as_often_as_it_says():
    random = np.random.default_rng(1)
    held = []
    for _ in range(120):
        asymptote, exponent = random.uniform(0.6, 0.95), random.uniform(0.25, 1.0)
        gap = random.uniform(0.3, 0.6) * 8**exponent * asymptote
        counts = (8, 16, 32)
        points = [Point(n, power(n, asymptote, gap, exponent) + random.normal(0, 0.02), 0.02) for n in counts]
        _, low, high = curves(points).gain(32, 32)
        true = power(64, asymptote, gap, exponent) - power(32, asymptote, gap, exponent)
        held.append(low <= true <= high)
    assert np.mean(held) >= 0.9


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.floats(0.001, 0.2))
def test_more_labels_never_harm_but_by_what_trainings_vary(scores, error):
    points = [Point(n, score, error) for n, score in zip((5, 10, 20), scores, strict=True)]
    found = curves(points)
    median, low, high = found.gain(20, 40)
    assert low <= median <= high <= 1 + 3 * WOBBLE
    assert low >= -2.1 * WOBBLE  # the normal's 0.025 quantile, of so many draws
    assert median >= -0.002
    assert high - low >= 3.7 * WOBBLE, "not even of equal curves is it sure"
    assert found.gain(20, 60)[0] >= found.gain(20, 20)[0]


def test_where_it_cannot_be_told_that_is_said():
    assert curves([Point(8, 0.5, 0.1), Point(8, 0.6, 0.1), Point(16, 0.6, 0.1)]) == (
        "cannot forecast: 2 numbers of labels were tried, a curve needs 3"
    )
    found = curves([Point(n, 0.5, 0.1) for n in (5, 10, 20)])
    with pytest.raises(ValueError, match="more than 80"):
        found.gain(20, 61)
    assert found.most == FARTHEST * 20


def test_how_many_labels_a_goal_takes():
    points = [Point(n, power(n, 0.9, 1.0, 0.5), 1e-3) for n in (12, 25, 50, 100)]
    middle, hopeful, cautious = curves(points).labels_for(0.83, 100)
    assert hopeful <= middle
    assert cautious is None or middle <= cautious
    assert middle == pytest.approx(204, rel=0.2)  # 0.9 - n^-1/2 = 0.83
    assert curves(points).labels_for(0.5, 100) == (100, 100, 100)
    assert curves(points).labels_for(0.999, 100) == (None, None, None)

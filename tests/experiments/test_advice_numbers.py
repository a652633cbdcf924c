"""Intervals over folds and the forecast: against formulas by hand, references and curves made up."""

import numpy as np
import pytest
from fold_counts import pooled
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from experiments.advice.evidence.estimates import Pooled, estimate
from experiments.advice.evidence.forecast import FARTHEST, WOBBLE, Curves, Slope, exponent_of, slope_of
from experiments.advice.evidence.weighing import Prior

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


def falling(labels: float, exponent: float, gap: float = 0.4) -> float:
    """Return a score that lacks this gap with 32 labels."""
    return 1 - gap * (labels / 32) ** -exponent


def points(score, *noise, counts=(8, 16, 32)):
    """Return what five folds of equal size say with each number of labels, by how far each is off."""
    return [(count, pooled([score(count) + off for off in noise or [0.0] * 5])) for count in counts]


def test_a_curve_without_noise_comes_back_whatever_the_prior():
    slope = slope_of(points(lambda count: falling(count, 0.4)), 5)
    assert (slope.labels, slope.score, slope.exponent) == (32, pytest.approx(0.6), pytest.approx(0.4))
    assert (slope.score_error, slope.error) == pytest.approx((0.0, 0.0), abs=1e-6)
    median, low, high = Curves(slope, Prior(0.0, 0.1)).gain(32, 32)
    gain = falling(64, 0.4) - 0.6
    # Not even of a curve without noise is it sure what the next trainings score.
    assert [median, low, high] == pytest.approx([gain, gain - 1.96 * WOBBLE, gain + 1.96 * WOBBLE], abs=2e-3)


def test_what_all_shares_of_a_fold_have_in_common_leaves_the_slope_sure():
    off = (-0.1, 0.05, 0.0, -0.02, 0.07)
    alike = slope_of(points(lambda count: 0.6, *off), 5)
    assert alike.score_error > 0.03
    assert (alike.exponent, alike.error) == pytest.approx((0.0, 0.0), abs=1e-6)
    unlike = points(lambda count: 0.6, *off, counts=(16, 32)) + points(lambda count: 0.6, *off[::-1], counts=(8,))
    assert slope_of(unlike, 5).error > 0.05


def test_the_error_of_a_slope_is_the_jackknifes_by_hand():
    rates = {8: (0.3, 0.5, 0.4), 16: (0.5, 0.4, 0.6), 32: (0.6, 0.7, 0.5)}
    slope = slope_of([(count, pooled(of_folds)) for count, of_folds in rates.items()], 3)

    def exponent(*left_out: int) -> float:
        means = [np.mean(np.delete(of_folds, left_out)) for of_folds in rates.values()]
        return -stats.linregress(np.log(list(rates)), np.log(1 - np.array(means))).slope

    without = np.array([exponent(fold) for fold in range(3)])
    variance = 2 / 3 * ((without - without.mean()) ** 2).sum()
    assert slope.exponent == pytest.approx(exponent())
    assert slope.error == pytest.approx(np.sqrt((1 + 3 * 4 / 2) * variance))


def test_where_folds_say_nothing_the_replays_do():
    slope = Slope(labels=32, score=0.6, score_error=0.0, exponent=2.0, error=100.0, folds=5)
    median, low, high = Curves(slope, Prior(0.15, 0.05)).gain(32, 32)
    assert median == pytest.approx(0.4 * (1 - 2**-0.15), abs=2e-3)
    spread = 0.4 * np.log(2) * 2**-0.15 * 0.05  # of the gain, to first order
    assert high - low == pytest.approx(2 * 1.96 * np.hypot(spread, WOBBLE), rel=0.05)


def test_the_forecast_at_twice_the_labels_holds_the_truth_as_often_as_it_says():
    random = np.random.default_rng(1)
    prior, held = Prior(0.15, 0.1), []
    for _ in range(200):
        exponent = random.normal(prior.mean, prior.spread)
        slope = Slope(32, 0.6, 0.0, exponent + random.normal(0, 0.1), 0.1, folds=1000)
        _, low, high = Curves(slope, prior).gain(32, 32)
        held.append(low <= falling(64, exponent) - 0.6 + random.normal(0, WOBBLE) <= high)
    assert 0.9 <= np.mean(held) < 1


@given(st.floats(-0.2, 0.2), st.floats(0, 0.95))
def test_the_exponent_of_a_gain_brings_it(gain, score):
    gain = min(gain, 0.99 * (1 - score))
    exponent = exponent_of(gain, score)
    assert 1 - (1 - score) * 2**-exponent == pytest.approx(score + gain)


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1), st.floats(0, 0.3), st.floats(-3, 3), st.floats(0, 3))
def test_scores_stay_scores(score, score_error, exponent, error):
    found = Curves(Slope(20, score, score_error, exponent, error, 5))
    for labels in (20, 80):
        assert 0 <= found.at(labels).min() <= found.at(labels).max() <= 1
    median, low, high = found.gain(20, 40)
    assert -1 <= low <= median <= high <= 1


def test_where_it_cannot_be_told_that_is_said():
    scored = pooled([0.5, 0.6])
    assert slope_of([(8, scored), (8, scored), (16, scored)], 2) == (
        "cannot forecast: 2 numbers of labels were tried, a curve needs 3"
    )
    alone = pooled([0.5, float("nan")])
    assert slope_of([(4, scored), (8, alone), (16, scored)], 2) == "cannot forecast: too few folds have a score"
    found = Curves(slope_of(points(lambda count: 0.5, counts=(5, 10, 20)), 5))
    with pytest.raises(ValueError, match="more than 80"):
        found.gain(20, 61)
    assert found.most == FARTHEST * 20


def test_how_many_labels_a_goal_takes():
    found = Curves(slope_of(points(lambda count: falling(count, 0.4)), 5))
    middle, hopeful, cautious = found.labels_for(0.7, 32)
    wanted = 32 * (0.4 / 0.3) ** (1 / 0.4)  # a gap of 0.3
    assert middle == pytest.approx(wanted, rel=0.02)
    assert hopeful <= middle <= cautious
    assert found.labels_for(0.5, 32) == (32, 32, 32)
    assert found.labels_for(0.999, 32) == (None, None, None)

"""Label savings against hand-computed curves, and what must hold for any curve."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.ablation.label_savings import Savings, label_savings


def test_straight_between_points_over_the_logarithm():
    curve = [(10, 0.4), (100, 0.6)]
    assert label_savings(curve, 10, 0.5).factor == pytest.approx(math.sqrt(10))
    assert label_savings(curve, 50, 0.6).factor == pytest.approx(2)
    assert label_savings(curve, 20, 0.4) == Savings(0.5)  # fewer would have been enough from scratch


def test_beyond_the_ends_of_the_curve():
    curve = [(10, 0.4), (100, 0.6)]
    assert label_savings(curve, 20, 0.61) == Savings(5.0, more_than=True)
    assert str(label_savings(curve, 20, 0.61)) == "more than 5.0 times"
    assert label_savings(curve, 10, 0.39) is None
    assert label_savings([(10, 0.4)], 10, 0.4) is None
    assert label_savings([], 10, 0.4) is None


def test_a_curve_that_falls_is_made_to_rise():
    # Isotonic regression pools the last two points at 0.55, which the middle one reaches first.
    curve = [(10, 0.4), (20, 0.6), (40, 0.5)]
    assert label_savings(curve, 10, 0.55).factor == pytest.approx(2)
    assert label_savings(curve, 10, 0.56) == Savings(4.0, more_than=True)


@given(
    start=st.integers(1, 50),
    steps=st.lists(st.floats(0.01, 0.2), min_size=2, max_size=6),
    place=st.floats(0.02, 0.98),
    times=st.sampled_from([2, 4, 16]),
)
def test_a_curve_shifted_by_a_factor_saves_that_factor(start, steps, place, times):
    """A variant whose curve is the baseline's with fewer labels needs the baseline to have that many times more."""
    labels = [start * times**power for power in range(len(steps) + 1)]
    scores = [0.2 + sum(steps[:power]) for power in range(len(labels))]
    at = math.exp(math.log(labels[0]) + place * (math.log(labels[1]) - math.log(labels[0])))
    score = scores[1] + place * (scores[2] - scores[1])  # the baseline's at `times` times as many labels
    saved = label_savings(list(zip(labels, scores, strict=True)), at, score)
    assert saved.factor == pytest.approx(times)
    assert not saved.more_than

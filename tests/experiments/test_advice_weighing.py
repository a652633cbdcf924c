"""What folds say, weighed with other data sets: against a posterior on a grid, and users drawn from the prior."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks.replaying.summary import priors_of
from core.errors import UserError
from experiments.advice.arms import ARMS
from experiments.advice.evidence import weighing
from experiments.advice.evidence.forecast import EXPONENT, WOBBLE, exponent_error, exponent_of
from experiments.advice.evidence.weighing import NARROWEST, UNKNOWN, Prior, Weighed, prior_of, priors, weighed

MANY = 10_000  # folds, of which an error is sure


def one(value: float, error: float, folds: int, prior: Prior) -> Weighed:
    return weighed({"a": value}, [error], folds, {"a": prior})["a"]


def test_a_posterior_on_a_grid_says_the_same():
    prior, value, error = Prior(0.03, 0.08, 4), 0.15, 0.06
    grid = np.linspace(-1, 1, 20001)
    likely = stats.norm.pdf(grid, prior.mean, prior.spread) * stats.norm.pdf(value, grid, error)
    likely /= likely.sum()
    found = one(value, error, MANY, prior)
    assert found.value == pytest.approx((grid * likely).sum(), abs=1e-4)
    assert found.spread == pytest.approx(np.sqrt((grid**2 * likely).sum() - found.value**2), abs=1e-4)
    assert found.chance == pytest.approx(likely[grid > 0].sum(), abs=1e-3)
    assert found.data_sets == 4


def test_folds_that_say_nothing_leave_the_prior_and_sure_ones_leave_nothing_of_it():
    prior = Prior(-0.02, 0.04)
    assert one(0.3, float("nan"), 5, prior).value == -0.02
    assert one(0.3, float("nan"), 5, prior).chance == pytest.approx(stats.norm.cdf(-0.5))
    assert one(0.3, 0.0, 5, prior).value == pytest.approx(0.3)
    assert one(0.3, 1e-4, 5, prior).chance == pytest.approx(1.0)


def test_the_error_of_few_folds_counts_as_wider():
    values = [one(0.2, 0.05, folds, UNKNOWN).value for folds in (2, 5, 20)]
    assert values == sorted(values)
    wider = one(0.2, 0.05 * 2.7764451 / 1.9599640, MANY, UNKNOWN)  # Student's t, 0.975, 4 degrees of freedom
    assert one(0.2, 0.05, 5, UNKNOWN).value == pytest.approx(wider.value, rel=1e-3)


def test_what_is_expected_of_the_best_of_several_does_not_flatter():
    random = np.random.default_rng(0)
    prior, error = Prior(-0.01, 0.05, 4), 0.08
    truth = random.normal(prior.mean, prior.spread, (4000, 3))
    seen = truth + random.normal(0, error, truth.shape)
    found = np.array([_of_user(user, error, prior) for user in seen])
    best = found.argmax(1)[:, None]
    of_best = np.take_along_axis(truth, best, 1).mean()
    assert np.take_along_axis(found, best, 1).mean() == pytest.approx(of_best, abs=0.003)
    assert np.take_along_axis(seen, best, 1).mean() > of_best + 0.04  # which flatters


def _of_user(values: np.ndarray, error: float, prior: Prior) -> list[float]:
    differences = dict(enumerate(values))
    found = weighed(differences, [error] * len(values), MANY, dict.fromkeys(differences, prior))
    return [found[arm].value for arm in differences]


def test_no_arm_is_taken_for_an_error_that_is_low_by_chance():
    found = weighed({"a": 0.1, "b": 0.12}, [0.001, 0.06], 5, {})
    together = (0.001**2 + 0.06**2) / 2
    for arm, value, error in (("a", 0.1, 0.001), ("b", 0.12, 0.06)):
        counts_as = np.sqrt((error**2 + together) / 2)
        assert found[arm].value == pytest.approx(one(value, counts_as, 5, UNKNOWN).value)
    assert weighed({"a": 0.1, "b": 0.12}, [float("nan"), 0.06], 5, {})["a"] == one(0.1, 0.06, 5, UNKNOWN)


def test_a_prior_is_of_data_sets_however_many_replays_each_has():
    found = prior_of({"a": [0.1, 0.1, 0.1], "b": [0.3], "c": [0.2, 0.2]})
    assert found.mean == pytest.approx(0.2)
    # Scatter of three means, and of their mean: (0.01 + 0.01 + 0) / 2, and a third more; Student's t, 2 degrees.
    assert found.spread == pytest.approx(np.sqrt(0.01 * 4 / 3) * 4.3026527 / 1.9599640)
    assert found.data_sets == 3
    assert prior_of({"a": [0.1], "b": [0.1]}).spread == NARROWEST


def test_what_is_measured_with_noise_scatters_by_less_without_it():
    random = np.random.default_rng(0)
    truth = random.normal(0.1, 0.2, 2000)
    seen = {str(place): [float(value)] for place, value in enumerate(truth + random.normal(0, 0.15, 2000))}
    noise = {name: [0.15**2] for name in seen}
    assert prior_of(seen).spread == pytest.approx(0.25, rel=0.05)
    assert prior_of(seen, noise).spread == pytest.approx(0.2, rel=0.05)
    assert prior_of(seen, {name: [1.0] for name in seen}).spread == NARROWEST


def test_the_error_of_an_exponent_is_that_of_its_gain():
    for gain, score in ((0.03, 0.84), (-0.02, 0.5), (0.1, 0.4)):
        slope = (exponent_of(gain + 1e-6, score) - exponent_of(gain - 1e-6, score)) / 2e-6
        assert exponent_error(gain, score) == pytest.approx(WOBBLE * slope, rel=1e-4)


def test_the_adopted_priors_are_those_of_the_committed_replays():
    rows = json.loads(Path("benchmarks/results/advise_replay/replay.json").read_text())["rows"]
    found = priors_of(rows)
    assert set(priors()) == set(found) <= {*ARMS, EXPONENT}
    for arm, prior in priors().items():
        assert (prior.mean, prior.spread) == pytest.approx((found[arm].mean, found[arm].spread))
        assert prior.data_sets == found[arm].data_sets


@pytest.mark.parametrize("content", [{"teacher": 3}, {"teacher": {"mean": 0.1}}, [1]])
def test_a_damaged_table_is_named(content, tmp_path, monkeypatch):
    (tmp_path / "prior.json").write_text(json.dumps(content))
    monkeypatch.setattr(weighing, "TABLE", tmp_path / "prior.json")
    priors.cache_clear()
    try:
        with pytest.raises(UserError, match="damaged: install the project anew"):
            priors()
    finally:
        priors.cache_clear()

"""The ways of choosing pictures to label: each against what it promises, on made-up features and predictions."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

from core.classes import ClassSet
from experiments.advice.evidence.estimates import Estimate
from experiments.advice.evidence.reading import Measure
from experiments.suggestion.baseline import at_random
from experiments.suggestion.cold import typical
from experiments.suggestion.config import SuggestConfig
from experiments.suggestion.replay import Replay, Replayed
from experiments.suggestion.uncertain import Predicted, gumbel, noised, uncertain
from experiments.suggestion.weights import measured

MEAN_IOU = Measure.of(ClassSet(("sky", "road"), background=None))
NAMES = [f"picture {number}" for number in range(40)]


def blobs(sizes: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return features of well separated groups, and which group each is of."""
    random = np.random.default_rng(seed)
    group = np.repeat(np.arange(len(sizes)), sizes)
    middles = 50 * random.permutation(np.eye(len(sizes), 8))
    return middles[group] + random.normal(size=(len(group), 8)), group


def test_typical_takes_the_middle_of_each_group_the_largest_first():
    features, group = blobs([5, 12, 8, 15])
    chosen = typical(features, [], range(40), 4, seed=1)
    assert [group[one.index] for one in chosen] == [3, 1, 2, 0]
    standard = (features - features.mean(0)) / features.std(0)
    for one in chosen:
        own = np.flatnonzero(group == group[one.index])
        distances = np.linalg.norm(standard[own] - standard[own].mean(0), axis=1)
        assert one.index == own[distances.argmin()]
        assert one.score == len(own) / 40
    assert chosen == typical(features, [], range(40), 4, seed=1)


def test_groups_with_a_label_come_last():
    features, group = blobs([5, 12, 8, 15])
    labelled = [int(np.flatnonzero(group == 3)[0]), int(np.flatnonzero(group == 1)[0])]
    rest = [index for index in range(40) if index not in labelled]
    chosen = typical(features, labelled, rest, 2, seed=1)
    assert [group[one.index] for one in chosen] == [2, 0]
    assert {one.index for one in typical(features, labelled, rest, 38, seed=1)} == set(rest)


def test_pictures_that_are_all_the_same_can_be_chosen_too():
    assert len({one.index for one in typical(np.ones((6, 3)), [0], range(1, 6), 4, seed=0)}) == 4


def predictions(holding: list[int], seed: int = 0) -> Predicted:
    """Return predictions in which the first so many hold class 1, the first so many class 2, all of them class 0."""
    random = np.random.default_rng(seed)
    shares = np.zeros((len(NAMES), 3))
    for c, count in enumerate(holding, 1):
        shares[:count, c] = 0.2
    shares[:, 0] = 1 - shares.sum(1)
    entropies = random.uniform(0.1, 0.9, shares.shape) * (shares > 0)
    return Predicted(np.arange(100, 100 + len(NAMES)), shares, entropies)


@pytest.mark.parametrize("beta", [0.0, 1.0, np.inf])
def test_every_predicted_class_has_its_share(beta):
    names = ["ground", "cat", "dog"]
    chosen = uncertain(predictions([30, 12]), NAMES, names, 12, beta, seed=3)
    assert Counter(one.why for one in chosen) == {f"unsure of {name}": 4 for name in names}
    assert len({one.index for one in chosen}) == 12
    # A class in two pictures gives those alone, and the others fill its share.
    many = uncertain(predictions([30, 2]), NAMES, names, 40, beta, seed=3)
    assert {one.index for one in many} == set(range(100, 140))
    assert 1 <= sum(one.why == "unsure of dog" for one in many) <= 2


def test_without_noise_each_class_is_ranked_by_its_entropy():
    predicted = predictions([30, 0])
    chosen = uncertain(predicted, NAMES, ["ground", "cat", "dog"], 10, np.inf, seed=3)
    assert [one.why for one in chosen[:4]] == ["unsure of cat", "unsure of ground"] * 2
    cats = [one for one in chosen if one.why == "unsure of cat"]
    taken: set[int] = set()
    for one in chosen:
        c = 1 if one.why == "unsure of cat" else 0
        left = [place for place in range(40) if place not in taken and predicted.shares[place, c]]
        best = max(left, key=lambda place: predicted.entropies[place, c])
        assert one.index == 100 + best
        taken.add(best)
    assert [one.score for one in cats] == sorted((one.score for one in cats), reverse=True)
    # A large power comes to the same.
    assert uncertain(predicted, NAMES, ["ground", "cat", "dog"], 10, 1e9, seed=3) == chosen


def test_a_few_stray_pixels_are_no_class():
    shares = np.array([[0.995, 0.005], [0.98, 0.02], [0.5, 0.5]])
    assert Predicted(np.arange(3), shares, shares).holds.tolist() == [[True, False], [True, True], [True, True]]


def test_noise_goes_by_name_and_seed_alone():
    predicted = predictions([30, 4])
    first = uncertain(predicted, NAMES, "abc", 10, 1.0, seed=3)
    order = np.random.default_rng(0).permutation(40)
    mixed = Predicted(predicted.indices[order], predicted.shares[order], predicted.entropies[order])
    assert uncertain(mixed, [NAMES[place] for place in order], "abc", 10, 1.0, seed=3) == first
    assert uncertain(predicted, NAMES, "abc", 10, 1.0, seed=4) != first


def test_the_draw_is_in_proportion_to_the_power_of_the_entropy():
    scores = np.array([0.2, 0.4, 0.8])
    wanted = scores**2 / (scores**2).sum()
    noise = gumbel([f"draw {number}" for number in range(4000)], 3, seed=0)
    first = noised(scores, noise, 2.0).argmax(axis=1)
    assert np.bincount(first, minlength=3) / 4000 == pytest.approx(wanted, abs=0.025)


def test_entropy_is_averaged_over_the_pixels_of_each_class():
    torch.manual_seed(0)
    logits, content = 3 * torch.randn(2, 3, 5, 6), torch.ones(2, 1, 5, 6, dtype=torch.bool)
    content[0, :, :, 4:] = False
    shares, entropies = measured(logits.log_softmax(1), content)
    probabilities = logits.double().softmax(1).numpy()
    for n in range(2):
        inside = content[n, 0].numpy()
        entropy = -(probabilities[n] * np.log(probabilities[n])).sum(0) / np.log(3)
        chosen = probabilities[n].argmax(0)
        for c in range(3):
            here = (chosen == c) & inside
            assert shares[n, c] == pytest.approx(here.sum() / inside.sum())
            assert entropies[n, c] == pytest.approx(entropy[here].mean() if here.any() else 0.0, abs=1e-5)


def test_half_of_a_random_choice_has_foreground():
    foreground = np.arange(40) >= 34
    chosen = at_random(range(40), NAMES, foreground, 9, seed=0)
    assert len({one.index for one in chosen}) == 9
    drawn = [one for one in chosen if one.why == "drawn from those with foreground"]
    assert len(drawn) == 5
    assert all(foreground[one.index] for one in drawn)
    # Where there is less foreground than that, all of it, and others in its place.
    few = at_random(range(40), NAMES, np.arange(40) < 2, 9, seed=0)
    assert {0, 1} < {one.index for one in few}
    assert len(few) == 9
    assert at_random(range(40), NAMES, None, 9, seed=0) != at_random(range(40), NAMES, None, 9, seed=1)


def test_chance_is_even_over_seeds():
    counts = Counter(one.index for seed in range(600) for one in at_random(range(10), NAMES[:10], None, 2, seed))
    assert [counts[index] / 600 for index in range(10)] == pytest.approx([0.2] * 10, abs=0.06)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.01, 0.05, "beats random"), (-0.01, 0.07, "cannot be told from random"), (-0.2, -0.1, "is worse than random")],
)
def test_a_way_beats_random_where_the_whole_interval_is_above_zero(low, high, verdict):
    scores = {"typical": np.array([0.5, np.nan]), "random": np.array([0.4, 0.6])}
    difference = Estimate((low + high) / 2, low, high)
    found = Replayed("typical", MEAN_IOU, 40, 8, 10, 300, scores, difference)
    assert found.beats == (low > 0)
    assert found.in_words().endswith(f"typical {verdict} here.")
    assert "from 8 to 18, 300 steps each: mean IoU on Val 0.500 by typical, 0.500 at random" in found.in_words()
    assert found.content()["scores"]["typical"] == [0.5, None]
    unknown = Replayed("typical", MEAN_IOU, 40, 8, 10, 300, scores, Estimate(0.1, None, None))
    assert not unknown.beats
    assert "nothing is known of the gain" in unknown.in_words()


@pytest.mark.parametrize("labels", [8, 9, 15, 40, 522])
@pytest.mark.parametrize("number", [1, 20, 1000])
def test_a_replay_leaves_labels_that_neither_choice_must_take(labels, number):
    split = SimpleNamespace(labelled=np.arange(labels))
    replay = Replay(SuggestConfig(number=number), "typical", None, split, Path(), 8, None)  # type: ignore[arg-type]
    assert replay.begun_with >= 4
    assert 1 <= replay.added <= number
    assert replay.begun_with + 2 * replay.added <= labels


def test_the_gain_of_repetitions_has_an_interval_wider_than_that_of_pools_of_their_own():
    split = SimpleNamespace(labelled=np.arange(40))
    replay = Replay(SuggestConfig(number=10), "typical", None, split, Path(), 8, None)  # type: ignore[arg-type]
    gains = np.array([0.02, np.nan, 0.05, 0.03])
    found = replay.difference(gains)
    learned = replay.begun_with + replay.added
    known = gains[~np.isnan(gains)]
    half = stats.t.ppf(0.975, 2) * np.sqrt((1 / 3 + learned / (40 - learned)) * known.var(ddof=1))
    assert (found.value, found.high) == pytest.approx((known.mean(), known.mean() + half))

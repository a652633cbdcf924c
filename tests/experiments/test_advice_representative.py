"""Whether pictures with a mask are like the others: told where they differ, not where chance alone divides them."""

import numpy as np
import pytest

from experiments.advice.representative import FEWEST, difference_of, features_of


def pictures(number: int, seed: int, brightness: float = 100.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    base = random.normal(brightness, 25, (number, 1, 1, 3)) + random.normal(0, 15, (number, 32, 32, 3))
    return base.clip(0, 255).astype(np.uint8)


def names(number: int) -> list[str]:
    return [f"{place:03}" for place in range(number)]


def test_pictures_of_another_light_are_told_with_examples():
    images = np.concatenate([pictures(30, 0), pictures(100, 1, brightness=150)])
    found = difference_of(images, np.arange(130) < 30, names(130))
    assert found.is_told
    assert found.auc > 0.85
    assert len(found.examples) == 3
    assert all(int(name) >= 30 for name in found.examples)
    assert "scores hold for pictures like those with a mask" in found.warning


def test_pictures_that_chance_divides_are_rarely_told():
    told = [difference_of(pictures(60, seed), np.arange(60) < 20, names(60), seed).is_told for seed in range(3)]
    assert sum(told) <= 1


def test_too_few_tell_nothing():
    assert difference_of(pictures(40, 0), np.arange(40) < FEWEST - 1, names(40)) is None
    assert difference_of(pictures(40, 0), np.arange(40) >= 3, names(40)) is None


def test_features_say_where_it_is_bright_and_which_way_edges_run():
    left = np.zeros((32, 32, 3), np.uint8)
    left[:, :8] = 255
    upright, turned = features_of(left), features_of(left.transpose(1, 0, 2))
    quarter = 3 + 3 + 8
    assert upright[:3] == pytest.approx([0.5] * 3)
    assert upright[quarter : quarter + 3] == pytest.approx([0.0] * 3)  # the right half is dark
    assert upright[6:14].argmax() == 0  # gradients to the side
    assert turned[6:14].argmax() == 4  # gradients down

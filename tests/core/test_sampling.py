"""The order of pictures: what every pass must hold, and that nothing but numbers decides it."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.run.sampling import Draws
from core.run.schedule import learning_rate_factor


@given(st.integers(1, 40), st.integers(1, 15), st.integers(0, 5))
def test_a_pass_shows_every_picture_once(size, batch_size, seed):
    pictures = np.arange(100, 100 + size)
    draws = Draws([pictures], batch_size, seed, refill=False)
    shown = np.concatenate([draws.batch(step)[1] for step in range(draws.steps_per_pass)])
    assert sorted(shown) == list(pictures)
    counts = [draws.pictures_in(step) for step in range(3 * draws.steps_per_pass)]
    assert counts == [len(draws.batch(step)[0]) for step in range(3 * draws.steps_per_pass)]


@given(st.integers(1, 12), st.integers(1, 15), st.integers(0, 5))
def test_refilled_batches_are_full_and_go_through_the_same_passes(size, batch_size, seed):
    draws = Draws([np.arange(size)], batch_size, seed, refill=True)
    passes, shown, _ = (np.concatenate(rows) for rows in zip(*map(draws.batch, range(10)), strict=True))
    assert len(shown) == 10 * batch_size == sum(map(draws.pictures_in, range(10)))
    for number in range(10 * batch_size // size):
        assert sorted(shown[passes == number]) == list(range(size))


def test_order_does_not_depend_on_batch_size():
    orders = []
    for batch_size in (3, 7):
        draws = Draws([np.arange(21)], batch_size, seed=1, refill=False)
        orders.append(np.concatenate([draws.batch(step)[1] for step in range(2 * draws.steps_per_pass)]))
    assert np.array_equal(*orders)


def test_balanced_groups_are_drawn_alike():
    cats, dogs = np.arange(10), np.arange(10, 40)
    draws = Draws([cats, dogs], 8, seed=0, refill=False)
    passes, shown, repeats = (np.concatenate(rows) for rows in zip(*map(draws.batch, range(5)), strict=True))
    assert Counter(shown < 10) == {True: 20, False: 20}
    assert not passes.any()
    # The same picture in the same pass must not get the same augmentation twice.
    assert len(set(zip(shown, repeats, strict=True))) == 40


def test_an_empty_group_is_refused():
    with pytest.raises(UserError, match="empty"):
        Draws([np.arange(3), np.arange(0)], 2, seed=0, refill=False)


def test_learning_rates_at_known_points():
    cosine = [learning_rate_factor(step, 100, "cosine") for step in (0, 50, 100)]
    assert cosine == pytest.approx([1, 0.5, 0])
    assert learning_rate_factor(50, 100, "poly") == pytest.approx(0.5**0.9)
    assert learning_rate_factor(99, 100, "constant") == 1
    assert [learning_rate_factor(step, 100, "cosine", 4) for step in range(5)] == pytest.approx([0.25, 0.5, 0.75, 1, 1])

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.randomness import keys, permutation, seed_of, symmetric, uniform

numbers = st.integers(-(2**63), 2**63 - 1)
small = st.integers(0, 1000)


def test_hash_is_splitmix64():
    # The first number that the reference implementation gives for the seed 0.
    assert seed_of(0) == 0xE220A8397B1DCDAF >> 1


@given(numbers, small, st.lists(small, min_size=1, max_size=20), st.data())
def test_a_key_does_not_depend_on_the_batch(seed, epoch, indices, data):
    place = data.draw(st.integers(0, len(indices) - 1))
    together = keys(seed, epoch, np.array(indices))
    assert together.dtype == np.uint64
    assert keys(seed, epoch, np.array(indices[place : place + 1]))[0] == together[place]
    assert keys(seed, np.full(len(indices), epoch), np.array(indices))[place] == together[place]


def test_another_seed_epoch_image_or_repeat_gives_another_key():
    indices, repeats = np.indices((10, 10)).reshape(2, -1)
    drawn = [keys(seed, epoch, indices, repeats) for seed in range(-5, 5) for epoch in range(10)]
    assert len(np.unique(drawn)) == 10_000


def test_no_repeats_means_repeat_zero():
    indices = np.arange(5)
    assert (keys(1, 2, indices) == keys(1, 2, indices, np.zeros(5, dtype=np.int64))).all()


@given(st.lists(numbers, min_size=1, max_size=5))
def test_seed_fits_torch_and_depends_on_the_order(parts):
    assert 0 <= seed_of(*parts) < 2**63
    assert seed_of(*parts) == seed_of(*parts)
    assert seed_of(*parts, 1, 2) != seed_of(*parts, 2, 1)


def test_uniform_is_uniform():
    drawn = uniform(keys(0, 0, np.arange(20_000)), "rotation", 4).numpy()
    assert drawn.shape == (20_000, 4)
    assert drawn.dtype == np.float32
    assert 0 <= drawn.min() < 1e-3
    assert 1 - 1e-3 < drawn.max() < 1
    # Five standard errors of a uniform sample of 80,000.
    assert drawn.mean() == pytest.approx(1 / 2, abs=5 * np.sqrt(1 / 12 / drawn.size))
    assert drawn.var() == pytest.approx(1 / 12, abs=5 * np.sqrt(1 / 180 / drawn.size))
    counts = np.histogram(drawn, bins=100, range=(0, 1))[0]
    chi_square = ((counts - drawn.size / 100) ** 2 / (drawn.size / 100)).sum()
    assert 50 < chi_square < 180  # 99 degrees of freedom: 99 on average, deviation 14


def test_streams_places_epochs_and_neighbours_are_independent():
    n = 20_000
    now, later = keys(0, 0, np.arange(n)), keys(0, 1, np.arange(n))
    columns = [*uniform(now, "scale", 3).unbind(1), uniform(now, "shift"), uniform(later, "scale")]
    columns.append(uniform(now, "flip").roll(1))
    correlations = np.corrcoef(np.stack(columns)) - np.eye(len(columns))
    assert np.abs(correlations).max() < 5 / np.sqrt(n)


def test_symmetric_spans_its_limits():
    some = keys(0, 0, np.arange(1000))
    drawn = symmetric(some, "shift", 0.1, 2)
    assert drawn.shape == (1000, 2)
    assert -0.1 <= drawn.min() < -0.099
    assert 0.099 < drawn.max() < 0.1
    assert not symmetric(some, "shift", 0).any()


def test_uniform_of_a_key_is_fixed():
    some = keys(0, 0, np.arange(6))
    alone, row = uniform(some, "hue"), uniform(some, "hue", 3)
    assert alone.shape == (6,)
    assert (alone == row[:, 0]).all()
    assert (uniform(some[3:4], "hue", 3) == row[3]).all()


@given(numbers, small, st.integers(0, 300))
def test_permutation_holds_every_number_once(seed, epoch, n):
    order = permutation(seed, epoch, n)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(n))
    assert (order == permutation(seed, epoch, n)).all()


def test_permutation_differs_by_epoch_and_seed_and_favours_no_place():
    orders = np.stack([permutation(0, epoch, 50) for epoch in range(1000)])
    assert len(np.unique(orders, axis=0)) == 1000
    assert (permutation(1, 0, 50) != orders[0]).any()
    # The mean number in each place is 24.5, with a standard error of 14.4 / sqrt(1000).
    assert np.abs(orders.mean(0) - 24.5).max() < 5 * 14.4 / np.sqrt(1000)


def test_torch_is_not_imported_before_it_is_needed():
    code = "import core.randomness, data.augment.settings, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

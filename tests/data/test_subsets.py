import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.ranking import ranked
from data.subsets import label_subset, some_labels

names = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=60, unique=True)
fractions = st.floats(min_value=0.01, max_value=1.0)


def species_of(name: str) -> str:
    return "cat" if name[0].isupper() else "dog"


@given(names, fractions, fractions, st.integers(0, 9))
def test_smaller_fraction_is_contained_in_larger(names, one, other, seed):
    kinds = [species_of(name) for name in names]
    small = label_subset(names, kinds, min(one, other), seed)
    large = label_subset(names, kinds, max(one, other), seed)
    assert set(small) <= set(large) <= set(names)


@given(names, fractions, st.integers(0, 9))
def test_order_of_listing_does_not_matter(names, fraction, seed):
    shuffled = random.Random(seed).sample(names, len(names))
    kinds, shuffled_kinds = (list(map(species_of, order)) for order in (names, shuffled))
    assert label_subset(names, kinds, fraction, seed) == label_subset(shuffled, shuffled_kinds, fraction, seed)


def test_every_species_keeps_its_share():
    names = [f"Cat_{i}" for i in range(40)] + [f"dog_{i}" for i in range(200)]
    chosen = label_subset(names, [species_of(name) for name in names], fraction=0.1, seed=0)
    assert [species_of(name) for name in chosen].count("cat") == 4
    assert len(chosen) == 24


def test_fraction_out_of_range_says_what_to_give():
    with pytest.raises(ValueError, match="0.1 keeps a tenth"):
        label_subset(["a"], ["dog"], fraction=10, seed=0)


@given(names, st.data(), st.integers(0, 9))
def test_fewer_labels_are_contained_in_more(names, data, seed):
    kinds = [species_of(name) for name in names]
    small, large = sorted(data.draw(st.tuples(*[st.integers(1, len(names))] * 2)))
    fewer, more = (set(some_labels(names, kinds, number, seed)) for number in (small, large))
    assert (len(fewer), len(more)) == (small, large)
    assert fewer <= more <= set(names)
    backwards = some_labels(names[::-1], kinds[::-1], small, seed)
    assert set(backwards) == fewer


def test_a_number_of_labels_is_shared_out_by_hand():
    cats, dogs = [f"Cat_{i}" for i in range(3)], [f"dog_{i}" for i in range(6)]
    # Shares at which rounding takes a member in: cats 1/6 3/6 5/6, dogs 1/12 3/12 5/12 7/12 9/12 11/12; the first of
    # each before all others, of the larger kind first.
    expected = ["dog", "cat", "dog", "dog", "cat", "dog", "dog", "cat", "dog"]
    kinds = [species_of(name) for name in cats + dogs]
    order, before = [], set()
    for number in range(1, 10):
        now = set(some_labels(cats + dogs, kinds, number, 4))
        (added,) = now - before
        order.append(added)
        before = now
    assert [species_of(name) for name in order] == expected
    assert [name for name in order if name in dogs] == ranked(dogs, 4)
    assert [name for name in order if name in cats] == ranked(cats, 4)


def test_a_number_of_labels_is_the_fraction_that_comes_to_it():
    names = [f"Cat_{i}" for i in range(45)] + [f"dog_{i}" for i in range(86)]
    kinds = [species_of(name) for name in names]
    for number in (13, 25, 66, 131):
        chosen = label_subset(names, kinds, number / 131, 3)
        assert len(chosen) == number
        assert some_labels(names, kinds, number, 3) == chosen


def test_more_labels_than_there_are_are_refused():
    with pytest.raises(ValueError, match="3 are more than the 2 there are"):
        some_labels(["a", "b"], ["dog", "dog"], 3, 0)

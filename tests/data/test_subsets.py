import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.subsets import label_subset

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

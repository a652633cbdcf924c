import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.subsets import label_subset, strata_of_groups

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


@given(names, fractions, fractions, st.integers(0, 9), st.integers(1, 7))
def test_groups_are_kept_or_left_whole_and_subsets_of_them_are_nested(names, one, other, seed, number):
    kinds = [species_of(name) for name in names]
    groups = [f"patient {len(name) % number}" for name in names]
    small, large = (set(label_subset(names, kinds, f, seed, groups)) for f in sorted((one, other)))
    assert small <= large
    kept = {group for name, group in zip(names, groups, strict=True) if name in small}
    assert small == {name for name, group in zip(names, groups, strict=True) if group in kept}


def test_a_share_is_one_of_groups_and_a_group_counts_to_its_rarest_stratum():
    names = [f"{patient}/{number}" for patient in range(20) for number in range(patient + 1)]
    groups = [name.split("/")[0] for name in names]
    chosen = label_subset(names, ["dog"] * len(names), 0.2, 0, groups)
    assert len({name.split("/")[0] for name in chosen}) == 4
    found = strata_of_groups(["a", "a", "b", "b", "c"], ["dog", "cat", "dog", "", ""])
    assert found == {"a": "cat", "b": "dog", "c": ""}
    alone = label_subset(names, ["dog"] * len(names), 0.2, 0)
    assert alone == label_subset(names, ["dog"] * len(names), 0.2, 0, names)

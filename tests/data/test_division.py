import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from data.sources.layout.division import divide_folds, divide_groups, fold_places

# picture -> group, at least five groups
GROUPS = st.lists(st.integers(1, 6), min_size=5, max_size=12).map(
    lambda sizes: {f"p{group}_{place}": f"g{group}" for group, size in enumerate(sizes) for place in range(size)}
)
RATIOS = st.sampled_from([0.0, 0.1, 0.2, 0.4])


def members(splits: dict[str, str], groups: dict[str, str]) -> dict[str, set[str]]:
    """The splits of each group."""
    found: dict[str, set[str]] = {}
    for name, split in splits.items():
        found.setdefault(groups[name], set()).add(split)
    return found


@given(GROUPS, RATIOS, RATIOS, st.integers(0, 5), st.randoms())
def test_groups_stay_whole_and_no_split_is_empty(groups, val_ratio, test_ratio, seed, random):
    splits = divide_groups(groups, val_ratio, test_ratio, seed)
    assert all(len(held) == 1 for held in members(splits, groups).values())
    assert set(splits.values()) == {"Train", *["Val"] * (val_ratio > 0), *["Test"] * (test_ratio > 0)}
    names = list(groups)
    random.shuffle(names)
    assert divide_groups({name: groups[name] for name in names}, val_ratio, test_ratio, seed) == splits
    largest = max(list(groups.values()).count(group) for group in groups.values())
    share = list(splits.values()).count("Test")
    assert test_ratio == 0 or share <= max(largest, test_ratio * len(groups) + largest / 2)


@given(GROUPS, st.integers(2, 4), RATIOS, st.integers(0, 5), st.data())
def test_every_labelled_picture_is_tested_once(groups, folds, val_ratio, seed, data):
    labelled = [name for name in groups if name.endswith(("_0", "_1"))]
    unlabelled_groups = {
        name: f"u{name}" for name in (f"bare{number}" for number in range(data.draw(st.integers(0, 5))))
    }
    everyone = groups | unlabelled_groups
    divisions = [divide_folds(everyone, labelled, folds, fold, val_ratio, seed) for fold in range(folds)]
    for name in labelled:
        assert [splits[name] for splits in divisions].count("Test") == 1
    for splits in divisions:
        assert all(len(held) == 1 for held in members(splits, everyone).values())
        assert {splits[name] for name in unlabelled_groups} <= {"Train"}
        held = {splits[name] for name in labelled}
        assert held == {"Train", "Test", *["Val"] * (val_ratio > 0)}


@given(st.integers(2, 9), st.integers(2, 60), st.integers(0, 9))
def test_folds_of_single_pictures_differ_by_one_at_most(folds, count, seed):
    places = list(fold_places({f"p{number}": 1 for number in range(count)}, folds, seed).values())
    sizes = [places.count(fold) for fold in range(folds)]
    assert max(sizes) - min(sizes) <= 1


def test_too_few_groups_are_refused():
    with pytest.raises(UserError, match="2 groups leave one of 3 splits empty"):
        divide_groups({"a": "g", "b": "g", "c": "h"}, 0.2, 0.2, 1)
    with pytest.raises(UserError, match="too few for --folds 5"):
        divide_folds({"a": "a", "b": "b", "c": "c"}, ["a", "b", "c"], 5, 0, 0.2, 1)
    for fold in (0, 1):  # which all are wanted, so the first says it too
        with pytest.raises(UserError, match="use more --folds"):
            divide_folds({"a": "a", "b": "b", "c": "c"}, ["a", "b", "c"], 2, fold, 0.2, 1)

"""Dividing pictures into Train, Val and Test, by names and groups alone; neither order nor machine has a say.

A group (a patient, a scene) lies in one split whole. Groups take their place by the rank of their hash.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from core.errors import UserError
from data.ranking import ranked
from data.sources.source import held_out


def divide_groups(groups: Mapping[str, str], val_ratio: float, test_ratio: float, seed: int) -> dict[str, str]:
    """Divide pictures by their groups: about `test_ratio` of all, then about `val_ratio` of those that remain.

    Args:
        groups: picture -> group.

    Returns:
        picture -> Train, Val or Test.

    Raises:
        UserError: there are too few groups to leave no split empty.
    """
    sizes = _sizes(groups.values())
    needed = 1 + (val_ratio > 0) + (test_ratio > 0)
    if len(sizes) < needed:
        raise UserError(
            f"{len(sizes)} groups leave one of {needed} splits empty: group by another tag, or set --val_ratio or "
            "--test_ratio to 0"
        )
    test = _held_out(sizes, test_ratio, seed, spared=needed - 1)
    rest = {group: size for group, size in sizes.items() if group not in test}
    val = _held_out(rest, val_ratio, seed, spared=1)
    return {name: "Test" if group in test else "Val" if group in val else "Train" for name, group in groups.items()}


def divide_folds(
    groups: Mapping[str, str], labelled: Iterable[str], folds: int, fold: int, val_ratio: float, seed: int
) -> dict[str, str]:
    """Divide labelled pictures into folds of about one size: `fold` is Test, Val is drawn from the rest.

    Every labelled picture is Test in exactly one of the folds. Pictures without a label are Train, whatever the fold;
    only those whose group holds labelled ones go where their group goes.

    Args:
        groups: picture -> group; without groups each picture is its own.
        labelled: the pictures with a mask.
        folds: K, at least 2; `fold` is 0 to K - 1.

    Returns:
        picture -> Train, Val or Test.

    Raises:
        UserError: there are too few labelled groups for so many folds, with one left for Train and one for Val; of
            whichever fold, as all of them are wanted.
    """
    sizes = _sizes(groups[name] for name in labelled)
    needed = max(folds, 2 + (val_ratio > 0))
    if len(sizes) < needed:
        raise UserError(
            f"{len(sizes)} labelled pictures (or groups of such) are too few for --folds {folds}: it needs {needed}"
        )
    places = fold_places(sizes, folds, seed)
    largest, held = Counter(places.values()).most_common(1)[0]
    if len(sizes) - held < 1 + (val_ratio > 0):
        raise UserError(f"fold {largest} of {folds} leaves too few groups for Train and Val: use more --folds")
    test = {group for group, place in places.items() if place == fold}
    rest = {group: size for group, size in sizes.items() if group not in test}
    val = _held_out(rest, val_ratio, seed, spared=1)
    return {name: "Test" if group in test else "Val" if group in val else "Train" for name, group in groups.items()}


def fold_places(sizes: Mapping[str, int], folds: int, seed: int) -> dict[str, int]:
    """Give each group its fold: in the order of their hashes, each to the fold that holds fewest pictures so far."""
    held = [0] * folds
    places = {}
    for group in ranked(sizes, seed):
        places[group] = held.index(min(held))
        held[places[group]] += sizes[group]
    return places


def held_out_groups(groups: Mapping[str, str], ratio: float, seed: int) -> set[str]:
    """Choose whole groups (cities, sequences), in an order that the seed draws, to come near a share of all names.

    Published sets have few groups and large ones: one too large for the share is passed over, where `_held_out` ends.

    Args:
        groups: name -> group. Of one group alone, names are chosen one by one.
        ratio: share to hold out, in [0, 1). Above 0 one group at least is, and one at least is not.
    """
    members = defaultdict(list)
    for name, group in groups.items():
        members[group].append(name)
    if len(members) < 2:
        return held_out(dict.fromkeys(groups), ratio, seed)
    wanted = ratio * len(groups)
    chosen: list[str] = []
    for group in ranked(members, seed):
        more = len(chosen) + len(members[group])
        if more < len(groups) and abs(more - wanted) < abs(len(chosen) - wanted):
            chosen += members[group]
    if ratio > 0 and not chosen:
        chosen = min(members.values(), key=len)
    return set(chosen)


def _held_out(sizes: Mapping[str, int], ratio: float, seed: int, spared: int) -> set[str]:
    """Choose groups until they hold about `ratio` of the pictures; above 0 at least one, and `spared` are left."""
    if ratio <= 0:
        return set()
    wanted, held = ratio * sum(sizes.values()), 0
    chosen: set[str] = set()
    for group in ranked(sizes, seed):
        # The last group is taken where it brings the share nearer than leaving it out does.
        enough = chosen and held + sizes[group] / 2 > wanted
        if enough or len(chosen) >= len(sizes) - spared:
            break
        chosen.add(group)
        held += sizes[group]
    return chosen


def _sizes(groups: Iterable[str]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for group in groups:
        sizes[group] = sizes.get(group, 0) + 1
    return sizes

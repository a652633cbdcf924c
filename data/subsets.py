"""Nested, stratified subsets of the labelled images, for label-efficiency experiments.

A subset depends on `(names, strata, groups, fraction, seed)` alone, and a smaller fraction is always
contained in a larger one, so that arms with fewer labels never see an image that arms with
more labels lack.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.errors import UserError
from data.ranking import rank, ranked

if TYPE_CHECKING:
    from data.manifest import Manifest, Record


def label_subset(
    names: Sequence[str], strata: Sequence[str], fraction: float, seed: int, groups: Sequence[str] | None = None
) -> list[str]:
    """Choose a fraction of the labelled images, the same share of every stratum.

    Args:
        names: image names, unique, in any order.
        strata: the stratum of each image (its species, say, or `rarest_classes`), as long as `names`.
        fraction: share to keep, in (0, 1]; every stratum keeps at least one image.
        seed: which of the possible subsets.
        groups: the group of each image (its patient, say); a group is kept or left whole, the share is one of groups,
            and a group counts to a single stratum (`strata_of_groups`). None: each image is its own.

    Returns:
        The chosen names, sorted.

    Raises:
        UserError: if the lengths differ or the fraction is outside (0, 1].
    """
    if len(names) != len(strata):
        raise UserError(f"{len(names)} names but {len(strata)} strata: give one stratum a name")
    if not 0 < fraction <= 1:
        raise UserError(f"label fraction {fraction} is outside (0, 1]: 0.1 keeps a tenth of the labels")
    groups = names if groups is None else groups
    by_stratum = defaultdict(list)
    for group, stratum in strata_of_groups(groups, strata).items():
        by_stratum[stratum].append(group)
    chosen: set[str] = set()
    for members in by_stratum.values():
        chosen.update(ranked(members, seed)[: max(1, round(fraction * len(members)))])
    return sorted(name for name, group in zip(names, groups, strict=True) if group in chosen)


def strata_of_groups(groups: Sequence[str], strata: Sequence[str]) -> dict[str, str]:
    """Return the stratum of each group: the one that fewest images have, of those of its images; "" is not known."""
    counts = Counter(strata)
    held = defaultdict(set)
    for group, stratum in zip(groups, strata, strict=True):
        held[group].add(stratum)
    return {
        group: min(found, key=lambda stratum: (not stratum, counts[stratum], stratum)) for group, found in held.items()
    }


def some_labels(names: Sequence[str], strata: Sequence[str], number: int, seed: int) -> list[str]:
    """Choose so many of the labelled images, the same share of every stratum as nearly as whole images allow.

    Fewer are contained in more. Where a fraction comes to this number they are those of `label_subset`.

    Args:
        names, strata, seed: as of `label_subset`.
        number: how many; where it is less than there are strata, the largest have one.

    Returns:
        The chosen names, sorted.

    Raises:
        UserError: there are fewer.
    """
    if number > len(names):
        raise UserError(f"{number} are more than the {len(names)} there are: give {len(names)} or fewer")
    order = []
    for stratum in set(strata):
        members = ranked((name for name, own in zip(names, strata, strict=True) if own == stratum), seed)
        # The share of the stratum at which rounding takes a member in; every stratum's first comes before all others.
        shares = ((place > 0, (place + 0.5) / len(members)) for place in range(len(members)))
        order += [(*share, rank(name, seed), name) for share, name in zip(shares, members, strict=True)]
    return sorted(name for *_, name in sorted(order)[:number])


def rarest_classes(held: Sequence[Sequence[int]]) -> list[int | None]:
    """Return of each image the class that fewest images hold, of those that it holds; None where it holds none.

    Args:
        held: the classes of each image.
    """
    counts = Counter(number for classes in held for number in set(classes))
    return [min(classes, key=lambda number: (counts[number], number), default=None) for classes in held]


def strata_of(records: "Sequence[Record]", manifest: "Manifest") -> list[str | None]:
    """Return what label fractions are shared out by and draws balanced, of each image.

    That is the value of the tag `stratum`, or where the data have no such tag the name of the rarest class that an
    image holds; None where neither is known.
    """
    if manifest.stratum:
        return [record.tags.get(manifest.stratum) for record in records]
    rarest = rarest_classes([record.classes for record in records])
    return [None if number is None else manifest.class_set.names[number] for number in rarest]


def groups_of(records: "Sequence[Record]", manifest: "Manifest") -> list[str]:
    """Return the group of each image: its value of the tag that --group_by named, or itself where it has none."""
    tag = manifest.source.get("group_by") or ""
    values = [record.tags.get(tag) for record in records]
    # A value must not be taken for an image's name.
    return [record.name if value is None else f"={value}" for record, value in zip(records, values, strict=True)]

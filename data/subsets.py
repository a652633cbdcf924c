"""Nested, stratified subsets of the labelled images, for label-efficiency experiments.

A subset depends on `(names, strata, fraction, seed)` alone, and a smaller fraction is always
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


def label_subset(names: Sequence[str], strata: Sequence[str], fraction: float, seed: int) -> list[str]:
    """Choose a fraction of the labelled images, the same share of every stratum.

    Args:
        names: image names, unique, in any order.
        strata: the stratum of each image (its species, say, or `rarest_classes`), as long as `names`.
        fraction: share to keep, in (0, 1]; every stratum keeps at least one image.
        seed: which of the possible subsets.

    Returns:
        The chosen names, sorted.

    Raises:
        UserError: if the lengths differ or the fraction is outside (0, 1].
    """
    if len(names) != len(strata):
        raise UserError(f"{len(names)} names but {len(strata)} strata: give one stratum a name")
    if not 0 < fraction <= 1:
        raise UserError(f"label fraction {fraction} is outside (0, 1]: 0.1 keeps a tenth of the labels")
    by_stratum = defaultdict(list)
    for name, stratum in zip(names, strata, strict=True):
        by_stratum[stratum].append(name)
    chosen = []
    for members in by_stratum.values():
        chosen += ranked(members, seed)[: max(1, round(fraction * len(members)))]
    return sorted(chosen)


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

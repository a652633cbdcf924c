"""Nested, stratified subsets of the labelled images, for label-efficiency experiments.

A subset depends on `(names, strata, fraction, seed)` alone, and a smaller fraction is always
contained in a larger one, so that arms with fewer labels never see an image that arms with
more labels lack.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from hashlib import sha256

from core.errors import UserError


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
        members.sort(key=lambda name: _rank(name, seed))
        chosen += members[: max(1, round(fraction * len(members)))]
    return sorted(chosen)


def rarest_classes(held: Sequence[Sequence[int]]) -> list[int | None]:
    """Return of each image the class that fewest images hold, of those that it holds; None where it holds none.

    Args:
        held: the classes of each image.
    """
    counts = Counter(number for classes in held for number in set(classes))
    return [min(classes, key=lambda number: (counts[number], number), default=None) for classes in held]


def strata_of(
    tags: Sequence[Mapping[str, str]], held: Sequence[Sequence[int]], stratum: str | None, class_names: Sequence[str]
) -> list[str | None]:
    """Return what label fractions are shared out by and draws balanced, of each image.

    That is the value of the tag `stratum`, or where the data have no such tag the name of the rarest class that an
    image holds; None where neither is known.
    """
    if stratum:
        return [of_image.get(stratum) for of_image in tags]
    return [None if number is None else class_names[number] for number in rarest_classes(held)]


def _rank(name: str, seed: int) -> bytes:
    # A hash orders the images alike on every machine and in every order of listing; a shuffled list would not.
    return sha256(f"{seed}/{name}".encode()).digest()

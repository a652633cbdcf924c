"""Nested, stratified subsets of the labelled images, for label-efficiency experiments.

A subset depends on `(names, species, fraction, seed)` alone, and a smaller fraction is always
contained in a larger one, so that arms with fewer labels never see an image that arms with
more labels lack.
"""

from collections import defaultdict
from collections.abc import Sequence
from hashlib import sha256

from core.errors import UserError


def label_subset(names: Sequence[str], species: Sequence[str], fraction: float, seed: int) -> list[str]:
    """Choose a fraction of the labelled images, the same share of every species.

    Args:
        names: image names, unique, in any order.
        species: the species of each image, as long as `names`.
        fraction: share to keep, in (0, 1]; every species keeps at least one image.
        seed: which of the possible subsets.

    Returns:
        The chosen names, sorted.

    Raises:
        UserError: if the lengths differ or the fraction is outside (0, 1].
    """
    if len(names) != len(species):
        raise UserError(f"{len(names)} names but {len(species)} species: give one species a name")
    if not 0 < fraction <= 1:
        raise UserError(f"label fraction {fraction} is outside (0, 1]: 0.1 keeps a tenth of the labels")
    by_species = defaultdict(list)
    for name, kind in zip(names, species, strict=True):
        by_species[kind].append(name)
    chosen = []
    for members in by_species.values():
        members.sort(key=lambda name: _rank(name, seed))
        chosen += members[: max(1, round(fraction * len(members)))]
    return sorted(chosen)


def _rank(name: str, seed: int) -> bytes:
    # A hash orders the images alike on every machine and in every order of listing; a shuffled list would not.
    return sha256(f"{seed}/{name}".encode()).digest()

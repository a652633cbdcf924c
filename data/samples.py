"""What a source of pictures hands to the preparation, and how pictures are divided into splits."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Sample:
    """One picture before preparation.

    Attributes:
        image: reads the picture [H, W, 3] uint8 and what was unusual about its file.
        mask: reads the mask [H, W] uint8 in the source's own values; None without a mask.
        file, mask_file: what the report calls them.
        stamp: changes when the files change (sizes and times), so that an interrupted run redoes what is stale.
    """

    name: str
    split: str
    species: str | None
    breed: str | None
    file: str
    image: Callable[[], tuple[np.ndarray, list[str]]]
    mask_file: str = ""
    mask: Callable[[], np.ndarray] | None = None
    stamp: tuple[int, ...] = ()


@dataclass(frozen=True)
class Source:
    """All samples of a data set, and what the manifest says about where they come from.

    Attributes:
        mask_values: the values that a mask of this source may hold.
        passed_over: the files that belong to no sample, with the reason.
    """

    samples: list[Sample]
    mask_values: tuple[int, ...]
    passed_over: list[tuple[str, str]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)


def held_out(strata: Mapping[str, str | None], ratio: float, seed: int) -> set[str]:
    """Choose a share of the names, spread evenly over the strata.

    A name's place in its stratum is the rank of its hash, so that neither the order of listing nor the machine has a
    say. Names whose relative place is lowest are held out.

    Args:
        strata: name -> stratum (a breed, say; None is a stratum like any other).
        ratio: share to hold out, in [0, 1). Above 0 at least one name is, below 1 at least one is not.

    Returns:
        The names held out, round(ratio x names) of them within those bounds.
    """
    count = min(max(1, round(ratio * len(strata))), len(strata) - 1) if ratio > 0 else 0
    members = defaultdict(list)
    for name, stratum in strata.items():
        members[stratum].append((_rank(name, seed), name))
    places = []
    for group in members.values():
        places += [((place + 0.5) / len(group), rank, name) for place, (rank, name) in enumerate(sorted(group))]
    return {name for _, _, name in sorted(places)[: max(count, 0)]}


def hash_splits(names: Sequence[str], val_ratio: float, test_ratio: float, seed: int) -> dict[str, str]:
    """Divide names into Train, Val and Test: `test_ratio` of all, then `val_ratio` of those that remain."""
    test = held_out(dict.fromkeys(names), test_ratio, seed)
    rest = [name for name in names if name not in test]
    val = held_out(dict.fromkeys(rest), val_ratio, seed)
    return {name: "Test" if name in test else "Val" if name in val else "Train" for name in names}


def file_stamp(*paths: Path) -> tuple[int, ...]:
    """Return size and time of change of each file."""
    return tuple(value for path in paths for value in (path.stat().st_size, path.stat().st_mtime_ns))


def _rank(name: str, seed: int) -> bytes:
    return sha256(f"{seed}/{name}".encode("utf-8", "surrogateescape")).digest()

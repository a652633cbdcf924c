"""What a source of pictures hands to the preparation, and how pictures are divided into splits."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from data.manifest import SPLITS


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


class Samples(Protocol):
    """The samples of a data set, in an order that stays.

    They may be gone through several times, and need not be in memory: a large data set makes them as it is asked.
    """

    def __len__(self) -> int:
        """How many there are."""

    def __iter__(self) -> Iterator[Sample]:
        """Yield one after the other, from the first."""


@dataclass(frozen=True)
class Source:
    """All samples of a data set, and what the manifest says about where they come from.

    Attributes:
        mask_values: the values that a mask of this source may hold.
        passed_over: the files that belong to no sample, with the reason.
    """

    samples: Samples
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
    members = defaultdict(list)
    for name, stratum in strata.items():
        members[stratum].append((_rank(name, seed), name))
    places = []
    for group in members.values():
        places += [((place + 0.5) / len(group), rank, name) for place, (rank, name) in enumerate(sorted(group))]
    return {name for _, _, name in sorted(places)[: _share(ratio, len(strata))]}


def hash_splits(names: Sequence[str], val_ratio: float, test_ratio: float, seed: int) -> dict[str, str]:
    """Divide names into Train, Val and Test; see `hash_places`."""
    places = hash_places(names, val_ratio, test_ratio, seed)
    return {name: SPLITS[place] for name, place in zip(names, places, strict=True)}


def hash_places(names: Iterable[str], val_ratio: float, test_ratio: float, seed: int) -> np.ndarray:
    """Divide names into Train, Val and Test: `test_ratio` of all, then `val_ratio` of those that remain.

    Each time those whose hash ranks lowest are held out, as by `held_out` with one stratum.

    Returns:
        [N] uint8, the place of each name's split in `SPLITS`.
    """
    order = np.argsort(np.fromiter((_rank(name, seed) for name in names), "S32"))
    test, rest = np.split(order, [_share(test_ratio, len(order))])
    places = np.full(len(order), SPLITS.index("Train"), np.uint8)
    places[test] = SPLITS.index("Test")
    places[rest[: _share(val_ratio, len(rest))]] = SPLITS.index("Val")
    return places


def file_stamp(*paths: Path) -> tuple[int, ...]:
    """Return size and time of change of each file."""
    return tuple(value for path in paths for value in (path.stat().st_size, path.stat().st_mtime_ns))


def _share(ratio: float, count: int) -> int:
    """Above 0 at least one is held out, below 1 at least one is not."""
    return max(min(max(1, round(ratio * count)), count - 1), 0) if ratio > 0 else 0


def _rank(name: str, seed: int) -> bytes:
    return sha256(f"{seed}/{name}".encode("utf-8", "surrogateescape")).digest()

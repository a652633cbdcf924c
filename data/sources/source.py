"""What a source of pictures hands to the preparation, and how pictures are divided into splits."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from core.classes import ClassSet
from data.manifest import SPLITS
from data.preprocessing.pipeline import Preprocessing
from data.ranking import rank
from data.volumes.frame import Frame
from data.volumes.geometry import Spacing
from data.volumes.intensity import Intensity


@dataclass(frozen=True)
class Sample:
    """One picture before preparation.

    Attributes:
        name: its own within the data set, relative with "/" between its parts, without a suffix.
        split: Train, Val or Test.
        file, label_file: what the report calls them.
        image: reads the picture, uint8, [H, W, 3] RGB or [H, W] for one channel, and what was unusual about its file.
        label: reads the label at the picture's original size, [H, W] uint8: indices of classes, or 255 where nothing
            is learned or scored. Every other coding ends in here. None without a mask.
        preprocessed: of a file deeper than 8 bits, reads it as `image` does and takes steps, which see its own values.
        tags: what else is known of the picture: {"species": "cat", "breed": "beagle"}, {"patient": "7"}.
        files: what `image` and `label` read, for the comparison with a later state of them.
        frame: of a volume, reads its place and header; `image` is then [C, D, H, W] and `label` [D, H, W].
        stamp: changes when the files change (sizes and times), so that an interrupted run redoes what is stale.

    `image` and `label` raise `data.pictures.PictureError` where a file cannot be used.
    """

    name: str
    split: str
    file: str
    image: Callable[[], tuple[np.ndarray, list[str]]]
    label_file: str = ""
    label: Callable[[], np.ndarray] | None = None
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    stamp: tuple[int, ...] = ()
    files: tuple[Path, ...] = ()
    preprocessed: Callable[[Preprocessing], tuple[np.ndarray, list[str]]] | None = None
    frame: Callable[[], Frame] | None = None


@dataclass(frozen=True)
class VolumePlan:
    """How all volumes of a data set are read.

    Attributes:
        spacing: in mm along [D, H, W]; None: each keeps its own.
        intensity: of each channel; None: as CT, by what is in Train.
        values: of the masks, one a class.
        trust_shapes: whether only shapes are compared.
    """

    spacing: Spacing | None
    intensity: tuple[Intensity | None, ...]
    values: tuple[int, ...]
    trust_shapes: bool = False


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
        classes: what its labels mean.
        channels: of its pictures, 1 or 3.
        stratum: the tag by whose values label fractions are shared out and draws balanced; None takes the rarest class
            that a picture holds.
        official: whether classes and splits are the publisher's: a class that no mask holds is then a note.
        drawn: the splits that were drawn here: copies of one picture in several of these are laid into one.
        group: the tag whose values lie in one split whole, or should.
        redivide: divides anew by groups (picture -> group), where copies could not be laid together one by one: folds.
        passed_over: the files that belong to no sample, with the reason.
        details: what the manifest says besides; plain JSON values.
        notes: what is printed before the work begins, a sentence each.
        classes_yaml: what --classes would say explicitly, where the classes were found in the masks; becomes
            classes.yaml beside the manifest.
        plan: of volumes, how they are read; None for pictures.
    """

    samples: Samples
    classes: ClassSet
    channels: int = 3
    stratum: str | None = None
    official: bool = True
    drawn: tuple[str, ...] = ()
    group: str | None = None
    redivide: Callable[[Mapping[str, str]], dict[str, str]] | None = None
    passed_over: list[tuple[str, str]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    classes_yaml: str = ""
    plan: VolumePlan | None = None


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
        members[stratum].append((rank(name, seed), name))
    places = []
    for group in members.values():
        places += [((place + 0.5) / len(group), order, name) for place, (order, name) in enumerate(sorted(group))]
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
    order = np.argsort(np.fromiter((rank(name, seed) for name in names), "S32"))
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

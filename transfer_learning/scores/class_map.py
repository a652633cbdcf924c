"""Which classes of data from elsewhere mean which classes of the weights: `evaluate --class_map FILE`.

The YAML file maps names of the data to names of the weights, one or a list of them; "*" stands on either side for all
that are not named. What the file does not name is ignored: pixels of such classes in the data are not scored, and the
network chooses among the classes that are named.

    background: "*"        # of the data: whatever else the network knows
    cat: cat
    dog: dog
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from core.classes import IGNORED, ClassSet
from core.errors import UserError
from core.filing.words import nearest
from core.filing.yaml_file import read_yaml
from data.loading import AnySplit
from data.split import Split

REST = "*"


@dataclass(frozen=True)
class ClassMap:
    """How two sets of classes meet.

    Attributes:
        classes: what is scored, G classes named as those of the weights.
        groups: [G, C] float32 of 0 and 1, which of the weights' C classes each stands for.
        labels: [256] uint8, the scored class of each label of the data, 255 where none is.
        pairs: name of the data -> names of the weights, as understood.
        ignored: `data` and `weights`: the classes that are left out on either side.
    """

    classes: ClassSet
    groups: np.ndarray
    labels: np.ndarray
    pairs: dict[str, list[str]]
    ignored: dict[str, list[str]]

    @property
    def content(self) -> dict[str, Any]:
        """What results say of the map: what it was taken for, and its digest."""
        digest = sha256(json.dumps(self.pairs, sort_keys=True).encode()).hexdigest()
        return {"pairs": self.pairs, "ignored": self.ignored, "sha256": digest}


@dataclass(frozen=True)
class MappedSplit(Split):
    """A split whose truth is told in other classes.

    Attributes:
        of: the split as it was prepared.
        by: the map.
    """

    of: Split
    by: ClassMap

    @property
    def class_set(self) -> ClassSet:
        """What the truth means here."""
        return self.by.classes

    def truth(self, index: int) -> np.ndarray:
        """Return the label [H, W] uint8 of image `index` at its original size; raises as `Split.truth`."""
        return self.by.labels[self.of.truth(index)]


def mapped_split(split: AnySplit, by: ClassMap) -> MappedSplit:
    """Return a split with its truth told in the classes of a map.

    Raises:
        UserError: it is of volumes.
    """
    if not isinstance(split, Split):
        raise UserError(
            f"--class_map is of pictures, {split.data_dir} holds volumes: evaluate on volumes of the same classes"
        )
    return MappedSplit(**{field.name: getattr(split, field.name) for field in fields(Split)}, of=split, by=by)


def read_class_map(path: Path, data: ClassSet, weights: ClassSet) -> ClassMap:
    """Read the file of a map.

    Raises:
        UserError: no such file, not YAML, not names to names, a name that there is not (with the nearest), or fewer
            than two classes left.
    """
    try:
        content = read_yaml(path)
    except FileNotFoundError:
        raise UserError(f"class_map {path} does not exist: it names classes of the data and of the weights") from None
    if not isinstance(content, dict) or not content:
        raise UserError(f"class_map {path} must hold lines `class of the data: class of the weights`")
    said = {str(name): _names(path, name, value) for name, value in content.items()}
    for name, values in said.items():
        _require_known(path, name, data.names, "the data")
        for value in values:
            _require_known(path, value, weights.names, "the weights")
    return _map_of(path, _spelled_out(said, data.names, weights.names), data, weights)


def _names(path: Path, name: Any, value: Any) -> list[str]:
    values = [] if value is None else value if isinstance(value, list) else [value]
    if any(isinstance(one, dict | list) for one in values):
        raise UserError(f"class_map {path}: {name}: write a class of the weights, or a list of them")
    return [str(one) for one in values]


def _require_known(path: Path, name: str, known: Sequence[str], whose: str) -> None:
    if name != REST and name not in known:
        near = nearest(name, known) or f": it has {', '.join(known[:25])}"
        raise UserError(f"class_map {path}: {whose} has no class {name!r}{near}")


def _spelled_out(said: dict[str, list[str]], data: Sequence[str], weights: Sequence[str]) -> dict[str, list[str]]:
    """Return the pairs with the names that "*" stands for."""
    used = {value for values in said.values() for value in values}
    rest = [name for name in weights if name not in used]
    wide = {
        name: [found for value in values for found in (rest if value == REST else [value])]
        for name, values in said.items()
    }
    others = wide.pop(REST, None)
    more = {} if others is None else {name: others for name in data if name not in said}
    return {name: values for name, values in {**wide, **more}.items() if values}


def _map_of(path: Path, pairs: dict[str, list[str]], data: ClassSet, weights: ClassSet) -> ClassMap:
    """Return the map; classes that a chain of pairs ties together are one."""
    groups: list[tuple[set[str], set[str]]] = []  # names of the data, names of the weights
    for name, values in pairs.items():
        met = [group for group in groups if group[1] & set(values)]
        groups = [group for group in groups if group not in met]
        ours, theirs = (set().union(*(group[side] for group in met)) for side in (0, 1))
        groups.append((ours | {name}, theirs | set(values)))
    if len(groups) < 2:
        raise UserError(f"class_map {path} leaves {len(groups)} class to score: it takes two that are told apart")
    groups.sort(key=lambda group: _first(group[1], weights))
    labels = np.full(256, IGNORED, np.uint8)
    matrix = np.zeros((len(groups), len(weights)), np.float32)
    for number, (ours, theirs) in enumerate(groups):
        labels[[data.names.index(name) for name in ours]] = number
        matrix[number, [weights.names.index(name) for name in theirs]] = 1
    ignored = {
        "data": [name for name in data.names if name not in pairs],
        "weights": [name for name, kept in zip(weights.names, np.any(matrix, axis=0), strict=True) if not kept],
    }
    return ClassMap(_class_set(groups, data, weights), matrix, labels, pairs, ignored)


def _first(names: set[str], classes: ClassSet) -> int:
    """Return the class that a group is called by: the background, else the first."""
    numbers = sorted(map(classes.names.index, names))
    return classes.background if classes.background in numbers else numbers[0]


def _class_set(groups: Sequence[tuple[set[str], set[str]]], data: ClassSet, weights: ClassSet) -> ClassSet:
    chosen = [_first(theirs, weights) for _, theirs in groups]
    background = chosen.index(weights.background) if weights.background in chosen else None
    is_border = (
        background is not None
        and data.background is not None
        and data.names[data.background] in groups[background][0]
        and data.ignored_is == "border"
    )
    return ClassSet(
        tuple(weights.names[number] for number in chosen),
        background,
        "border" if is_border else "unknown",
        tuple(weights.palette[number] for number in chosen),
    )

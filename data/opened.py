"""Prepared data as commands open them: the head of the manifest once, its records once for all splits asked for."""

from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from core.classes import ClassSet
from core.errors import UserError, first_problem
from core.filing.paths import real
from core.headers.seen import named, of_contents, united
from data.geometry import Geometry
from data.manifest import (
    SPLITS,
    Counts,
    Manifest,
    Record,
    RecordContent,
    damaged,
    read_manifest,
    read_records,
)
from data.prepared.described import Described
from data.prepared.fingerprint import fingerprint_of
from data.split import Split, make_split
from data.volumes.geometry import VolumeGeometry
from data.volumes.split import VolumeSplit, make_volume_split

_SCHEMA = TypeAdapter(RecordContent)


@dataclass(frozen=True)
class Data:
    """A processed folder, and what its manifest says of all pictures together; `open_data` makes it."""

    data_dir: Path
    manifest: Manifest
    cache_dir: Path | None = None
    _contents: dict[str, np.ndarray] = field(default_factory=dict, compare=False)

    @property
    def name(self) -> str:
        """What people call the data."""
        own = self.manifest.dataset == "folder"
        return f"own pictures ({real(self.data_dir).name})" if own else self.manifest.dataset

    @property
    def class_set(self) -> ClassSet:
        """What the labels mean."""
        return self.manifest.class_set

    @property
    def fingerprint(self) -> str:
        """SHA-256 over settings and contents, which runs and results name their data by."""
        return self.manifest.fingerprint

    def split(self, name: str) -> Split | VolumeSplit:
        """Open Train, Val or Test; see `splits`."""
        (split,) = self.splits(name)
        return split

    def splits(self, *names: str) -> tuple[Split | VolumeSplit, ...]:
        """Open splits in one pass over the records; the arrays of pictures are built at the first call.

        Raises:
            UserError: a split is unknown or empty, or a file in it is missing or not as written.
        """
        records = self.records(*names)
        if self.manifest.dims == 3:
            return tuple(make_volume_split(self.data_dir, self.manifest, name, records[name]) for name in names)
        return tuple(make_split(self.data_dir, self.manifest, name, records[name], self.cache_dir) for name in names)

    def records(self, *names: str) -> dict[str, list[Record]]:
        """Return for each of these splits what the manifest says of its pictures, sorted by name.

        The manifest is read picture by picture: of other splits nothing is kept, and what pictures have in common is
        kept once.

        Raises:
            UserError: a split is unknown, or the manifest is cut or damaged.
        """
        if unknown := [name for name in names if name not in SPLITS]:
            raise UserError(f"unknown split {unknown[0]!r}: use {', '.join(SPLITS)}")
        found: dict[str, list[Record]] = {name: [] for name in names}
        entries = self._entries(found)
        if (first := next(entries, None)) and first[1]:
            said = self.manifest
            meaning = {"class_set": said.class_set.content(), "channels": said.channels, "stratum": said.stratum}
            if fingerprint_of({**said.settings, **meaning}, chain([first], entries)) != self.fingerprint:
                why = "altered after data.prepare wrote it: its fingerprint does not fit"
                raise UserError(damaged(self.data_dir, why))
        for _ in entries:  # of before there were digests
            pass
        return {name: sorted(records, key=lambda record: record.name) for name, records in found.items()}

    def _entries(self, found: dict[str, list[Record]]) -> Iterator[tuple[dict[str, Any], str]]:
        """Yield every picture's record as it stands and its digest; add those of the splits in `found` to them."""
        shared: dict[Any, Any] = {}
        counts: Counter[tuple[str, bool]] = Counter()
        contents: dict[str, list[str]] = {name: [] for name in SPLITS}
        sealed = set()
        for number, content in enumerate(read_records(self.data_dir)):
            checked = self._validated(content, number, shared)
            sealed.add(bool(checked.sha256))
            if len(sealed) > 1:
                raise UserError(damaged(self.data_dir, f"images.{number}: some records have a digest, others none"))
            counts[checked.split, checked.labelled] += 1
            contents[checked.split].append(checked.content)
            if checked.split in found:
                found[checked.split].append(_record(checked, shared))
            yield content, checked.sha256
        for split, said in self.manifest.counts.items():
            if said != Counts(counts[split, True] + counts[split, False], counts[split, True]):
                raise UserError(damaged(self.data_dir, f"counts.{split}: there are other records than it says"))
        self._contents.update({split: of_contents(texts) for split, texts in contents.items()})

    def _validated(self, content: dict[str, Any], number: int, known: Container[object]) -> RecordContent:
        try:
            record = _SCHEMA.validate_python(content)
        except ValidationError as errors:
            raise UserError(damaged(self.data_dir, f"images.{number}.{first_problem(errors)}")) from None
        geometry, problem = record.geometry, ""
        if any(index >= len(self.class_set) for index in record.classes):
            problem = f"classes: {record.classes} are more than the {len(self.class_set)} there are"
        elif geometry not in known and not self._is_possible(geometry):
            problem = "geometry: the picture does not lie on the canvas"
        if problem:
            raise UserError(damaged(self.data_dir, f"images.{number}.{problem}"))
        return record

    def _is_possible(self, geometry: Geometry | VolumeGeometry) -> bool:
        size, dims = self.manifest.size, self.manifest.dims
        if isinstance(geometry, VolumeGeometry):
            return dims == 3 and geometry.is_possible and all(a <= b for a, b in zip(geometry.shape, size, strict=True))
        return geometry.canvas == size and geometry.is_possible

    def require_unseen(self, weights: Path, seen: np.ndarray, allowed: bool, *names: str) -> dict[str, int]:
        """Count the pictures of splits that weights were trained on.

        A picture that Train of these data holds too, as published sets do, does not count: the report of the
        preparation names it.

        Args:
            weights: named in the error.
            seen: what they were trained on (`core.headers.seen`).
            allowed: count, but do not refuse.
            names: the splits that are to be unseen.

        Raises:
            UserError: there are such pictures, and that is not allowed.
        """
        if not self._contents:
            self.records()
        known = {name: named(united(self._contents[name])) for name in SPLITS}
        found = {
            name: int(np.isin(np.setdiff1d(known[name], known["Train"]), seen, assume_unique=True).sum())
            for name in names
        }
        if any(found.values()) and not allowed:
            counts = " and ".join(f"{count} of {name}" for name, count in found.items() if count)
            raise UserError(
                f"{weights} was trained on pictures that {self.data_dir} holds out ({counts}), so scores on them would "
                "flatter: prepare the data of both phases with one division (the same --seed, ratios or lists), train "
                "phase 1 on these data, or give --allow_seen to go on, which the results then say"
            )
        return found

    def require_apart(self, split: Described, indices: np.ndarray, allowed: bool) -> None:
        """See that none of these pictures of Train lies in Val or Test as well, by its content.

        Args:
            split: Train, opened from these data.
            indices: [P] those that are learned from.
            allowed: do not refuse.

        Raises:
            UserError: one is, and that is not allowed.
        """
        for other in ("Val", "Test"):
            found = np.isin(split.contents[indices], named(self._contents[other]))
            if found.any() and not allowed:
                raise UserError(
                    f"{self.data_dir}: {split.names[indices[found.argmax()]]} of {split.name} is the same picture as "
                    f"one of {other} ({found.sum()} are), so scores there would flatter: prepare_report.json names "
                    "them; prepare the data with copies in one split, learn from other pictures, or give --allow_seen "
                    "to go on"
                )


def open_data(data_dir: Path, cache_dir: Path | None = None) -> Data:
    """Open a processed folder.

    Args:
        data_dir: the folder.
        cache_dir: where arrays go if they cannot be written beside the pictures; None: the user's cache.

    Raises:
        UserError: it holds no prepared data, or its manifest is not one that this version reads.
    """
    return Data(data_dir, read_manifest(data_dir), cache_dir)


def _record(checked: RecordContent, shared: dict[Any, Any]) -> Record:
    """Return a record with the one copy of what it has in common with those before, which `shared` holds."""
    classes = tuple(checked.classes)
    return Record(
        name=checked.name,
        tags={name: shared.setdefault(value, value) for name, value in checked.tags.items()},
        classes=shared.setdefault(classes, classes),
        labelled=checked.labelled,
        geometry=shared.setdefault(checked.geometry, checked.geometry),
        content=checked.content,
        sha256=checked.sha256,
    )

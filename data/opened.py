"""Prepared data as commands open them: the head of the manifest once, its records once for all splits asked for."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.classes import ClassSet
from core.errors import UserError
from core.seen import of_contents, united
from data.geometry import Geometry
from data.manifest import SPLITS, Manifest, Record, read_manifest, read_records
from data.split import Split, make_split


@dataclass(frozen=True)
class Data:
    """A processed folder, and what its manifest says of all pictures together; `open_data` makes it."""

    data_dir: Path
    manifest: Manifest
    _contents: dict[str, np.ndarray] = field(default_factory=dict, compare=False)

    @property
    def class_set(self) -> ClassSet:
        """What the labels mean."""
        return self.manifest.class_set

    @property
    def fingerprint(self) -> str:
        """SHA-256 over settings and contents, which runs and results name their data by."""
        return self.manifest.fingerprint

    def split(self, name: str) -> Split:
        """Open Train, Val or Test; see `splits`."""
        (split,) = self.splits(name)
        return split

    def splits(self, *names: str) -> tuple[Split, ...]:
        """Open splits in one pass over the records; their arrays are built at the first call.

        Raises:
            UserError: a split is unknown or empty, or a file in it is missing or not as written.
        """
        records = self.records(*names)
        return tuple(make_split(self.data_dir, self.manifest, name, records[name]) for name in names)

    def records(self, *names: str) -> dict[str, list[Record]]:
        """Return for each of these splits what the manifest says of its pictures, sorted by name.

        The manifest is read picture by picture: of other splits nothing is kept, and what pictures have in common is
        kept once.

        Raises:
            UserError: a split is unknown, or the manifest is cut or damaged.
        """
        if unknown := [name for name in names if name not in SPLITS]:
            raise UserError(f"unknown split {unknown[0]!r}: use {', '.join(SPLITS)}")
        shared: dict[Any, Any] = {}
        found: dict[str, list[Record]] = {name: [] for name in names}
        contents: dict[str, list[str]] = {name: [] for name in SPLITS}
        for content in read_records(self.data_dir):
            record, split = _record(content, shared), content["split"]
            contents[split].append(record.content)
            if split in found:
                found[split].append(record)
        self._contents.update({split: of_contents(texts) for split, texts in contents.items()})
        return {name: sorted(records, key=lambda record: record.name) for name, records in found.items()}

    def require_unseen(self, weights: Path, seen: np.ndarray, allowed: bool, *names: str) -> dict[str, int]:
        """Count the pictures of splits that weights were trained on.

        A picture that Train of these data holds too, as published sets do, does not count: the report of the
        preparation names it.

        Args:
            weights: named in the error.
            seen: what they were trained on (`core.seen`).
            allowed: count, but do not refuse.
            names: the splits that are to be unseen.

        Raises:
            UserError: there are such pictures, and that is not allowed.
        """
        if not self._contents:
            self.records()
        known = {name: united(self._contents[name]) for name in SPLITS}
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


def open_data(data_dir: Path) -> Data:
    """Open a processed folder.

    Raises:
        UserError: it holds no prepared data, or its manifest is not one that this version reads.
    """
    return Data(data_dir, read_manifest(data_dir))


def _record(content: dict[str, Any], shared: dict[Any, Any]) -> Record:
    """Return a record with the one copy of what it has in common with those before, which `shared` holds."""
    geometry, classes = Geometry(**content["geometry"]), tuple(content["classes"])
    return Record(
        name=content["name"],
        tags={name: shared.setdefault(value, value) for name, value in content["tags"].items()},
        classes=shared.setdefault(classes, classes),
        labelled=content["labelled"],
        geometry=shared.setdefault(geometry, geometry),
        content=content.get("content", ""),
    )

"""Prepared data as commands open them: the head of the manifest once, its records once for all splits asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.classes import ClassSet
from core.errors import UserError
from data.geometry import Geometry
from data.manifest import SPLITS, Manifest, Record, read_manifest, read_records
from data.split import Split, make_split


@dataclass(frozen=True)
class Data:
    """A processed folder, and what its manifest says of all pictures together; `open_data` makes it."""

    data_dir: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """What people call the data."""
        own = self.manifest.dataset == "folder"
        return f"own pictures ({self.data_dir.resolve().name})" if own else self.manifest.dataset

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
        for record in read_records(self.data_dir):
            if record["split"] in found:
                found[record["split"]].append(_record(record, shared))
        return {name: sorted(records, key=lambda record: record.name) for name, records in found.items()}


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
    )

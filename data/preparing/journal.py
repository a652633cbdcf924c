"""The unfinished folder of a preparation: a line for each finished image, so that an interrupted call goes on."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

from core.errors import UserError
from core.files import write_json
from data.manifest import SPLITS, image_path, label_path, truth_path
from data.on_disk import temporary_database
from data.preparing.processing import Outcome
from data.sources.source import Sample, Samples

_INDEX = """CREATE TABLE entries (
    name TEXT PRIMARY KEY, key TEXT, place INTEGER, split TEXT, labelled INTEGER, noted INTEGER, kept INTEGER DEFAULT 0
) WITHOUT ROWID"""


class Journal:
    """Finished images in a folder that is still being written.

    An image counts as finished once its line stands here, which is after its files were written. A line holds for one
    version of the source's files: where they changed since, the image is done again. Lines stay in the file; only an
    index of them, itself on disk, says where each begins.
    """

    def __init__(self, root: Path, settings: dict[str, Any]) -> None:
        """Open or start the folder.

        Raises:
            UserError: the folder holds an unfinished preparation with other settings.
        """
        self.root = root
        self.path = root / "journal.jsonl"
        settings_path = root / "settings.json"
        if settings_path.exists():
            difference = differences(json.loads(settings_path.read_text(encoding="utf-8")), settings)
            if difference:
                raise UserError(f"{root} is an unfinished preparation with other settings ({difference}): delete it")
        else:
            write_json(settings_path, settings)
        self._index = temporary_database(_INDEX)
        self._read()
        self._file = self.path.open("ab")

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def is_finished(self, sample: Sample) -> bool:
        """Say whether the sample, as it is now, was finished by this call or an earlier one."""
        found = self._index.execute("SELECT key FROM entries WHERE name = ?", (sample.name,)).fetchone()
        return found is not None and found[0] == _key(sample)

    def count_finished(self, samples: Samples) -> int:
        """Return how many of the samples are finished."""
        fresh = self._index.execute("SELECT 1 FROM entries LIMIT 1").fetchone() is None
        return 0 if fresh else sum(map(self.is_finished, samples))

    def append(self, outcome: Outcome) -> None:
        """Note a finished image."""
        entry = {
            "key": _key(outcome.sample),
            "record": outcome.record,
            "digest": outcome.digest,
            "notes": outcome.notes,
        }
        self._note(entry, self._file.tell())
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()

    def keep(self, samples: Samples) -> int:
        """Choose the finished ones of these samples for the folder; returns how many those are."""
        for sample in samples:
            if self.is_finished(sample):
                self._index.execute("UPDATE entries SET kept = 1 WHERE name = ?", (sample.name,))
        return self._index.execute("SELECT count(*) FROM entries WHERE kept").fetchone()[0]

    def entries(self, noted: bool = False) -> Iterator[dict[str, Any]]:
        """Yield the entries kept (`record`, `digest`, `notes`) in the order of their names, or those with notes."""
        query = f"SELECT place FROM entries WHERE kept {'AND noted' if noted else ''} ORDER BY name"
        with self.path.open("rb") as lines:
            for (place,) in self._index.execute(query):
                lines.seek(place)
                yield json.loads(lines.readline())

    def counts(self, split: str) -> dict[str, int]:
        """Return how many pictures and labelled ones are kept in a split."""
        query = "SELECT count(*), coalesce(sum(labelled), 0) FROM entries WHERE kept AND split = ?"
        counts = self._index.execute(query, (split,)).fetchone()
        return dict(zip(("images", "labelled"), counts, strict=True))

    def held(self) -> tuple[dict[str, Counter[int]], list[str]]:
        """Return, for each split, by how many of its pictures kept each class is held; and the tags of all, sorted."""
        classes: dict[str, Counter[int]] = {split: Counter() for split in SPLITS}
        tags: set[str] = set()
        for entry in self.entries():
            classes[entry["record"]["split"]].update(entry["record"]["classes"])
            tags.update(entry["record"]["tags"])
        return classes, sorted(tags)

    def names(self, split: str) -> Iterator[str]:
        """Yield the names kept in a split, in their order."""
        rows = self._index.execute("SELECT name FROM entries WHERE kept AND split = ? ORDER BY name", (split,))
        return (name for (name,) in rows)

    def close_folder(self) -> None:
        """Remove what only the way here needed, and pictures that belong to no entry kept."""
        self._file.close()
        for split in SPLITS:
            for path in [path for path in _pictures(self.root / split) if not self._belongs(split, path)]:
                path.unlink()
        self.path.unlink()
        (self.root / "settings.json").unlink()

    def _belongs(self, split: str, path: Path) -> bool:
        _, *parts = path.relative_to(self.root / split).parts
        name = "/".join(parts).removesuffix(".png")
        query = "SELECT labelled FROM entries WHERE kept AND split = ? AND name = ?"
        found = self._index.execute(query, (split, name)).fetchone()
        if found is None:
            return False
        of_mask = label_path(self.root, split, name), truth_path(self.root, split, name)
        return path == image_path(self.root, split, name) or (bool(found[0]) and path in of_mask)

    def _note(self, entry: dict[str, Any], place: int) -> None:
        record = entry["record"]
        row = *(record[field] for field in ("name", "split", "labelled")), entry["key"], bool(entry["notes"])
        columns = "name, split, labelled, key, noted, place"
        self._index.execute(f"REPLACE INTO entries ({columns}) VALUES (?, ?, ?, ?, ?, ?)", (*row, place))

    def _read(self) -> None:
        if not self.path.exists():
            return
        whole = 0
        with self.path.open("rb") as lines:
            for line in lines:
                try:
                    entry = json.loads(line)
                except ValueError:
                    break
                if not line.endswith(b"\n"):
                    break
                self._note(entry, whole)
                whole += len(line)
        os.truncate(self.path, whole)  # what a kill cut off


def differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Name the settings that differ, as "size 128, now 256"; empty when none do."""
    changed = [key for key in now if before.get(key) != now[key]]
    return ", ".join(f"{key} {_shown(key, before.get(key))}, now {_shown(key, now[key])}" for key in changed)


def _shown(key: str, value: Any) -> Any:
    """Return a setting as it is written on the command line."""
    if key == "size" and isinstance(value, list):
        height, width = value
        return height if height == width else f"{height}x{width}"
    return value


def _pictures(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder that are or were to become a PNG."""
    if not folder.exists():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _pictures(Path(entry.path))
            elif ".png" in entry.name:
                yield Path(entry.path)


def _key(sample: Sample) -> str:
    text = json.dumps([sample.split, dict(sample.tags), sample.label is not None, *sample.stamp], sort_keys=True)
    return sha256(text.encode()).hexdigest()[:16]

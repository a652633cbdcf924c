"""The unfinished folder of a preparation: a line for each finished image, so that an interrupted call goes on."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

from pydantic import AfterValidator, TypeAdapter

from core.files import open_bytes, write_json
from core.filing.json_file import parse_json
from data.manifest import PLACES, SPLITS, RecordContent
from data.on_disk import temporary_database
from data.preparing.inputs import Row
from data.preparing.looks import Look
from data.preparing.place import JOURNAL, SETTINGS
from data.preparing.processing import Outcome
from data.sources.source import Sample, Samples

_VERSION = 3  # of what a line holds: those of before are done again
_INDEX = """CREATE TABLE entries (
    name TEXT PRIMARY KEY, key TEXT, place INTEGER, split TEXT, labelled INTEGER, noted INTEGER, kept INTEGER DEFAULT 0
) WITHOUT ROWID"""


def _as_look(text: str) -> str:
    Look.of_text(text)
    return text


@dataclass(frozen=True)
class _Entry:
    """What a line says; `check` is of all the rest."""

    check: str
    key: str
    record: RecordContent
    digest: str
    notes: list[tuple[str, str, str]]
    pixels: list[int]
    look: Annotated[str, AfterValidator(_as_look)]
    inputs: list[list[Any]]


_ENTRY = TypeAdapter(_Entry)


class Journal:
    """Finished images in a folder that is still being written.

    An image counts as finished once its line stands here, which is after its files were written. A line holds for one
    version of the source's files: where they changed since, the image is done again. Lines stay in the file; only an
    index of them, itself on disk, says where each begins.
    """

    def __init__(self, root: Path, settings: dict[str, Any], dims: int = 2) -> None:
        """Open or start the folder; what was left with other settings is cleared before, by `place.clear_abandoned`."""
        self.root, self._places = root, PLACES[dims]
        self.path = root / JOURNAL
        write_json(root / SETTINGS, settings)
        self._index = temporary_database(_INDEX)
        self._resumed = False
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
        assert outcome.look is not None, "a record has a look"
        entry = {
            "key": _key(outcome.sample),
            "record": outcome.record,
            "digest": outcome.digest,
            "notes": outcome.notes,
            "pixels": outcome.pixels,
            "look": outcome.look.text(),
            "inputs": outcome.inputs,
        }
        entry["check"] = _check(entry)
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
        """Yield the entries kept in the order of their names, or those with notes.

        Each has `record`, with the split where the picture lies by now, `digest`, `pixels`, `look`, `inputs` and
        `notes`.
        """
        query = f"SELECT place, split FROM entries WHERE kept {'AND noted' if noted else ''} ORDER BY name"
        with open_bytes(self.path) as lines:
            for place, split in self._index.execute(query):
                lines.seek(place)
                entry = parse_json(lines.readline(), str(self.path))
                entry["record"]["split"] = split
                yield {**entry, "look": Look.of_text(entry["look"])}

    def move(self, splits: Mapping[str, str]) -> None:
        """Let pictures lie in these splits; their files follow, those too that an earlier call had moved elsewhere."""
        if not splits and not self._resumed:
            return
        for name, split in splits.items():
            self._index.execute("UPDATE entries SET split = ? WHERE name = ?", (split, name))
        for split in SPLITS:
            for name in list(self.names(split)):
                self._fetch(name, split)

    def leave_out(self, names: Sequence[str]) -> list[Row]:
        """Take pictures out of the folder, whose files `close_folder` removes; returns what they were read from."""
        if not names:
            return []
        gone = set(names)
        rows = [row for entry in self.entries() if entry["record"]["name"] in gone for row in entry["inputs"]]
        self._index.executemany("UPDATE entries SET kept = 0 WHERE name = ?", [(name,) for name in names])
        return rows

    def _fetch(self, name: str, split: str) -> None:
        for other in SPLITS:
            for place in self._places.paths:
                path = place(self.root, other, name)
                if other != split and path.exists():
                    (target := place(self.root, split, name)).parent.mkdir(parents=True, exist_ok=True)
                    if not target.exists():
                        path.replace(target)

    def counts(self, split: str) -> dict[str, int]:
        """Return how many pictures and labelled ones are kept in a split."""
        query = "SELECT count(*), coalesce(sum(labelled), 0) FROM entries WHERE kept AND split = ?"
        counts = self._index.execute(query, (split,)).fetchone()
        return dict(zip(("images", "labelled"), counts, strict=True))

    def held(self) -> tuple[dict[str, Counter[int]], dict[str, Counter[int]], list[str]]:
        """Return, for each split, by how many of its pictures kept and by how many of their pixels each class is held;
        and the tags of all, sorted.
        """
        pictures, pixels = ({split: Counter[int]() for split in SPLITS} for _ in range(2))
        tags: set[str] = set()
        for entry in self.entries():
            split = entry["record"]["split"]
            pictures[split].update(entry["record"]["classes"])
            pixels[split].update(dict(enumerate(entry["pixels"])))
            tags.update(entry["record"]["tags"])
        return pictures, pixels, sorted(tags)

    def names(self, split: str) -> Iterator[str]:
        """Yield the names kept in a split, in their order."""
        rows = self._index.execute("SELECT name FROM entries WHERE kept AND split = ? ORDER BY name", (split,))
        return (name for (name,) in rows)

    def close_folder(self) -> None:
        """Remove what only the way here needed, and pictures that belong to no entry kept."""
        self._file.close()
        for split in SPLITS:
            for path in [
                path for path in _pictures(self.root / split, self._places.suffix) if not self._belongs(split, path)
            ]:
                path.unlink()
        self.path.unlink()
        (self.root / SETTINGS).unlink()

    def _belongs(self, split: str, path: Path) -> bool:
        _, *parts = path.relative_to(self.root / split).parts
        name = "/".join(parts).removesuffix(self._places.suffix)
        query = "SELECT labelled FROM entries WHERE kept AND split = ? AND name = ?"
        found = self._index.execute(query, (split, name)).fetchone()
        if found is None:
            return False
        image, *of_mask = (place(self.root, split, name) for place in self._places.paths)
        return path == image or (bool(found[0]) and path in of_mask)

    def _note(self, entry: dict[str, Any], place: int) -> None:
        record = entry["record"]
        row = *(record[field] for field in ("name", "split", "labelled")), entry["key"], bool(entry["notes"])
        columns = "name, split, labelled, key, noted, place"
        self._index.execute(f"REPLACE INTO entries ({columns}) VALUES (?, ?, ?, ?, ?, ?)", (*row, place))

    def _read(self) -> None:
        if not self.path.exists():
            return
        whole = 0
        with open_bytes(self.path) as lines:
            for line in lines:
                entry = _entry_of(line)
                if entry is None:
                    break
                self._note(entry, whole)
                whole += len(line)
        self._resumed = whole > 0
        os.truncate(self.path, whole)  # what a kill cut off


def _entry_of(line: bytes) -> dict[str, Any] | None:
    """Return what a line of the journal says; None where it was cut off or altered."""
    try:
        entry = parse_json(line, JOURNAL)
        check = _ENTRY.validate_python(entry).check
    except ValueError:
        return None
    return entry if line.endswith(b"\n") and check == _check(entry) else None


def _check(entry: Mapping[str, Any]) -> str:
    """Return a digest of what a line says."""
    said = {name: value for name, value in entry.items() if name != "check"}
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _pictures(folder: Path, suffix: str) -> Iterator[Path]:
    """Yield all files below a folder that are or were to become one with this suffix."""
    if not folder.exists():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _pictures(Path(entry.path), suffix)
            elif suffix in entry.name:
                yield Path(entry.path)


def _key(sample: Sample) -> str:
    text = json.dumps(
        [_VERSION, sample.split, dict(sample.tags), sample.label is not None, *sample.stamp], sort_keys=True
    )
    return sha256(text.encode()).hexdigest()[:16]

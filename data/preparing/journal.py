"""The unfinished folder of a preparation: a line for each finished image, so that an interrupted call goes on."""

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

from pydantic import AfterValidator, TypeAdapter

from core.errors import UserError
from core.files import open_bytes, write_json
from core.filing.json_file import parse_json, read_json
from core.filing.writing import LOCK
from data.manifest import ARRAYS, SPLITS, RecordContent, image_path, label_path, truth_path
from data.on_disk import temporary_database
from data.preparing.inputs import INPUTS
from data.preparing.looks import Look
from data.preparing.processing import Outcome
from data.sources.source import Sample, Samples

_VERSION = 2  # of what a line holds: those of before are done again
_JOURNAL, _SETTINGS = "journal.jsonl", "settings.json"
_FILES = (_JOURNAL, _SETTINGS, INPUTS, "classes.yaml", "splits.json", "prepare_report.json", "manifest.json")
_INDEX = """CREATE TABLE entries (
    name TEXT PRIMARY KEY, key TEXT, place INTEGER, split TEXT, labelled INTEGER, noted INTEGER, kept INTEGER DEFAULT 0
) WITHOUT ROWID"""


def _as_look(text: str) -> str:
    Look.of_text(text)
    return text


@dataclass(frozen=True)
class _Entry:
    """What a line says."""

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

    def __init__(self, root: Path, settings: dict[str, Any]) -> None:
        """Open or start the folder; what was left with other settings is cleared before, by `clear_abandoned`."""
        self.root = root
        self.path = root / _JOURNAL
        write_json(root / _SETTINGS, settings)
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

    def _fetch(self, name: str, split: str) -> None:
        for other in SPLITS:
            for place in (image_path, label_path, truth_path):
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
            for path in [path for path in _pictures(self.root / split) if not self._belongs(split, path)]:
                path.unlink()
        self.path.unlink()
        (self.root / _SETTINGS).unlink()

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
        entry = parse_json(line, _JOURNAL)
        _ENTRY.validate_python(entry)
    except ValueError:
        return None
    return entry if line.endswith(b"\n") else None


def require_ours(root: Path) -> None:
    """See that a folder is not there, or holds nothing but what an unfinished preparation leaves.

    Raises:
        UserError: it is or holds something else, which is not touched.
    """
    if not root.exists() and not root.is_symlink():
        return
    if root.is_symlink() or not root.is_dir():
        raise UserError(f"{root} is no folder: move it away")
    names = {path.name for path in root.iterdir()}
    foreign = sorted(name for name in names if not is_of_preparation(name))
    if foreign or (not names <= {LOCK} and _settings_of(root) is None):
        held = (foreign or sorted(names))[0]
        raise UserError(f"{root} holds {held}, which is of no unfinished preparation: move the folder away")


def clear_abandoned(root: Path, settings: dict[str, Any]) -> str:
    """Empty a folder that a preparation with other settings left, but for its lock; returns the difference, "" else."""
    before = _settings_of(root)
    difference = differences(before, settings) if before is not None else ""
    for path in list(root.iterdir()) if difference else ():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()
    return difference


def _settings_of(root: Path) -> dict[str, Any] | None:
    try:
        settings = read_json(root / _SETTINGS)
    except (OSError, UserError):
        return None
    return settings if isinstance(settings, dict) and "dataset" in settings else None


def is_of_preparation(name: str) -> bool:
    """Say whether a file or folder of this name is one that a preparation leaves at its top."""
    temporary = re.fullmatch(r"\.(.+)\.\d+\.tmp", name)  # of `write_json`
    return (temporary[1] if temporary else name) in (*_FILES, *SPLITS, ARRAYS, LOCK)


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
    text = json.dumps(
        [_VERSION, sample.split, dict(sample.tags), sample.label is not None, *sample.stamp], sort_keys=True
    )
    return sha256(text.encode()).hexdigest()[:16]

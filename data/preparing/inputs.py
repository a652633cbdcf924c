"""What a preparation read, file by file: content decides whether it is still the same, times only spare a look."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter

from core.files import file_sha256, write_json
from core.filing.json_file import read_json
from data.sources.fetching.download import file_md5
from data.sources.source import Sample

INPUTS = "inputs.json"
Row = list[Any]  # sample, which of its files, file, what was decided of the sample, stamp, SHA-256
Stamp = tuple[int, int, int]


def stamp_of(path: Path) -> Stamp:
    """Return size and times of a file: where they are the same, its content is taken to be."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


@lru_cache(maxsize=64)
def _digest(path: Path, stamp: Stamp) -> str:
    """Return the SHA-256 of a file; slices of one volume ask for it one after the other."""
    return file_sha256(path)


def rows_of(sample: Sample) -> list[Row]:
    """Return a row for each file of a sample."""
    rows: list[Row] = []
    for place, path in enumerate(sample.files):
        stamp = stamp_of(path)
        rows.append([sample.name, place, str(path), decided(sample), list(stamp), _digest(path, stamp)])
    return rows


def decided(sample: Sample) -> str:
    """Return a digest of what lists say of a sample: its split, its tags, whether it has a mask."""
    what = [sample.split, dict(sample.tags), sample.label is not None]
    return sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:8]


def write_inputs(root: Path, rows: Iterable[Row], folder: Path | None, archives: dict[str, dict[str, Any]]) -> None:
    """Write what was read; of archives, which lie in `folder`, their stamps and the MD5 that the manifest has."""
    known = {
        name: [list(stamp_of(folder / name)), found["md5"]]
        for name, found in archives.items()
        if folder is not None and (folder / name).is_file()
    }
    write_json(root / INPUTS, {"archives": known, "files": iter(rows)})


@dataclass(frozen=True)
class _Content:
    archives: dict[str, tuple[Stamp, str]]
    files: list[tuple[str, int, str, str, Stamp, str]]


class Inputs:
    """What was read for data that were prepared before, to be compared with what is there now."""

    def __init__(self, output: Path) -> None:
        """Raises ValueError for a file that is not as written."""
        self._content = TypeAdapter(_Content).validate_python(read_json(output / INPUTS))

    def lacks(self, names: Iterable[str]) -> bool:
        """Say whether there is no file of one of these pictures."""
        known = {name for name, *_ in self._content.files}
        return not known.issuperset(names)

    def changed_archive(self, folder: Path | None, official: Iterable[str]) -> str | None:
        """Return what archive is not as it was, in words; None if all are.

        Args:
            folder: where they lie; None: they were fetched, and are not compared.
            official: names of those that would be read if they were there.
        """
        if folder is None:
            return None
        for name, (stamp, md5) in self._content.archives.items():
            path = folder / name
            if not path.is_file():
                return f"{path} went"
            if stamp_of(path) != stamp and file_md5(path) != md5:
                return f"{path} changed"
        came = (folder / name for name in official if name not in self._content.archives)
        return next((f"{path} came" for path in came if path.is_file()), None)

    def changed_file(self, samples: Iterable[tuple[str, tuple[Path, ...], str | None]], complete: bool) -> str | None:
        """Return what is another file now, in words; None if all are as they were.

        Args:
            samples: name, files and `decided` (None: not known) of each sample as it is now.
            complete: whether those alone are named that would be prepared; else new names do not count.
        """
        left: dict[str, list[tuple[str, str, Stamp, str]]] = {}
        for name, _, *row in self._content.files:
            left.setdefault(name, []).append(cast("tuple[str, str, Stamp, str]", tuple(row)))
        for name, files, now in samples:
            before = left.pop(name, [])
            if (before or complete) and (changed := _changed(name, files, now, before)):
                return changed
        return next((f"{rows[0][0]} went" for rows in left.values()), None)


def _changed(
    name: str, files: Sequence[Path], now: str | None, before: Sequence[tuple[str, str, Stamp, str]]
) -> str | None:
    if len(files) > len(before):
        return f"{files[len(before)]} came"
    if len(files) < len(before):
        return f"{before[len(files)][0]} went"
    for path, (_, was, stamp, digest) in zip(files, before, strict=True):
        if now not in (None, was):
            return f"the lists said otherwise of {name}"
        if stamp_of(path) != stamp and _digest(path, stamp_of(path)) != digest:
            return f"{path} changed"
    return None


def files_now(samples: Iterable[Sample]) -> Iterator[tuple[str, tuple[Path, ...], str | None]]:
    """Yield of samples what `Inputs.changed_file` compares."""
    return ((sample.name, sample.files, decided(sample)) for sample in samples)

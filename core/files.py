"""Files that appear whole or not at all, and are opened only where there is something to read."""

import csv
import io
import itertools
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, TextIO

from core.errors import UserError
from core.filing.paths import readable

_LONGEST_KEPT = 100  # bytes of a name that its temporary one repeats; disks take from 143 on
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


class NotAFileError(UserError):
    """What is to be read is a pipe, a socket, a device or a folder; `reason` says which, without its name."""

    def __init__(self, path: Path, kind: str) -> None:
        self.reason = f"not a regular file but {kind}"
        super().__init__(f"{path} is {self.reason}: give a file")


def require_regular(path: Path) -> None:
    """See that a path, or what it links to, is a regular file: a pipe would be waited for for ever.

    Raises:
        NotAFileError: it is none.
        OSError: it is not there, or cannot be looked at.
    """
    kind = stat.S_IFMT(path.stat().st_mode)
    if kind != stat.S_IFREG:
        raise NotAFileError(path, _KINDS.get(kind, "something else"))


def open_bytes(path: Path) -> io.BufferedReader:
    """Open a regular file to read its bytes: what every opening of a file goes through. Raises as `require_regular`."""
    require_regular(path)
    return path.open("rb")


def open_text(path: Path, encoding: str = "utf-8", errors: str = "strict", newline: str | None = None) -> TextIO:
    """Open a regular file to read its text. Raises as `require_regular`."""
    return io.TextIOWrapper(open_bytes(path), encoding, errors, newline)


def read_bytes(path: Path) -> bytes:
    """Return what a regular file holds. Raises as `require_regular`."""
    with open_bytes(path) as file:
        return file.read()


def read_text(path: Path, encoding: str = "utf-8", errors: str = "strict") -> str:
    """Return the text of a regular file. Raises as `require_regular`; UnicodeDecodeError where it is none."""
    with open_text(path, encoding, errors) as file:
        return file.read()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; it is renamed to `path` when the block ends well, and removed otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_beside(path: Path) -> Path:
    """Return where a file may lie until it is whole: hidden, and with no longer a name than a disk takes."""
    name = path.name
    if len(os.fsencode(name)) > _LONGEST_KEPT:
        name = sha256(os.fsencode(name)).hexdigest()[:16] + path.suffix[:16]
    return path.with_name(f".{name}.{os.getpid()}.tmp")


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON, whole or not at all. Raises ValueError for NaN, which JSON does not know.

    Values of a dictionary that are iterators are written as lists, item by item, so that they need not be in memory.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        streamed = isinstance(content, dict) and any(isinstance(value, Iterator) for value in content.values())
        file.writelines(_members(content) if streamed else _JSON.iterencode(content))
        file.write("\n")


_JSON = json.JSONEncoder(indent=2, allow_nan=False)


def _members(content: dict[str, Any]) -> Iterator[str]:
    separator = "{"
    for key, value in content.items():
        yield f"{separator}\n  {json.dumps(key)}: "
        separator = ","
        if isinstance(value, Iterator):
            yield from _items(value)
        else:
            yield from (piece.replace("\n", "\n  ") for piece in _JSON.iterencode(value))
    yield "\n}"


def _items(values: Iterator[Any]) -> Iterator[str]:
    separator = "["
    for value in values:
        # No line ends within JSON's texts: those are escaped.
        indented = _JSON.encode(value).replace("\n", "\n    ")
        yield f"{separator}\n    {indented}"
        separator = ","
    yield "[]" if separator == "[" else "\n  ]"


def write_csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write these columns of rows as CSV, whole or not at all; None becomes an empty cell.

    What a spreadsheet would take for a formula is made text (`csv_text`), in heads too; numbers stay numbers.
    """
    text = io.StringIO()
    plain = csv.writer(text, lineterminator="\n")
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for cells in itertools.chain([columns], ([row.get(column) for column in columns] for row in rows)):
        # A carriage return ends a row for those who read, and Python does not quote it by itself.
        writer = quoted if any(isinstance(cell, str) and "\r" in cell for cell in cells) else plain
        writer.writerow(map(csv_text, cells))
    with atomic_path(path) as temporary:
        temporary.write_text(readable(text.getvalue()), encoding="utf-8")


def csv_text(value: Any) -> Any:
    """Return what stands in a CSV cell: text that a spreadsheet would take for a formula gets a ' before it."""
    return f"'{value}" if isinstance(value, str) and value[:1] in _FORMULA else value


_FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    digest = sha256()
    with open_bytes(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()

"""What a command leaves beside its results, so that the same command again sees at once that nothing is left to do.

A seal says what results were made from (settings, what was read, the code, the libraries) and what their files hold, in
digests. Where any of that differs, or a file is missing or was altered, there is no earlier result: the command begins
as if there were none. What computed is not part of it: results say that themselves.
"""

import dataclasses
import json
import os
from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import file_sha256, write_json
from core.filing.json_file import read_json
from core.run.provenance import code_sha256, installed


@dataclass(frozen=True)
class Seal:
    """The seal of what a command is about to make.

    Attributes:
        folder: where the results go.
        command: whose they are; or the file, where that is all there is.
        made_from: all that decides what the results are, as JSON has it.
    """

    folder: Path
    command: str
    made_from: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Of its file."""
        return f".{self.command}.done"

    def said(self) -> str | None:
        """Return what was said of the results that an earlier call left, if they are what this one would make."""
        try:
            earlier = read_json(self.folder / self.name)
        except (OSError, UserError):
            return None
        if not isinstance(earlier, dict) or earlier.get("made_from") != self.made_from:
            return None
        said, files = earlier.get("said"), earlier.get("files")
        if not isinstance(said, str) or not isinstance(files, dict) or not files:
            return None
        whole = all(digest is not None and _digest(self.folder / name) == digest for name, digest in files.items())
        return said if whole else None

    def write(self, said: str, files: Iterable[Path], root: Path | None = None) -> None:
        """Note that the results are there; where that cannot be written the next call begins anew.

        Args:
            said: what the same command says when it is called again.
            files: those of the results.
            root: the folder that they lie in now, for the seal to lie there too; None: `folder`.
        """
        root = root or self.folder
        digests = {path.relative_to(root).as_posix(): _digest(path) for path in sorted(files)}
        with suppress(OSError):
            write_json(root / self.name, {"made_from": self.made_from, "files": digests, "said": said})


def seal_of(
    folder: Path, command: str, config: Any, read: Mapping[str, Path | None], apart: Container[str] = (), **more: Any
) -> Seal:
    """Return the seal of what a command is about to make; what it reads, the code too, is looked at now.

    Args:
        folder: where the results go.
        command: as of `Seal`.
        config: the settings.
        read: files whose content decides what the results are, by what they are; None where there is none.
        apart: settings that have no say.
        more: what else decides, as JSON values.
    """
    settings = {name: value for name, value in dataclasses.asdict(config).items() if name not in apart}
    digests = {name: path and _digest(path) for name, path in read.items()}
    made_from = {"settings": settings, "read": digests, **more, "code": code_sha256(), "libraries": installed()}
    return Seal(folder, command, json.loads(json.dumps(made_from, default=str)))


def files_in(folder: Path) -> list[Path]:
    """Return all files in a folder, at any depth."""
    return [path for path in folder.rglob("*") if path.is_file()]


def stamp_of(folder: Path) -> str:
    """Return a digest of the names, sizes and times of all files in a folder: edits show there unread."""
    found = sha256()
    for path in sorted(files_in(folder)):
        known = path.stat()
        found.update(os.fsencode(path.relative_to(folder)) + f"\0{known.st_size}\0{known.st_mtime_ns}\0".encode())
    return found.hexdigest()


def _digest(path: Path) -> str | None:
    """Return the SHA-256 of a file, None where there is none that can be read."""
    try:
        return file_sha256(path)
    except (OSError, UserError, ValueError):  # ValueError: a name that no file can have
        return None

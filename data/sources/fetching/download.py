"""Fetching files: resumed where an earlier call stopped, whole when their official checksum says so."""

import errno
import hashlib
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Literal

from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from core.errors import UserError
from core.files import open_bytes, require_regular
from core.terminal.progress import Clock
from core.terminal.screen import say, screen
from data.sources.fetching.connection import connect

MAX_DOWNLOAD_BYTES = 4_000_000_000  # of a file that says no limit of its own
LOCK = ".download.lock"  # in the folder that archives are fetched and unpacked into
_BLOCK = 1 << 20
_REQUESTS = 10  # of one call; servers that say too small a length are asked again for what follows


@dataclass(frozen=True)
class Download:
    """A file that may be fetched.

    Attributes:
        address: whose last part is the file's name.
        checksum: that its publisher states, hexadecimal.
        algorithm: of the checksum.
        limit: bytes that it has at most.
    """

    address: str
    checksum: str
    algorithm: Literal["md5", "sha256"] = "md5"
    limit: int = MAX_DOWNLOAD_BYTES

    @property
    def name(self) -> str:
        """The file's name."""
        return self.address.rpartition("/")[2]

    def is_at(self, path: Path) -> bool:
        """Return whether the file at `path` is this one."""
        return _checksum(path, self.algorithm) == self.checksum


def file_md5(path: Path) -> str:
    """Return the MD5 of a file's bytes: what the manifest names archives by, no protection."""
    return _checksum(path, "md5")


def _checksum(path: Path, algorithm: str) -> str:
    with open_bytes(path) as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def download_all(files: Sequence[Download], folder: Path) -> None:
    """Fetch what a folder lacks of some files, after a look at the room on its disk.

    Raises:
        UserError: the disk has too little room, or as `download`.
    """
    if missing := [file for file in files if not (folder / file.name).exists()]:
        _require_room(missing, folder)
    for file in files:
        download(file, folder / file.name)


def _require_room(files: Sequence[Download], folder: Path) -> None:
    """Say how much is to be fetched, and see that it has room beside what it will be unpacked to.

    Raises:
        UserError: it has not, or a server cannot be reached.
    """
    sizes = [_said_size(file) for file in files]
    whole = sum(size or 0 for size in sizes)
    arrived = sum(min(_size(_part(folder / file.name)), size or 0) for file, size in zip(files, sizes, strict=True))
    at_least = "at least " if None in sizes else ""
    names = ", ".join(file.name for file in files)
    say(f"fetching {at_least}{decimal(whole - arrived)} into {folder}: {names}")
    # Pictures are compressed already: unpacked they take about as much again.
    needed, free = 2 * whole - arrived, shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder} has {decimal(free)} free, but the archives and what is in them take {at_least}"
            f"{decimal(needed)}: make room, or give --raw_dir on a larger disk"
        )


def _said_size(file: Download) -> int | None:
    """Return how many bytes a server says that a file has, no more than it may; None where it does not say."""
    try:
        with connect(urllib.request.Request(file.address, method="HEAD")) as response:
            length = _length(response)
    except urllib.error.HTTPError:  # asked for the file itself it may well answer
        return None
    except (OSError, HTTPException, ValueError) as error:
        raise UserError(f"{file.address} could not be fetched ({_reason(error)}); call again to go on") from None
    return None if length is None else min(length, file.limit)


def download(file: Download, path: Path) -> None:
    """Fetch a file to `path`; a part that an earlier call left in `path`.part is continued.

    The checksum alone says whether a file is whole: lengths that servers say may be false or missing.

    Raises:
        UserError: the network failed, the server ended early or is too slow (what arrived is kept), or what arrived is
            not the official file (and is deleted).
    """
    if path.exists():
        if not file.is_at(path):
            raise UserError(
                f"{path} is not the official file ({file.algorithm.upper()} differs): move it away to fetch it again"
            )
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path)
    for _ in range(_REQUESTS):
        try:
            ended = _fetch(file, part)
        except (OSError, HTTPException, ValueError) as error:
            ended = None
            if isinstance(error, UserError) or _is_of_the_disk(error):
                raise
            problem = _reason(error)
        if part.exists() and file.is_at(part):
            os.replace(part, path)
            return
        url = file.address
        if ended is None:
            raise UserError(f"{url} could not be fetched ({problem}); what arrived is kept, call again to go on")
        if ended:
            part.unlink(missing_ok=True)
            raise UserError(f"{url} arrived with another checksum than the official one and was deleted: call again")
    raise UserError(f"{url} comes in too many pieces; what arrived is kept, call again to go on")


def _fetch(file: Download, part: Path) -> bool:
    """Fetch what is missing behind `part`; returns whether the server has no more than is there now.

    Raises:
        UserError: it sends more than this file may have; what arrived is deleted.
        OSError, HTTPException, ValueError: the network or the server failed.
    """
    have = _size(part)
    request = urllib.request.Request(file.address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = connect(request)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing beyond what is here: the checksum will say whether it is right
            return True
        raise
    with response:
        start = _start(response, have)
        length = _length(response)
        arrived = _copy(response, part, start, length, file.limit)
    if length is not None and arrived < length:
        raise HTTPException(f"the connection ended after {start + arrived} of {start + length} bytes")
    if length is None and not start:
        raise HTTPException(f"the server ended after {arrived} bytes without saying how many there are")
    return have > 0 and (start < have or not arrived)


def _length(response: HTTPResponse) -> int | None:
    said = response.headers.get("Content-Length", "")
    return int(said) if said.isdecimal() and said.isascii() else None


def _start(response: HTTPResponse, have: int) -> int:
    """Return from which byte on a response goes: from the first, or from where it was asked to go on."""
    if response.status != 206:
        return 0
    said = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    start = int(said[1]) if said else have
    if start > have:
        raise HTTPException(f"the server left out bytes {have} to {start}")
    return start


def _copy(response: HTTPResponse, part: Path, start: int, length: int | None, limit: int) -> int:
    """Write a response to `part` from `start` on as it comes; returns how many bytes arrived."""
    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(), DownloadColumn(), TransferSpeedColumn(), Clock())
    arrived = 0
    with Progress(*columns, console=screen()) as progress, part.open("r+b" if start else "wb") as file:
        file.truncate(start)
        file.seek(start)
        task = progress.add_task(part.stem, total=start + length if length is not None else None, completed=start)
        while block := response.read1(_BLOCK):
            arrived += len(block)
            if start + arrived > limit:
                part.unlink()
                raise UserError(f"{part.stem} has more than {limit} bytes: it is not the official file")
            file.write(block)
            progress.advance(task, len(block))
    return arrived


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _size(part: Path) -> int:
    if not part.exists():
        return 0
    require_regular(part)
    return part.stat().st_size


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _is_of_the_disk(error: Exception) -> bool:
    if not isinstance(error, OSError) or isinstance(error, urllib.error.URLError):
        return False
    return bool(error.filename) or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO)

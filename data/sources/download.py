"""Fetching files: resumed where an earlier call stopped, whole when their official checksum says so."""

import errno
import hashlib
import os
import re
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from core.errors import UserError
from core.files import open_bytes, require_regular
from core.terminal.progress import Clock
from core.terminal.screen import screen

MAX_DOWNLOAD_BYTES = 4_000_000_000  # the largest that is fetched, VOC's, has 2 billion
_BLOCK = 1 << 20
_TIMEOUT_SECONDS = 60  # without a byte
_REQUESTS = 10  # of one call; servers that say too small a length are asked again for what follows


PETS_URL = "https://thor.robots.ox.ac.uk/pets/"
PETS_MD5 = {
    "images.tar.gz": "5c4f3ee8e5d25df40f4fd59a7f44e54c",
    "annotations.tar.gz": "95a8c909bbe2e81eed6a22bccdf3f68f",
}


def file_md5(path: Path) -> str:
    """Return the MD5 of a file's bytes: the checksum that the data set's authors publish, no protection."""
    with open_bytes(path) as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def download(url: str, path: Path, md5: str) -> None:
    """Fetch `url` to `path`; a part that an earlier call left in `path`.part is continued.

    The checksum alone says whether a file is whole: lengths that servers say may be false or missing.

    Raises:
        UserError: the network failed or the server ended early (what arrived is kept), or what arrived is not the
            official file (and is deleted).
    """
    if path.exists():
        if file_md5(path) != md5:
            raise UserError(f"{path} is not the official file (MD5 differs): move it away to fetch it again")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    for _ in range(_REQUESTS):
        try:
            ended = _fetch(url, part)
        except (OSError, HTTPException, ValueError) as error:
            ended = None
            if isinstance(error, UserError) or _is_of_the_disk(error):
                raise
            problem = str(error) or type(error).__name__
        if part.exists() and file_md5(part) == md5:
            os.replace(part, path)
            return
        if ended is None:
            raise UserError(f"{url} could not be fetched ({problem}); what arrived is kept, call again to go on")
        if ended:
            part.unlink(missing_ok=True)
            raise UserError(f"{url} arrived with another checksum than the official one and was deleted: call again")
    raise UserError(f"{url} comes in too many pieces; what arrived is kept, call again to go on")


def _fetch(url: str, part: Path) -> bool:
    """Fetch what is missing behind `part`; returns whether the server has no more than is there now.

    Raises:
        UserError: it sends more than any file here may have; what arrived is deleted.
        OSError, HTTPException, ValueError: the network or the server failed.
    """
    have = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response: HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing beyond what is here: the checksum will say whether it is right
            return True
        raise
    with response:
        start = _start(response, have)
        said = response.headers.get("Content-Length", "")
        length = int(said) if said.isdecimal() and said.isascii() else None
        arrived = _copy(response, part, start, length)
    if length is not None and arrived < length:
        raise HTTPException(f"the connection ended after {start + arrived} of {start + length} bytes")
    if length is None and not start:
        raise HTTPException(f"the server ended after {arrived} bytes without saying how many there are")
    return have > 0 and (start < have or not arrived)


def _start(response: HTTPResponse, have: int) -> int:
    """Return from which byte on a response goes: from the first, or from where it was asked to go on."""
    if response.status != 206:
        return 0
    said = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    start = int(said[1]) if said else have
    if start > have:
        raise HTTPException(f"the server left out bytes {have} to {start}")
    return start


def _copy(response: HTTPResponse, part: Path, start: int, length: int | None) -> int:
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
            if start + arrived > MAX_DOWNLOAD_BYTES:
                part.unlink()
                raise UserError(f"{part.stem} has more than {MAX_DOWNLOAD_BYTES} bytes: it is not the official file")
            file.write(block)
            progress.advance(task, len(block))
    return arrived


def _size(part: Path) -> int:
    if not part.exists():
        return 0
    require_regular(part)
    return part.stat().st_size


def _is_of_the_disk(error: Exception) -> bool:
    if not isinstance(error, OSError) or isinstance(error, urllib.error.URLError):
        return False
    return bool(error.filename) or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO)

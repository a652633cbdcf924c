"""Fetching and unpacking archives: resumed downloads, official checksums, extraction that stays in its folder."""

import gzip
import hashlib
import os
import shutil
import sys
import tarfile
import urllib.error
import urllib.request
import zlib
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import open as open_with_progress

from core.errors import UserError

PETS_URL = "https://thor.robots.ox.ac.uk/pets/"
PETS_MD5 = {
    "images.tar.gz": "5c4f3ee8e5d25df40f4fd59a7f44e54c",
    "annotations.tar.gz": "95a8c909bbe2e81eed6a22bccdf3f68f",
}

# The official images are 800 MB in 7,400 files; an archive that declares far more is not what it says.
MAX_FILE_BYTES = 200_000_000
MAX_TOTAL_BYTES = 8_000_000_000
MAX_MEMBERS = 200_000

_BLOCK = 1 << 20
_TIMEOUT_SECONDS = 60


def file_md5(path: Path) -> str:
    """Return the MD5 of a file's bytes: the checksum that the data set's authors publish, no protection."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def download(url: str, path: Path, md5: str) -> None:
    """Fetch `url` to `path`; a part that an earlier call left in `path`.part is continued.

    Raises:
        UserError: the network failed (what arrived is kept), or what arrived has another checksum.
    """
    if path.exists():
        if file_md5(path) != md5:
            raise UserError(f"{path} is not the official file (MD5 differs): move it away to fetch it again")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        _fetch(url, part)
    except (OSError, HTTPException) as error:
        if isinstance(error, OSError) and error.filename and not isinstance(error, urllib.error.URLError):
            raise  # the disk's fault, not the network's
        raise UserError(f"{url} could not be fetched ({error}); what arrived is kept, call again to go on") from None
    if file_md5(part) != md5:
        part.unlink()
        raise UserError(f"{url} arrived with another checksum than the official one and was deleted: call again")
    os.replace(part, path)


def extract(archive: Path, folder: Path, top: str) -> Path:
    """Unpack the files below `top`/ of a .tar.gz into `folder`, once; they appear whole or not at all.

    Returns:
        folder / top.

    Raises:
        UserError: the archive is cut short, damaged, unsafe (absolute paths, `..`, links), or declares too much.
    """
    if folder.exists():
        return folder / top
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        _extract(archive, partial, top)
        os.replace(partial, folder)
    except (EOFError, tarfile.TarError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{archive} is cut short or damaged ({error}): fetch it again") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder / top


def _fetch(url: str, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing beyond what is here: the checksum will say whether it is right
            return
        raise
    with response:
        resumed = response.status == 206
        remaining = int(response.headers.get("Content-Length", 0))
        start = have if resumed else 0
        with part.open("ab" if resumed else "wb") as file:
            _copy(response, file, part.stem, start, start + remaining)
    if remaining and part.stat().st_size < start + remaining:
        raise HTTPException(f"the connection ended after {part.stat().st_size} of {start + remaining} bytes")


def _copy(source: BinaryIO, target: BinaryIO, name: str, done: int, total: int) -> None:
    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task(name, total=total or None, completed=done)
        while block := source.read(_BLOCK):
            target.write(block)
            progress.advance(task, len(block))


def _extract(archive: Path, folder: Path, top: str) -> None:
    total = 0
    with (
        open_with_progress(
            archive, "rb", description=f"unpacking {archive.name}", transient=True, disable=not sys.stdout.isatty()
        ) as compressed,
        gzip.open(compressed) as plain,
        tarfile.open(fileobj=plain, mode="r|") as tar,
    ):
        for count, member in enumerate(tar, start=1):
            total += member.size
            if count > MAX_MEMBERS or member.size > MAX_FILE_BYTES or total > MAX_TOTAL_BYTES:
                raise UserError(f"{archive} declares more than it may hold (at {member.name}): use the official one")
            path = _safe_path(archive, member)
            if member.isfile() and path.parts[:1] == (top,):
                _write(tar, member, folder / path)
        while plain.read(_BLOCK):  # to the end, where gzip keeps its own checksum
            pass


def _safe_path(archive: Path, member: tarfile.TarInfo) -> Path:
    path = Path(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
        raise UserError(f"{archive} is unsafe: {member.name!r} points out of its folder or is a link; nothing is kept")
    return path


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tar.extractfile(member) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target, _BLOCK)

"""Fetching and unpacking archives: resumed downloads, official checksums, extraction that stays in its folder."""

import gzip
import hashlib
import os
import shutil
import stat
import sys
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
    track,
)
from rich.progress import open as open_with_progress

from core.errors import UserError
from core.files import open_bytes, require_regular

PETS_URL = "https://thor.robots.ox.ac.uk/pets/"
PETS_MD5 = {
    "images.tar.gz": "5c4f3ee8e5d25df40f4fd59a7f44e54c",
    "annotations.tar.gz": "95a8c909bbe2e81eed6a22bccdf3f68f",
}

# The largest, those of ISIC and Cityscapes, are 11 GB; an archive that declares far more is not what it says.
MAX_FILE_BYTES = 200_000_000
MAX_TOTAL_BYTES = 20_000_000_000
MAX_MEMBERS = 200_000

_BLOCK = 1 << 20
_TIMEOUT_SECONDS = 60
_TAR_END = bytes(2 * tarfile.BLOCKSIZE)
_DAMAGE = (EOFError, tarfile.TarError, gzip.BadGzipFile, zlib.error, zipfile.BadZipFile, NotImplementedError)


def file_md5(path: Path) -> str:
    """Return the MD5 of a file's bytes: the checksum that the data set's authors publish, no protection."""
    with open_bytes(path) as file:
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


def extract(archive: Path, folder: Path, top: str | None = None) -> Path:
    """Unpack a .tar.gz, .tar or .zip, told apart by content, into `folder`, once; files appear whole or not at all.

    `top` names a folder of the archive: nothing outside it is unpacked.

    Returns:
        folder / top, or `folder` where there is no top.

    Raises:
        UserError: the archive is cut short, damaged, unsafe (absolute paths, `..`, links), or declares too much.
    """
    if folder.exists():
        return folder / (top or "")
    require_regular(archive)
    unfinished = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        _extract(archive, unfinished, top)
        os.replace(unfinished, folder)
    except _DAMAGE as error:
        raise UserError(f"{archive} is cut short or damaged ({error}): fetch it again") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder / (top or "")


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


class _Member(NamedTuple):
    """What an archive declares; `open` reads a file's content. Neither file nor folder: a link or a device."""

    name: str
    size: int
    is_file: bool
    is_folder: bool
    open: Callable[[], IO[bytes]]


def _extract(archive: Path, folder: Path, top: str | None) -> None:
    total = 0
    for count, member in enumerate(_members(archive), start=1):
        total += member.size
        if count > MAX_MEMBERS or member.size > MAX_FILE_BYTES or total > MAX_TOTAL_BYTES:
            raise UserError(f"{archive} declares more than it may hold (at {member.name}): use the official one")
        path = _safe_path(archive, member)
        if member.is_file and (top is None or path.parts[:1] == (top,)):
            _write(member, folder / path)


def _members(archive: Path) -> Iterator[_Member]:
    with open_bytes(archive) as file:
        start = file.read(512)
    if start.startswith(b"PK"):
        return _zip_members(archive)
    return _plain_tar_members(archive) if start[257:262] == b"ustar" else _compressed_tar_members(archive)


def _zip_members(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as packed:
        hidden = not sys.stdout.isatty()
        for info in track(packed.infolist(), f"unpacking {archive.name}", transient=True, disable=hidden):
            if info.flag_bits & 1:
                raise zipfile.BadZipFile("it is encrypted")
            # A link in a zip is a file whose kind under Unix, in the upper half, says so; 0: made elsewhere.
            plain = stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
            is_folder = info.is_dir()
            yield _Member(
                info.filename, info.file_size, plain and not is_folder, plain and is_folder, partial(packed.open, info)
            )


def _compressed_tar_members(archive: Path) -> Iterator[_Member]:
    with _open_with_progress(archive) as compressed, gzip.open(compressed) as plain:
        yield from _tar_members(plain)
        while plain.read(_BLOCK):  # to the end, where gzip keeps its own checksum
            pass


def _plain_tar_members(archive: Path) -> Iterator[_Member]:
    with open_bytes(archive) as file:
        file.seek(max(0, archive.stat().st_size - len(_TAR_END)))
        if file.read() != _TAR_END:
            raise tarfile.ReadError("it does not end as a tar does, with two blocks of zeros")
    with _open_with_progress(archive) as plain:
        yield from _tar_members(plain)


def _tar_members(plain: BinaryIO | gzip.GzipFile) -> Iterator[_Member]:
    with tarfile.open(fileobj=plain, mode="r|") as tar:
        for info in tar:
            yield _Member(info.name, info.size, info.isfile(), info.isdir(), partial(_opened, tar, info))


def _opened(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    source = tar.extractfile(info)
    assert source is not None, "asked for files alone"
    return source


def _open_with_progress(archive: Path) -> AbstractContextManager[BinaryIO]:
    hidden = not sys.stdout.isatty()
    return open_with_progress(archive, "rb", description=f"unpacking {archive.name}", transient=True, disable=hidden)


def _safe_path(archive: Path, member: _Member) -> Path:
    path = Path(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.is_file or member.is_folder):
        raise UserError(f"{archive} is unsafe: {member.name!r} points out of its folder or is a link; nothing is kept")
    return path


def _write(member: _Member, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = member.open()
    assert content is not None, "a file has content"
    with content as source, path.open("wb") as target:
        shutil.copyfileobj(source, target, _BLOCK)

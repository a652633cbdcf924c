"""Unpacking archives: extraction that stays in its folder, and within what an archive of its size may hold."""

import errno
import gzip
import os
import shutil
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple

from rich.markup import escape
from rich.progress import open as open_with_progress

from core.errors import UserError
from core.files import open_bytes, require_regular
from core.terminal.progress import track
from core.terminal.screen import screen

# The largest, those of ISIC and Cityscapes, are 11 GB; an archive that declares far more is not what it says.
MAX_FILE_BYTES = 200_000_000
MAX_TOTAL_BYTES = 20_000_000_000
MAX_MEMBERS = 200_000
MAX_RATIO = 100  # of what comes out to the archive's own size, beyond MAX_FILE_BYTES; pictures hardly shrink
# Between two members of a tar, behind the last one, and in a zip's list of its members.
MAX_HEADER_BYTES, MAX_TRAILING_BYTES, MAX_LIST_BYTES = 1 << 20, 16 << 20, 32 << 20

_BLOCK = 1 << 20
_TAR_END = bytes(2 * tarfile.BLOCKSIZE)
_ZIP_TAIL = 65_536 + 22  # where the end of a zip's list stands, behind it at most a comment
# Members that cannot lie side by side, places outside the archive: no fault of the disk.
_OF_THE_ARCHIVE = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EINVAL)


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
        _extract_or_name(archive, unfinished, top)
        os.replace(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder / (top or "")


class _Member(NamedTuple):
    """What an archive declares; `open` reads a file's content. Neither file nor folder: a link or a device."""

    name: str
    size: int
    is_file: bool
    is_folder: bool
    open: Callable[[], IO[bytes]]


def _extract_or_name(archive: Path, folder: Path, top: str | None) -> None:
    """Do what `_extract` does; whatever is raised about the archive names it."""
    try:
        _extract(archive, folder, top)
    except UserError:
        raise
    except Exception as error:
        of_the_disk = isinstance(error, OSError) and error.errno and error.errno not in _OF_THE_ARCHIVE
        if of_the_disk or isinstance(error, MemoryError):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{archive} is cut short or damaged ({reason}): fetch it again") from None


def _extract(archive: Path, folder: Path, top: str | None) -> None:
    total, most = 0, min(MAX_TOTAL_BYTES, max(MAX_FILE_BYTES, MAX_RATIO * archive.stat().st_size))
    for count, member in enumerate(_members(archive), start=1):
        total += member.size
        if count > MAX_MEMBERS or member.size > MAX_FILE_BYTES or total > most:
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
    _require_short_list(archive)
    with zipfile.ZipFile(archive) as packed:
        members = packed.infolist()
        for info in track(members, f"unpacking {archive.name}", len(members), transient=True):
            if info.flag_bits & 1:
                raise zipfile.BadZipFile("it is encrypted")
            # A link in a zip is a file whose kind under Unix, in the upper half, says so; 0: made elsewhere.
            plain = stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
            is_folder = info.is_dir()
            yield _Member(
                info.filename, info.file_size, plain and not is_folder, plain and is_folder, partial(packed.open, info)
            )


def _require_short_list(archive: Path) -> None:
    """Raise UserError where a zip's list of its members, which is read as a whole, is far too long."""
    with open_bytes(archive) as file:
        file.seek(max(0, archive.stat().st_size - _ZIP_TAIL))
        tail = file.read()
        end, long_end = tail.rfind(b"PK\x05\x06"), tail.rfind(b"PK\x06\x06")
    size = struct.unpack_from("<I", tail, end + 12)[0] if end >= 0 else 0
    if long_end >= 0:  # of archives beyond 4 GB
        size = max(struct.unpack_from("<Q", tail, long_end + 40)[0], size if size < 2**32 - 1 else 0)
    if size > MAX_LIST_BYTES:
        raise UserError(f"{archive} lists more members than it may hold: use the official one")


def _compressed_tar_members(archive: Path) -> Iterator[_Member]:
    with _open_with_progress(archive) as compressed, gzip.open(compressed) as plain:
        bounded = _Bounded(plain, archive)
        yield from _tar_members(bounded)
        bounded.left = MAX_TRAILING_BYTES
        while bounded.read(_BLOCK):  # to the end, where gzip keeps its own checksum
            pass


def _plain_tar_members(archive: Path) -> Iterator[_Member]:
    with open_bytes(archive) as file:
        file.seek(max(0, archive.stat().st_size - len(_TAR_END)))
        if file.read() != _TAR_END:
            raise tarfile.ReadError("it does not end as a tar does, with two blocks of zeros")
    with _open_with_progress(archive) as plain:
        yield from _tar_members(_Bounded(plain, archive))


class _Bounded:
    """A stream of a tar that ends with an error where more comes than was declared: headers may swell without end."""

    def __init__(self, plain: BinaryIO | gzip.GzipFile, archive: Path) -> None:
        self.plain, self.archive, self.left = plain, archive, MAX_HEADER_BYTES

    def read(self, size: int = -1) -> bytes:
        block = self.plain.read(size)
        self.left -= len(block)
        if self.left < 0:
            raise UserError(f"{self.archive} holds more than its members declare: use the official one")
        return block


def _tar_members(plain: _Bounded) -> Iterator[_Member]:
    stream: Any = plain  # of which a tar read as a stream needs no more than `read`
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for info in tar:
            plain.left = info.size + MAX_HEADER_BYTES
            is_file = info.isfile() and not info.issparse()
            yield _Member(info.name, info.size, is_file, info.isdir(), partial(_opened, tar, info))


def _opened(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    source = tar.extractfile(info)
    assert source is not None, "asked for files alone"
    return source


def _open_with_progress(archive: Path) -> AbstractContextManager[BinaryIO]:
    shown = screen()
    what = f"unpacking {escape(archive.name)}"
    hidden = not shown.is_terminal
    return open_with_progress(archive, "rb", description=what, console=shown, transient=True, disable=hidden)


def _safe_path(archive: Path, member: _Member) -> Path:
    path = Path(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.is_file or member.is_folder):
        reason = f"{member.name!r} points out of its folder or is no plain file"
        raise UserError(f"{archive} is unsafe: {reason}; nothing is kept")
    return path


def _write(member: _Member, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = member.open()
    assert content is not None, "a file has content"
    with content as source, path.open("wb") as target:
        shutil.copyfileobj(source, target, _BLOCK)

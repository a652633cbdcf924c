"""Opening files that should be pictures: which formats are, and that no other thing stops the work.

Whatever a decoder raises about a file becomes a `PictureError`: that file is left out by name and the rest goes on.
"""

import errno
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import cv2
from PIL import Image, UnidentifiedImageError

from core import files

MAX_PIXELS = 80_000_000
MAX_FILE_BYTES = 2**31  # 80 million pixels of three bands of 64 bits; a stack may have more and is then refused

# What Pillow may open; JPEGs of several pictures (MPO) are among those of one. Left out are those that start another
# program (EPS), unpack what they hold without a limit (FITS), may keep layers without the picture that they make (PSD),
# or are opened by hardly anyone else.
FORMATS = (
    *("JPEG", "PNG", "TIFF", "BMP", "DIB", "GIF", "WEBP", "PPM", "JPEG2000", "AVIF"),
    *("TGA", "PCX", "SGI", "QOI", "ICO", "DDS"),
)
_OTHERS = {
    b"%PDF": "PDF",
    b"%!PS": "PostScript",
    b"\xc5\xd0\xd3\xc6": "EPS",
    b"8BPS": "Photoshop",
    b"<svg": "SVG",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
}
# What stands in a picture's place where a download or a checkout went wrong.
_STRANGERS = (
    (b"version https://git-lfs", "a Git LFS pointer, which stands for a file elsewhere: run git lfs pull"),
    (b"<!doctype", "a web page: download the picture itself"),
    (b"<html", "a web page: download the picture itself"),
)
_HEIC = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")

# What is wrong with a file is said by name; the libraries' own warnings would only tear the progress bar.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


class PictureError(Exception):
    """A file cannot be used as a picture or a mask; the message is the reason, without the file's name."""


@contextmanager
def decoding(what: str = "damaged") -> Iterator[None]:
    """Turn whatever a decoder raises about a file into a PictureError that begins with `what`."""
    try:
        yield
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError(f"more than {MAX_PIXELS} pixels") from None
    except Exception as error:  # of a kind that no list would foresee
        raise PictureError(f"{what}: {' '.join(str(error).split()) or type(error).__name__}") from None


@contextmanager
def open_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that should be a picture.

    Raises:
        PictureError: it is not there, may not be read, is larger than `MAX_FILE_BYTES`, or a pipe, a device, a folder.
    """
    try:
        with files.open_bytes(path) as file:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise PictureError(f"larger than {MAX_FILE_BYTES} bytes")
            yield file
    except files.NotAFileError as error:
        raise PictureError(error.reason) from None
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):  # no fault of this file
            raise
        if isinstance(error, FileNotFoundError) and path.is_symlink():
            raise PictureError(f"a link to {path.readlink()}, which is not there") from None
        raise PictureError(f"cannot be read: {error.strerror or error}") from None


def read_bytes(path: Path) -> bytes:
    """Read a file that should be a picture. Raises as `open_file`."""
    with open_file(path) as file:
        return file.read()


def open_picture(file: BinaryIO) -> Image.Image | None:
    """Return what Pillow sees in a file, its pixels not yet read; None where it sees nothing.

    Raises:
        PictureError: more than `MAX_PIXELS`, or a format that must be converted first.
    """
    try:
        with decoding():
            opened = Image.open(file, formats=FORMATS)
    except PictureError as error:
        file.seek(0)
        head = file.read(32)
        if other := other_format(head):
            raise PictureError(f"{other}: convert it to JPEG or PNG first") from None
        if not head:
            raise PictureError("not a picture: the file is empty") from None
        if reason := next((why for begin, why in _STRANGERS if head.lower().startswith(begin)), None):
            raise PictureError(reason) from None
        if isinstance(error.__context__, UnidentifiedImageError):
            return None
        raise
    require_size(opened.width, opened.height)
    return opened


def other_format(head: bytes) -> str | None:
    """Return which format, of those that are not read here, a file of these first bytes has; None for any other."""
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC:
        return "HEIC"
    return next((name for begin, name in _OTHERS.items() if head.startswith(begin)), None)


def require_size(width: int, height: int) -> None:
    """Raise PictureError for more than `MAX_PIXELS`: a decompression bomb is refused before it opens."""
    if width * height > MAX_PIXELS:
        raise PictureError(f"{width} x {height} is more than {MAX_PIXELS} pixels")

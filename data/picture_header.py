"""What a picture's file says of itself before its pixels are read: a decompression bomb is refused before it opens."""

import struct
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, ImageFile, TiffImagePlugin

MAX_PIXELS = 80_000_000

# What Pillow raises for files that are cut, altered or made to hurt.
DAMAGE = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, struct.error)
_EXIF_ORIENTATION = 0x0112
_BITS, _COMPRESSION, _BANDS, _SAMPLE_FORMAT = 258, 259, 277, 339  # tags of a TIFF
_FLOATING = 3
_GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_DEEP_MODES = {"I": 32, "F": 32, "I;16": 16, "I;16B": 16, "I;16L": 16, "I;16N": 16}
_ALPHA_MODES = ("LA", "PA", "RGBA", "La", "RGBa")


class PictureError(Exception):
    """A file cannot be used as a picture or a mask; the message is the reason, without the file's name."""


@dataclass(frozen=True)
class PictureHeader:
    """The header of a picture.

    Attributes:
        format, mode: as Pillow names them.
        height, width: as stored, before it is turned upright.
        channels: 1 grey (a palette of greys too) or 3 colour.
        bands: as many as are stored, an alpha among them.
        bits: of each band; more than 8 need a range.
        floating: whether the values are floating-point.
        alpha: whether it can be transparent.
        orientation: of its EXIF, 1 upright; that of a PNG only where it stands before the pixels.
        pages: pictures in the file.
        lossy: whether its format changed the pixels.
    """

    format: str
    mode: str
    height: int
    width: int
    channels: int
    bands: int
    bits: int
    floating: bool = False
    alpha: bool = False
    orientation: int = 1
    pages: int = 1
    lossy: bool = False


def look_at(path: Path) -> PictureHeader:
    """Read a picture's header alone; the rest of the file may be damaged.

    Raises:
        PictureError: not a regular file, not a picture, or larger than `MAX_PIXELS`.
    """
    _require_regular(path)
    with path.open("rb") as file:
        return _look_at(file)[0]


def header_of(data: bytes) -> tuple[PictureHeader, Image.Image | None]:
    """Return the header of a file's bytes, and the picture as Pillow opened it: None where only OpenCV reads it.

    Raises:
        PictureError: as `look_at`.
    """
    return _look_at(BytesIO(data))


def read_bytes(path: Path) -> bytes:
    """Read a file whole.

    Raises:
        PictureError: it is not a regular file: a pipe would wait for ever.
    """
    _require_regular(path)
    return path.read_bytes()


def _require_regular(path: Path) -> None:
    if path.exists() and not path.is_file():
        raise PictureError("not a regular file (a pipe, a device or a folder)")


def _look_at(file: BinaryIO) -> tuple[PictureHeader, Image.Image | None]:
    try:
        opened = Image.open(file)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError(f"more than {MAX_PIXELS} pixels") from None
    except DAMAGE:
        return _tiff_of_many_bands(file), None
    _require_size(opened.width, opened.height)
    bits = _bits(opened)
    return PictureHeader(
        format=opened.format or "",
        mode=opened.mode,
        height=opened.height,
        width=opened.width,
        channels=1 if opened.mode in _GREY_MODES or _is_grey_palette(opened) else 3,
        bands=int(_tag(opened, _BANDS) or len(opened.getbands())),
        bits=bits,
        floating=opened.mode == "F",
        alpha=opened.mode in _ALPHA_MODES or "transparency" in opened.info,
        orientation=1 if opened.format == "PNG" and "exif" not in opened.info else orientation_of(opened),
        pages=_pages(opened),
        lossy=_is_lossy(opened),
    ), opened


def _require_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise PictureError(f"{width} x {height} is more than {MAX_PIXELS} pixels")


def _tiff_of_many_bands(file: BinaryIO) -> PictureHeader:
    """Read the header of a TIFF that Pillow does not take: floating-point colours, say.

    Raises:
        PictureError: it is not one, or too large.
    """
    try:
        file.seek(0)
        tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(8))
        file.seek(tags.next)
        tags.load(file)
        width, height, bits = int(tags[256]), int(tags[257]), max(tags[_BITS])
        bands, kinds = int(tags.get(_BANDS, 1)), tags.get(_SAMPLE_FORMAT, (1,))
    except DAMAGE:
        raise PictureError("not a picture, or its header is damaged") from None
    _require_size(width, height)
    if bands not in (3, 4):
        raise PictureError(f"a TIFF of {bands} bands of {bits} bits: save it with one (grey) or three (colour)")
    return PictureHeader("TIFF", "RGB", height, width, 3, bands, bits, _FLOATING in kinds, alpha=bands == 4)


def _bits(opened: Image.Image) -> int:
    if opened.mode == "1":
        return 1
    if opened.format == "TIFF":
        return max(_tag(opened, _BITS) or (1,))
    # "L;4", "RGB;16B": PNG's own depth, where Pillow would show 8 bits.
    tiles = opened.tile if isinstance(opened, ImageFile.ImageFile) and opened.format == "PNG" else []
    raw = tiles[0].args if tiles else ""
    digits = "".join(filter(str.isdigit, raw.partition(";")[2])) if isinstance(raw, str) else ""
    return int(digits) if digits else _DEEP_MODES.get(opened.mode, 8)


def _is_grey_palette(opened: Image.Image) -> bool:
    """Say whether a palette holds greys alone, without decoding the pixels as `getpalette` does."""
    palette = opened.palette or getattr(opened, "global_palette", None)
    if opened.mode != "P" or palette is None:
        return False
    layout, values = palette.getdata()
    if layout == "RGB;L":  # a plane a colour, as TIFF keeps them
        planes = len(values) // 3
        return values[:planes] == values[planes : 2 * planes] == values[2 * planes :]
    step = 4 if layout in ("BGRX", "BGRA", "RGBA", "RGBX") else 3
    return values[::step] == values[1::step] == values[2::step]


def palette_of(opened: Image.Image) -> list[tuple[int, int, int]]:
    """Return the colours of a palette, in the order of their indices; the pixels are decoded for it."""
    values = opened.getpalette("RGB") or []
    return list(zip(values[::3], values[1::3], values[2::3], strict=False))


def _tag(opened: Image.Image, number: int) -> Any:
    """Return the value of a tag of a TIFF, as its kind has it; None without."""
    return opened.tag_v2.get(number) if isinstance(opened, TiffImagePlugin.TiffImageFile) else None


def orientation_of(opened: Image.Image | None) -> int:
    """Return the EXIF orientation; a PNG is decoded for it, since its EXIF may stand behind its pixels."""
    if opened is None:
        return 1
    try:
        return opened.getexif().get(_EXIF_ORIENTATION, 1)
    except DAMAGE:
        return 1


def _pages(opened: Image.Image) -> int:
    try:
        return getattr(opened, "n_frames", 1)
    except DAMAGE:
        return 1


def _is_lossy(opened: Image.Image) -> bool:
    if opened.format == "TIFF":
        return _tag(opened, _COMPRESSION) in (6, 7)  # JPEG inside
    return opened.format in ("JPEG", "MPO", "JPEG2000", "AVIF")

"""What a picture's file says of itself before its pixels are read: a decompression bomb is refused before it opens."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from PIL import Image, ImageFile

from data.decoders import png, tiff
from data.decoders.opening import PictureError, decoding, open_file, open_picture, read_bytes

_EXIF_ORIENTATION = 0x0112
_GREY_MODES = ("1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_DEEP_MODES = {"I": 32, "F": 32, "I;16": 16, "I;16B": 16, "I;16L": 16, "I;16N": 16}
_ALPHA_MODES = ("LA", "PA", "RGBA", "La", "RGBa")


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
        profile: whether it has a colour profile other than sRGB.
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
    profile: bool = False


class Loaded(NamedTuple):
    """A picture's file in memory.

    Attributes:
        data: its bytes; of a TIFF without its orientation, so that no decoder turns it.
        opened: as Pillow sees it; None where only OpenCV reads it.
        tags: of a TIFF, else {}.
    """

    header: PictureHeader
    data: bytes
    opened: Image.Image | None
    tags: tiff.Tags


def look_at(path: Path) -> PictureHeader:
    """Read a picture's header alone; the rest of the file may be damaged.

    Raises:
        PictureError: it cannot be read, is not a regular file, not a picture, or larger than `MAX_PIXELS`.
    """
    with open_file(path) as file:
        return _look_at(file)[0]


def why_no_picture(path: Path) -> str | None:
    """Return why a file is no picture by its header alone; None if it is one, which may be damaged further on."""
    try:
        look_at(path)
    except PictureError as error:
        return str(error)
    return None


def load(path: Path) -> Loaded:
    """Read a picture's file, not yet its pixels. Raises as `look_at`."""
    data = read_bytes(path)
    header, opened, tags = _look_at(BytesIO(data))
    if header.format == "PNG" and (damage := png.damage_of(data)):
        raise PictureError(f"damaged: {damage}")
    if header.format == "TIFF" and header.orientation != 1:
        with decoding("its header is damaged"):
            data = tiff.without_orientation(data)
        opened = opened and open_picture(BytesIO(data))
    return Loaded(header, data, opened, tags)


def _look_at(file: BinaryIO) -> tuple[PictureHeader, Image.Image | None, tiff.Tags]:
    opened = open_picture(file)
    with decoding("its header is damaged"):
        tags = tiff.tags_of(opened) if opened else tiff.tags_in(file)
        tiff.refuse_preview(tags)
        header = _header_of(opened, tags) if opened else _header_of_tags(tags)
    return header, opened, tags


def _header_of(opened: Image.Image, tags: tiff.Tags) -> PictureHeader:
    # The size of a TIFF as Pillow gives it may be that of the picture turned upright.
    width, height = (int(tags[tiff.WIDTH]), int(tags[tiff.HEIGHT])) if tags else opened.size
    bits = _bits(opened, tags)
    return PictureHeader(
        format=opened.format or "",
        mode=opened.mode,
        height=height,
        width=width,
        channels=1 if opened.mode in _GREY_MODES or _is_grey_palette(opened) or _raw_mode(opened)[:2] == "LA" else 3,
        bands=int(tags.get(tiff.BANDS) or len(opened.getbands())),
        bits=bits,
        floating=opened.mode == "F",
        alpha=opened.mode in _ALPHA_MODES or "transparency" in opened.info,
        orientation=1 if opened.format == "PNG" and "exif" not in opened.info else orientation_of(opened, tags),
        pages=max(_pages(opened), tiff.pages_in(tags)),
        lossy=_is_lossy(opened, tags),
        profile=_has_profile(opened),
    )


def _header_of_tags(tags: tiff.Tags) -> PictureHeader:
    bits, bands = max(tags[tiff.BITS]), int(tags.get(tiff.BANDS, 1))
    if bands not in (3, 4) or tiff.is_cmyk(tags):
        raise PictureError(f"a TIFF of {bands} bands of {bits} bits: save it with one (grey) or three (colour)")
    return PictureHeader(
        format="TIFF",
        mode="RGB",
        height=int(tags[tiff.HEIGHT]),
        width=int(tags[tiff.WIDTH]),
        channels=3,
        bands=bands,
        bits=bits,
        floating=tiff.FLOATING in tags.get(tiff.SAMPLE_FORMAT, (1,)),
        alpha=bands == 4 and tiff.has_alpha(tags),
        orientation=orientation_of(None, tags),
    )


def _raw_mode(opened: Image.Image) -> str:
    """Return how a PNG's bands are stored ("LA;16B"), where Pillow would show 8 bits; "" for another."""
    tiles = opened.tile if isinstance(opened, ImageFile.ImageFile) and opened.format == "PNG" else []
    raw = tiles[0].args if tiles else ""
    return raw if isinstance(raw, str) else ""


def _bits(opened: Image.Image, tags: tiff.Tags) -> int:
    if opened.mode == "1":
        return 1
    if tags:
        return max(tags.get(tiff.BITS) or (1,))
    digits = "".join(filter(str.isdigit, _raw_mode(opened).partition(";")[2]))
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


def orientation_of(opened: Image.Image | None, tags: tiff.Tags) -> int:
    """Return the EXIF orientation; a PNG is decoded for it, since its EXIF may stand behind its pixels."""
    if tags or opened is None:
        return _orientation(tags.get(tiff.ORIENTATION, 1))
    try:
        with decoding():
            return _orientation(opened.getexif().get(_EXIF_ORIENTATION, 1))
    except PictureError:  # of its EXIF alone; the pixels will show whether they are damaged too
        return 1


def _orientation(value: object) -> int:
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _pages(opened: Image.Image) -> int:
    try:
        with decoding():
            return getattr(opened, "n_frames", 1)
    except PictureError:
        return 1


def _is_lossy(opened: Image.Image, tags: tiff.Tags) -> bool:
    if tags:
        return tags.get(tiff.COMPRESSION) in (6, 7)  # JPEG inside
    return opened.format in ("JPEG", "MPO", "JPEG2000", "AVIF")


def _has_profile(opened: Image.Image) -> bool:
    profile = opened.info.get("icc_profile") or b"sRGB"
    return not any(name in profile for name in (b"sRGB", "sRGB".encode("utf-16-be")))

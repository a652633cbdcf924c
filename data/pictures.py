"""Pictures and masks from files, judged by their content and never by their suffix.

A file is read whole or refused with a reason.

Pictures deeper than 8 bits are scaled between two values that the caller names, never by dropping their lower bits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from data.decoders import png, tiff
from data.decoders.decoding import decode_deep, decode_shallow, decoded
from data.decoders.jpeg import decode_jpeg
from data.decoders.opening import MAX_PIXELS, PictureError, decoding, read_bytes
from data.decoders.picture_header import PictureHeader, load, look_at, orientation_of, palette_of, why_no_picture

__all__ = [
    "MAX_PIXELS",
    "PictureError",
    "look_at",
    "raw_mask",
    "read_deep",
    "read_mask",
    "read_picture",
    "read_png",
    "scaled",
    "why_no_picture",
]

Ground = Literal["white", "black"]
# The values of a deep picture that become 0 and 255, or what tells them of its values.
ValueRange = tuple[float, float] | Callable[[np.ndarray], tuple[float, float]] | None

_SUFFIXES = {"JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"), "PNG": (".png",), "GIF": (".gif",), "BMP": (".bmp",)}
# Those without loss, and how Pillow names their kinds of pixels.
_MASK_FORMATS = ("PNG", "TIFF", "BMP", "DIB", "GIF", "PPM")
_MASK_MODES = ("1", "L", "P", "I", "F", "I;16", "I;16B", "I;16L", "LA", "PA", "RGB", "RGBA", "RGBa")
_FEW_STEPS = 32  # of 256, that a deep picture should have at least
_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: image.swapaxes(0, 1)[:, ::-1],
    7: lambda image: image.swapaxes(0, 1)[::-1, ::-1],
    8: lambda image: image.swapaxes(0, 1)[::-1],
}


def read_picture(
    path: Path,
    channels: int = 3,
    value_range: ValueRange = None,
    ground: Ground | None = None,
) -> tuple[np.ndarray, list[str]]:
    """Read a picture of any common format.

    Args:
        channels: 3 for RGB, 1 for grey (the luma of ITU-R 601 where the file has colours).
        value_range: of a file deeper than 8 bits, the values that become 0 and 255 (or what tells them of all of its
            values); beyond them it is cut off. None takes the whole range of its integers.
        ground: what lies behind a transparent picture; None leaves the colours as they are stored.

    Returns:
        The image uint8, [H, W, 3] or [H, W], upright as its EXIF orientation says, and what was unusual about the file.

    Raises:
        PictureError: it cannot be read, is no picture, damaged, or larger than `MAX_PIXELS`; floating-point without
            `value_range`.
    """
    loaded = load(path)
    header = loaded.header
    notes = _unusual(path, header, loaded.tags)
    orientation = orientation_of(loaded.opened, {}) if header.format == "PNG" else header.orientation
    if header.format in ("JPEG", "MPO"):
        image, more = decode_jpeg(loaded.data)
        notes += more
    elif header.bits > 8:
        image = scaled(values := decode_deep(loaded), value_range)
        notes += _few_steps(values, image)
    else:
        image = decode_shallow(loaded, bool(ground))
    if ground and header.alpha and image.shape[2:] == (4,):
        image, share = _on_ground(image, ground)
        notes += [f"transparent in {share:.1%} of its pixels: laid on {ground}"] if share else []
    image = _with_channels(image, channels)
    if orientation != 1:
        image = np.ascontiguousarray(_UPRIGHT[orientation](image))
        notes.append(f"turned upright (EXIF orientation {orientation})")
    return image, notes


def read_png(path: Path, flags: int) -> np.ndarray | None:
    """Return the pixels of a prepared picture as OpenCV's flags say; None where it is missing or damaged."""
    try:
        data = read_bytes(path)
    except PictureError:
        return None
    return None if png.damage_of(data) else decoded(data, flags)


def read_deep(path: Path) -> np.ndarray:
    """Read the values of a picture deeper than 8 bits as they are stored: [H, W] or [H, W, 3], without its alpha.

    Raises:
        PictureError: as `read_picture`.
    """
    values = decode_deep(load(path))
    return values[..., :3] if values.ndim == 3 else values


def scaled(values: np.ndarray, value_range: ValueRange) -> np.ndarray:
    """Bring values of any type to uint8: the range's ends become 0 and 255, what lies beyond is cut off, NaN is 0.

    An alpha (a fourth channel) keeps the whole range of its type.

    Raises:
        PictureError: no range, and the values are floating-point.
    """
    if values.ndim == 3 and values.shape[2] == 4:
        alpha = scaled(values[..., 3], None if values.dtype.kind in "iu" else (0.0, 1.0))
        return np.dstack([scaled(values[..., :3], value_range), alpha])
    if value_range is None:
        if values.dtype.kind == "f":
            raise PictureError("floating-point pixels: say with --range which values are black and white")
        value_range = (0, np.iinfo(values.dtype).max)
    low, high = value_range(values) if callable(value_range) else value_range
    with np.errstate(invalid="ignore"):
        return (
            np.nan_to_num(np.clip((values.astype(np.float64) - low) * (255 / (high - low)), 0, 255))
            .round()
            .astype(np.uint8)
        )


def read_mask(path: Path) -> np.ndarray:
    """Read a mask [H, W] uint8: the values of a grey file or the indices of a palette.

    1, 2 and 4 bits keep their numbers (1 bit is 0 and 1), as do 16 bits where none is above 255.

    Raises:
        PictureError: of several channels, lossy (JPEG), damaged, larger than `MAX_PIXELS`, or with larger values.
    """
    raw = raw_mask(path)
    mask = raw.values
    if mask.ndim != 2:
        raise PictureError(f"{raw.header.format} of mode {raw.header.mode}; this mask needs one channel of values")
    if mask.dtype != np.uint8 and (mask.min() < 0 or mask.max() > 255):
        raise PictureError(f"values {mask.min()} to {mask.max()}; this mask needs values from 0 to 255")
    return mask.astype(np.uint8)


@dataclass(frozen=True)
class RawMask:
    """A mask as it is stored, upright.

    Attributes:
        values: [H, W] of any integer type (1, 2 and 4 bits keep their numbers), or [H, W, 3 or 4] uint8 for colours.
        palette: colour of each index, where there is one.
    """

    values: np.ndarray
    header: PictureHeader
    palette: tuple[tuple[int, int, int], ...] = ()


def raw_mask(path: Path) -> RawMask:
    """Read a mask of any format without loss.

    Raises:
        PictureError: lossy (JPEG), of several pages, with fractions for values, damaged, or larger than `MAX_PIXELS`.
    """
    loaded = load(path)
    header, opened = loaded.header, loaded.opened
    if reason := _no_mask(header):
        raise PictureError(reason)
    if opened is None:
        raise PictureError(f"{header.format} of {header.bands} bands of {header.bits} bits: save the mask as PNG")
    with decoding():
        values = np.array(opened.convert("RGBA") if header.mode in ("LA", "PA", "RGBa") else opened)
    if values.dtype == bool:
        values = values.astype(np.uint8)
    elif header.bits in (2, 4) and header.mode == "L":
        values = values // np.uint8(255 // (2**header.bits - 1))  # Pillow spreads them over 0 to 255
    elif values.dtype.kind == "f":
        if not (np.isfinite(values).all() and (values == np.round(values)).all() and np.abs(values).max() < 2**31):
            raise PictureError("values with fractions: a mask holds whole numbers, one a class")
        values = values.astype(np.int32)
    orientation = orientation_of(opened, {}) if header.format == "PNG" else header.orientation
    if orientation != 1:
        values = np.ascontiguousarray(_UPRIGHT[orientation](values))
    return RawMask(values, header, tuple(palette_of(opened)) if header.mode == "P" else ())


def _no_mask(header: PictureHeader) -> str | None:
    """Return why a picture cannot be a mask, whatever it shows."""
    if header.lossy:
        return "a lossy picture (JPEG) blurs a mask's values at every edge: export the masks again as PNG"
    if header.format not in _MASK_FORMATS:
        return f"{header.format}: a mask is a PNG, TIFF, BMP or GIF"
    if header.pages > 1:
        return f"{header.pages} pages: which is the mask? Save that one as a PNG"
    if header.mode not in _MASK_MODES or header.bands > 4:
        return f"mode {header.mode} of {header.bands} bands: a mask has one channel of values, or colours in RGB"
    if header.bits > 8 and header.channels == 3:
        return f"colours of {header.bits} bits: a mask's colours have 8 bits a channel"
    return None


def _unusual(path: Path, header: PictureHeader, tags: tiff.Tags) -> list[str]:
    notes = []
    if path.suffix.lower() not in _SUFFIXES.get(header.format, (path.suffix.lower(),)):
        notes.append(f"{header.format} named {path.suffix}, read by its content")
    if header.pages > 1:
        notes.append(f"{header.pages} pages, the first is taken")
    if header.mode in ("CMYK", "LAB"):
        notes.append(f"{header.mode}, brought to RGB without its colour profile")
    elif header.bands > header.channels + header.alpha:
        taken = "first" if header.channels == 1 else "first three"
        notes.append(f"{header.bands} bands, the {taken} {'is' if header.channels == 1 else 'are'} taken")
    elif header.profile:
        notes.append("its colour profile is not applied")
    if header.bits > 8 and tags.get(tiff.PHOTOMETRIC) == tiff.WHITE_IS_ZERO:
        notes.append("0 is white in it")
    return notes


def _few_steps(values: np.ndarray, image: np.ndarray) -> list[str]:
    """Say so where a deep picture is left black, white or nearly of one grey: the range was meant for others."""
    low, high = int(image.min()), int(image.max())
    if high - low >= _FEW_STEPS:
        return []
    held = f"its values {np.nanmin(values):g} to {np.nanmax(values):g} become {low} to {high} of 255"
    return [f"{held}: give --range, or prepare pictures of other ranges apart"]


def _on_ground(image: np.ndarray, ground: Ground) -> tuple[np.ndarray, float]:
    """Lay an image [H, W, 4] on white or black; returns it and the share of pixels that are not opaque."""
    alpha = image[..., 3:].astype(np.float32) / 255
    behind = 255.0 if ground == "white" else 0.0
    laid = np.round(image[..., :3] * alpha + behind * (1 - alpha)).astype(np.uint8)
    return laid, float(np.mean(image[..., 3] < 255))


def _with_channels(image: np.ndarray, channels: int) -> np.ndarray:
    if channels == 1:
        return image if image.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(image[..., :3]), cv2.COLOR_RGB2GRAY)
    return np.dstack([image] * 3) if image.ndim == 2 else np.ascontiguousarray(image[..., :3])

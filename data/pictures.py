"""Pictures and masks from files, judged by their content and never by their suffix.

A file is read whole or refused with a reason. Decoders of JPEG are forgiving: where data are missing they fill in grey
and merely warn, so JPEGs go through simplejpeg, which turns those warnings into errors.
"""

import struct
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import simplejpeg
from PIL import Image

MAX_PIXELS = 80_000_000

# What Pillow raises for files that are cut, altered or made to hurt.
_DAMAGE = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, struct.error)
_SUFFIXES = {"JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"), "PNG": (".png",), "GIF": (".gif",), "BMP": (".bmp",)}
_EXIF_ORIENTATION = 0x0112
_UPRIGHT = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: image.swapaxes(0, 1)[:, ::-1],
    7: lambda image: image.swapaxes(0, 1)[::-1, ::-1],
    8: lambda image: image.swapaxes(0, 1)[::-1],
}


class PictureError(Exception):
    """A file cannot be used as a picture or a mask; the message is the reason, without the file's name."""


def read_picture(path: Path) -> tuple[np.ndarray, list[str]]:
    """Read a picture of any common format.

    Returns:
        The image [H, W, 3] uint8, RGB, upright as its EXIF orientation says, and what was unusual about the file.

    Raises:
        PictureError: not a picture, damaged, or larger than `MAX_PIXELS`.
        OSError: the file cannot be read at all.
    """
    data = path.read_bytes()
    header = _header(BytesIO(data))
    image = _decode_jpeg(data) if header.format in ("JPEG", "MPO") else _decode_other(data, header)
    notes = []
    if path.suffix.lower() not in _SUFFIXES.get(header.format, (path.suffix.lower(),)):
        notes.append(f"{header.format} named {path.suffix}, read by its content")
    orientation = _orientation(header)
    if orientation in _UPRIGHT:
        image = np.ascontiguousarray(_UPRIGHT[orientation](image))
        notes.append(f"turned upright (EXIF orientation {orientation})")
    return image, notes


def read_mask(path: Path) -> np.ndarray:
    """Read a mask [H, W] uint8; the values of a grey PNG or the indices of a palette PNG are the classes.

    Raises:
        PictureError: not a PNG of one 8-bit channel, damaged, or larger than `MAX_PIXELS`.
    """
    header = _header(BytesIO(path.read_bytes()))
    if header.format != "PNG" or header.mode not in ("L", "P", "1"):
        raise PictureError(f"{header.format} of mode {header.mode}; a mask is a PNG of one 8-bit channel")
    try:
        return np.array(header).astype(np.uint8)
    except _DAMAGE as error:
        raise PictureError(f"damaged: {error}") from None


def why_no_picture(path: Path) -> str | None:
    """Return why a file is no picture by its header alone, None if it is one (it may be damaged further on)."""
    try:
        with path.open("rb") as file:
            _header(file)
    except PictureError as error:
        return str(error)
    return None


def _header(file: BinaryIO) -> Image.Image:
    # Pillow reads the header alone here, so that a decompression bomb is refused before it opens.
    try:
        header = Image.open(file)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError(f"more than {MAX_PIXELS} pixels") from None
    except _DAMAGE:
        raise PictureError("not a picture, or its header is damaged") from None
    if header.width * header.height > MAX_PIXELS:
        raise PictureError(f"{header.width} x {header.height} is more than {MAX_PIXELS} pixels")
    return header


def _decode_jpeg(data: bytes) -> np.ndarray:
    try:
        return simplejpeg.decode_jpeg(data, colorspace="RGB", strict=True)
    except ValueError as error:
        raise PictureError(f"damaged: {error}") from None


def _decode_other(data: bytes, header: Image.Image) -> np.ndarray:
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        image = None
    if image is not None and image.dtype == np.uint8 and image.shape[:2] == (header.height, header.width):
        return image
    if header.mode.startswith(("I", "F")):
        raise PictureError(f"pixels of mode {header.mode}; 8 bits a channel are needed")
    try:
        return np.array(header.convert("RGB"))
    except _DAMAGE as error:
        raise PictureError(f"damaged: {error}") from None


def _orientation(header: Image.Image) -> int:
    try:
        return header.getexif().get(_EXIF_ORIENTATION, 1)
    except _DAMAGE:
        return 1

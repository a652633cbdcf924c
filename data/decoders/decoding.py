"""Decoding the pixels of a picture whose header was read; a file is decoded whole or refused with a reason.

OpenCV decodes what it shows as every viewer does, and fast; Pillow the rest. Both get bytes: OpenCV ends the process on
a path that is no UTF-8.
"""

import cv2
import numpy as np
from PIL import Image

from data.decoders import tiff
from data.decoders.opening import PictureError, decoding
from data.decoders.picture_header import Loaded

# OpenCV multiplies the colours of other formats by their alpha, or has them grey; of a damaged WebP or TIFF it shows a
# part without a word.
_BY_OPENCV = ("PNG", "BMP", "DIB", "PPM")
_STRAIGHT_ALPHA = ("PNG",)


def decode_shallow(loaded: Loaded, with_alpha: bool) -> np.ndarray:
    """Return [H, W, 3] uint8 RGB, or [H, W, 4] where there is an alpha and it is asked for.

    Raises:
        PictureError: damaged.
    """
    header = loaded.header
    if header.alpha and with_alpha:
        return _converted(loaded.opened, "RGBA")
    if loaded.opened is None or header.format in (_STRAIGHT_ALPHA if header.alpha else _BY_OPENCV):
        image = decoded(loaded.data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
        if image is not None and image.dtype == np.uint8 and image.shape[:2] == (header.height, header.width):
            return image
    return _converted(loaded.opened, "RGB")


def decode_deep(loaded: Loaded) -> np.ndarray:
    """Return the values as they are stored, [H, W], [H, W, 3] or [H, W, 4], RGB; 0 is black.

    Raises:
        PictureError: damaged, or of bands that cannot be read.
    """
    header, tags = loaded.header, loaded.tags
    if header.bands > 1 and tags.get(tiff.PLANAR, 1) != 1:
        # OpenCV would take rows of one colour for pixels of three.
        raise PictureError(f"{header.bits} bits in a plane a colour: save it with the colours of a pixel together")
    if header.bands > 1 and tiff.is_premultiplied(tags):
        raise PictureError(f"colours of {header.bits} bits multiplied by their alpha: save it without transparency")
    values = _deep_by_opencv(loaded)
    if values is None:
        if loaded.opened is None or header.channels != 1 or header.bands != 1:
            raise PictureError(f"{header.bands} bands of {header.bits} bits cannot be read: save it with one or three")
        with decoding():
            values = np.array(loaded.opened)
    if tags.get(tiff.PHOTOMETRIC) == tiff.WHITE_IS_ZERO and values.dtype.kind == "u":
        values = np.iinfo(values.dtype).max - values
    return values


def decoded(data: bytes, flags: int) -> np.ndarray | None:
    """Return what OpenCV decodes of a file's bytes, None where it cannot."""
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None


def _deep_by_opencv(loaded: Loaded) -> np.ndarray | None:
    header = loaded.header
    values = decoded(loaded.data, cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if values is None or values.dtype == np.uint8 or values.shape[:2] != (header.height, header.width):
        return None
    if values.ndim == 2:
        return values
    return values[..., 0] if values.shape[2] == 2 else values[..., [2, 1, 0, *range(3, values.shape[2])]]


def _converted(opened: Image.Image | None, mode: str) -> np.ndarray:
    if opened is None:
        raise PictureError("damaged, or stored in a way that is not read here")
    with decoding():
        # Pillow has no way from grey multiplied by its alpha to colours.
        straight = opened.convert("LA") if opened.mode == "La" else opened
        return np.array(straight.convert(mode))

"""Decoding the bytes of a picture whose header was read; a file is decoded whole or refused with a reason.

Decoders of JPEG are forgiving: where data are missing they fill in grey and merely warn, so JPEGs go through
simplejpeg, which turns those warnings into errors.
"""

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from data.picture_header import DAMAGE, PictureError, PictureHeader


def decode_jpeg(data: bytes) -> np.ndarray:
    """Return [H, W, 3] RGB.

    Raises:
        PictureError: damaged.
    """
    try:
        return simplejpeg.decode_jpeg(data, colorspace="RGB", strict=True)
    except ValueError as error:
        raise PictureError(f"damaged: {error}") from None


def decode_other(data: bytes, header: PictureHeader, opened: Image.Image | None, with_alpha: bool) -> np.ndarray:
    """Return [H, W, 3], or [H, W, 4] where there is an alpha and it is asked for.

    Raises:
        PictureError: damaged.
    """
    if header.alpha and with_alpha:
        return _converted(opened, "RGBA")
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        image = None
    if image is not None and image.dtype == np.uint8 and image.shape[:2] == (header.height, header.width):
        return image
    return _converted(opened, "RGB")


def _converted(opened: Image.Image | None, mode: str) -> np.ndarray:
    if opened is None:
        raise PictureError("damaged, or stored in a way that is not read here")
    try:
        return np.array(opened.convert(mode))
    except DAMAGE as error:
        raise PictureError(f"damaged: {error}") from None


def decode_deep(data: bytes, header: PictureHeader, opened: Image.Image | None) -> np.ndarray:
    """Return the values as they are stored, [H, W], [H, W, 3] or [H, W, 4], RGB.

    Raises:
        PictureError: damaged, or of bands that cannot be read.
    """
    try:
        values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        values = None
    if values is not None and values.dtype != np.uint8 and values.shape[:2] == (header.height, header.width):
        if values.ndim == 3:
            values = values[..., 0] if values.shape[2] == 2 else values[..., [2, 1, 0, *range(3, values.shape[2])]]
        return values
    if opened is None or header.channels != 1:
        raise PictureError(f"{header.bands} bands of {header.bits} bits cannot be read: save it with one or three")
    try:
        return np.array(opened)
    except DAMAGE as error:
        raise PictureError(f"damaged: {error}") from None

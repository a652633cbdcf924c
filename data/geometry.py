"""Where a picture lies inside the square that networks read, and the exact way back.

Image, mask and scores go through one `Geometry`, so that they cannot part. Positions are pixel centres throughout:
`INTER_NEAREST` of OpenCV rounds down instead and shifts every mask by up to half a pixel.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np

from core.errors import UserError

ResizeMode = Literal["letterbox", "stretch"]
IGNORE = 255


@dataclass(frozen=True, slots=True)
class Geometry:
    """The place of a picture of `height` x `width` pixels inside a square of `size` pixels.

    The picture is resized to `content_height` x `content_width` and laid at (`top`, `left`); the rest are bars.
    """

    mode: str
    size: int
    height: int
    width: int
    top: int
    left: int
    content_height: int
    content_width: int

    @property
    def rectangle(self) -> tuple[int, int, int, int]:
        """The content in the square as (top, left, bottom, right), bottom and right exclusive."""
        return self.top, self.left, self.top + self.content_height, self.left + self.content_width

    def image(self, image: np.ndarray) -> np.ndarray:
        """Lay an image [H, W, 3] uint8 into the square [size, size, 3] uint8; bars are 0."""
        self._check(image, (self.height, self.width))
        return self._lay(resize_image(image, self.content_height, self.content_width), 0)

    def label(self, label: np.ndarray) -> np.ndarray:
        """Lay a label [H, W] uint8 into the square [size, size] uint8 by nearest neighbour; bars are 255."""
        self._check(label, (self.height, self.width))
        return self._lay(_nearest(label, self.content_height, self.content_width), IGNORE)

    def restore_label(self, label: np.ndarray) -> np.ndarray:
        """Bring a label [size, size] back to [H, W] by nearest neighbour; the bars are cut off."""
        self._check(label, (self.size, self.size))
        return _nearest(self._content(label), self.height, self.width)

    def restore_scores(self, scores: np.ndarray) -> np.ndarray:
        """Bring scores [C, size, size] float32 back to [C, H, W], bilinear, of the content alone."""
        self._check(scores[0], (self.size, self.size))
        size = (self.width, self.height)
        return np.stack([cv2.resize(self._content(plane), size, interpolation=cv2.INTER_LINEAR) for plane in scores])

    def _content(self, square: np.ndarray) -> np.ndarray:
        top, left, bottom, right = self.rectangle
        return np.ascontiguousarray(square[top:bottom, left:right])

    def _lay(self, content: np.ndarray, fill: int) -> np.ndarray:
        square = np.full((self.size, self.size, *content.shape[2:]), fill, content.dtype)
        top, left, bottom, right = self.rectangle
        square[top:bottom, left:right] = content
        return square

    @staticmethod
    def _check(array: np.ndarray, expected: tuple[int, int]) -> None:
        if array.shape[:2] != expected:
            raise ValueError(f"this geometry is for {expected} (height, width), the array has {array.shape[:2]}")


def fit(height: int, width: int, size: int, mode: str) -> Geometry:
    """Fit a picture of `height` x `width` pixels into a square of `size` pixels.

    Args:
        mode: `letterbox` keeps the aspect and centres the picture; `stretch` fills the square.

    Raises:
        UserError: for a side that is not positive or an unknown mode.
    """
    if min(height, width, size) < 1:
        raise UserError(f"cannot fit {height} x {width} pixels into a square of {size}: every side needs 1 or more")
    if mode not in get_args(ResizeMode):
        raise UserError(f"unknown resize mode {mode!r}: use {' or '.join(get_args(ResizeMode))}")
    if mode == "stretch":
        return Geometry(mode, size, height, width, 0, 0, size, size)
    longest = max(height, width)
    content_height, content_width = (max(1, round(side * size / longest)) for side in (height, width))
    top, left = (size - content_height) // 2, (size - content_width) // 2
    return Geometry(mode, size, height, width, top, left, content_height, content_width)


def resize_image(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize an image [H, W, 3] uint8 to `height` x `width` pixels."""
    # Each side that shrinks is averaged over area (no aliasing), then each side that grows is interpolated.
    shrunk = (min(image.shape[1], width), min(image.shape[0], height))
    if shrunk != (image.shape[1], image.shape[0]):
        image = cv2.resize(image, shrunk, interpolation=cv2.INTER_AREA)
    if shrunk != (width, height):
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return image


def _nearest(label: np.ndarray, height: int, width: int) -> np.ndarray:
    return cv2.resize(label, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)

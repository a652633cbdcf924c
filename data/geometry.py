"""Where a picture lies on the canvas that networks read, and the exact way back.

Image, mask and scores go through one `Geometry`, so that they cannot part. Positions are pixel centres throughout:
`INTER_NEAREST` of OpenCV rounds down instead and shifts every mask by up to half a pixel.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np

from core.classes import IGNORED
from core.errors import UserError

ResizeMode = Literal["letterbox", "stretch"]


@dataclass(frozen=True, slots=True)
class Geometry:
    """The place of a picture of `height` x `width` pixels on a canvas of `canvas_height` x `canvas_width` pixels.

    The picture is resized to `content_height` x `content_width` and laid at (`top`, `left`); the rest are bars.
    """

    mode: str
    canvas_height: int
    canvas_width: int
    height: int
    width: int
    top: int
    left: int
    content_height: int
    content_width: int

    @property
    def canvas(self) -> tuple[int, int]:
        """Height and width of the canvas."""
        return self.canvas_height, self.canvas_width

    @property
    def is_possible(self) -> bool:
        """Whether a picture of some size lies on the canvas whole."""
        top, left, bottom, right = self.rectangle
        sides = min(self.height, self.width, self.content_height, self.content_width)
        return sides > 0 and 0 <= top < bottom <= self.canvas_height and 0 <= left < right <= self.canvas_width

    @property
    def rectangle(self) -> tuple[int, int, int, int]:
        """The content on the canvas as (top, left, bottom, right), bottom and right exclusive."""
        return self.top, self.left, self.top + self.content_height, self.left + self.content_width

    def image(self, image: np.ndarray) -> np.ndarray:
        """Lay an image [H, W] or [H, W, 3] uint8 on the canvas; bars are 0."""
        self._check(image, (self.height, self.width))
        return self._lay(resize_image(image, self.content_height, self.content_width), 0)

    def label(self, label: np.ndarray) -> np.ndarray:
        """Lay a label [H, W] uint8 on the canvas by nearest neighbour; bars are 255."""
        self._check(label, (self.height, self.width))
        return self._lay(_nearest(label, self.content_height, self.content_width), IGNORED)

    def restore_label(self, label: np.ndarray) -> np.ndarray:
        """Bring a label of the canvas back to [H, W] by nearest neighbour; the bars are cut off."""
        self._check(label, self.canvas)
        return _nearest(self._content(label), self.height, self.width)

    def restore_scores(self, scores: np.ndarray) -> np.ndarray:
        """Bring scores [C, canvas height, canvas width] float32 back to [C, H, W], bilinear, of the content alone."""
        self._check(scores[0], self.canvas)
        size = (self.width, self.height)
        return np.stack([cv2.resize(self._content(plane), size, interpolation=cv2.INTER_LINEAR) for plane in scores])

    def _content(self, canvas: np.ndarray) -> np.ndarray:
        top, left, bottom, right = self.rectangle
        return np.ascontiguousarray(canvas[top:bottom, left:right])

    def _lay(self, content: np.ndarray, fill: int) -> np.ndarray:
        canvas = np.full((*self.canvas, *content.shape[2:]), fill, content.dtype)
        top, left, bottom, right = self.rectangle
        canvas[top:bottom, left:right] = content
        return canvas

    @staticmethod
    def _check(array: np.ndarray, expected: tuple[int, int]) -> None:
        if array.shape[:2] != expected:
            raise ValueError(f"this geometry is for {expected} (height, width), the array has {array.shape[:2]}")


def fit(height: int, width: int, canvas_height: int, canvas_width: int, mode: str) -> Geometry:
    """Fit a picture of `height` x `width` pixels on a canvas.

    Args:
        mode: `letterbox` keeps the aspect and centres the picture; `stretch` fills the canvas.

    Raises:
        UserError: for a side that is not positive or an unknown mode.
    """
    if min(height, width, canvas_height, canvas_width) < 1:
        raise UserError(
            f"cannot fit {height} x {width} pixels into {canvas_height} x {canvas_width}: every side needs 1 or more"
        )
    if mode not in get_args(ResizeMode):
        raise UserError(f"unknown resize mode {mode!r}: use {' or '.join(get_args(ResizeMode))}")
    if mode == "stretch":
        return Geometry(mode, canvas_height, canvas_width, height, width, 0, 0, canvas_height, canvas_width)
    # Products of whole numbers, so that equal sides never part by a rounding.
    tall = height * canvas_width > width * canvas_height
    longest, canvas = (height, canvas_height) if tall else (width, canvas_width)
    content_height, content_width = (max(1, round(side * canvas / longest)) for side in (height, width))
    top, left = (canvas_height - content_height) // 2, (canvas_width - content_width) // 2
    return Geometry(mode, canvas_height, canvas_width, height, width, top, left, content_height, content_width)


def resize_image(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize an image [H, W] or [H, W, 3] uint8 to `height` x `width` pixels."""
    # Each side that shrinks is averaged over area (no aliasing), then each side that grows is interpolated.
    shrunk = (min(image.shape[1], width), min(image.shape[0], height))
    if shrunk != (image.shape[1], image.shape[0]):
        image = cv2.resize(image, shrunk, interpolation=cv2.INTER_AREA)
    if shrunk != (width, height):
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return image


def _nearest(label: np.ndarray, height: int, width: int) -> np.ndarray:
    return cv2.resize(label, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)

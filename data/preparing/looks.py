"""What a picture looks like, in few bytes: by them pictures are found that are the same, or another copy of one."""

from base64 import b64decode, b64encode
from hashlib import sha256
from typing import NamedTuple

import cv2
import numpy as np

SIDE = 32  # of the thumbnail
_ROWS, _COLUMNS = 8, 9


class Look(NamedTuple):
    """A picture in short.

    Attributes:
        content: 16 hexadecimal digits over the picture's pixels as they were decoded, at its original size: the same
            whatever size data are prepared at, and whether a grey picture is read as grey or as colour.
        differences: 64 bits, whether brightness falls from left to right, of a grid of 8 x 9 ("dHash").
        thumbnail: [32, 32] uint8, grey.
    """

    content: str
    differences: int
    thumbnail: np.ndarray

    def text(self) -> str:
        """Return it as `of_text` takes it."""
        return f"{self.content}{self.differences:016x}{b64encode(self.thumbnail.tobytes()).decode()}"

    @classmethod
    def of_text(cls, text: str) -> "Look":
        """Return the look that `text` wrote."""
        thumbnail = np.frombuffer(b64decode(text[32:]), np.uint8).reshape(SIDE, SIDE)
        return cls(text[:16], int(text[16:32], 16), thumbnail)


def look_of(image: np.ndarray) -> Look:
    """Return the look of a picture [H, W] or [H, W, 3] uint8."""
    if image.ndim == 3 and (image == image[..., :1]).all():
        image = np.ascontiguousarray(image[..., 0])
    content = sha256(f"{image.shape}".encode())
    content.update(np.ascontiguousarray(image).data)
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    coarse = cv2.resize(grey, (_COLUMNS, _ROWS), interpolation=cv2.INTER_AREA)
    falls = np.packbits(coarse[:, 1:] < coarse[:, :-1])
    thumbnail = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return Look(content.hexdigest()[:16], int.from_bytes(falls.tobytes()), thumbnail)

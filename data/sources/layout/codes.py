"""What the pixels of a published data set's masks mean: values, indices of a palette, or colours."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from core.classes import RGB
from data.decoders.opening import decoding
from data.decoders.picture_header import load
from data.pictures import PictureError, raw_mask

_NAMED_AT_MOST = 5


@dataclass(frozen=True)
class Codes:
    """The label of each value, and of each colour, that a mask may hold.

    Attributes:
        values: value or index of a palette -> class, or 255 for ignored; empty where masks have colours alone.
        colours: colour -> class, or 255; empty where masks have values alone.
    """

    values: Mapping[int, int] = field(default_factory=dict)
    colours: Mapping[RGB, int] = field(default_factory=dict)

    def read(self, path: Path) -> np.ndarray:
        """Read a mask as a label [H, W] uint8.

        Values of 1, 2 and 4 bits count as they are stored where those are codes, else as the greys that a viewer shows.

        Raises:
            PictureError: it cannot be read, is of a kind that codes nothing, or holds what is no code: named, with the
                number of pixels.
        """
        mask = raw_mask(path)
        if mask.values.ndim == 3 and mask.values.shape[2] > 3:
            raise PictureError(f"{mask.header.format} of mode {mask.header.mode}; a mask here has no transparency")
        values = mask.values
        if mask.header.bits in (1, 2, 4) and not mask.palette:
            greys = values * np.uint8(255 // (2**mask.header.bits - 1))
            if not self._are_codes(values) and self._are_codes(greys):
                values = greys
        return self.decode(values)

    def _are_codes(self, values: np.ndarray) -> bool:
        return set(np.unique(values).tolist()) <= self.values.keys()

    def decode(self, pixels: np.ndarray) -> np.ndarray:
        """Turn values [H, W] or colours [H, W, 3] into a label [H, W] uint8.

        Raises:
            PictureError: they hold what is no code: named, with the number of pixels.
        """
        kind, codes = "values", self.values
        if pixels.ndim == 3:
            kind, pixels = "colours", pixels.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
            codes = {(red << 16) + (green << 8) + blue: label for (red, green, blue), label in self.colours.items()}
        if not codes:
            raise PictureError(f"holds {kind}, which the masks of this data set do not")
        known = np.array(sorted(codes))
        places = np.searchsorted(known, pixels).clip(max=len(known) - 1)
        if np.array_equal(known[places], pixels):
            return np.array([codes[code] for code in known.tolist()], np.uint8)[places]
        raise PictureError(f"holds {kind} that are no codes of this data set: {_unknown(pixels, known, kind)}")


def read_grey(path: Path) -> np.ndarray:
    """Read a mask of dark and bright pixels as [H, W] uint8, 0 to 255, whatever its palette.

    Raises:
        PictureError: no picture, damaged, or too large.
    """
    with _opened(path) as mask:
        return np.array(mask.convert("L"))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    mask = load(path).opened
    if mask is None:
        raise PictureError("not a picture that a mask could be: save it as PNG")
    with decoding("not a picture, or damaged"):
        yield mask


def _unknown(pixels: np.ndarray, known: np.ndarray, kind: str) -> str:
    found, counts = np.unique(pixels[~np.isin(pixels, known)], return_counts=True)
    named = []
    for code, count in list(zip(found.tolist(), counts.tolist(), strict=True))[:_NAMED_AT_MOST]:
        value = code if kind == "values" else (code >> 16, code >> 8 & 255, code & 255)
        named.append(f"{value} in {count} pixels")
    more = [f"{len(found) - _NAMED_AT_MOST} more"] if len(found) > _NAMED_AT_MOST else []
    return ", ".join(named + more)

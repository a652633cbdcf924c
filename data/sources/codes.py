"""What the pixels of a published data set's masks mean: values, indices of a palette, or colours."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from core.classes import RGB
from data.pictures import MAX_PIXELS, PictureError

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

        Raises:
            PictureError: it cannot be read, or holds what is no code: named, with the number of pixels.
        """
        return self.decode(read_pixels(path))

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


def read_pixels(path: Path) -> np.ndarray:
    """Read a mask as it is: values or indices of a palette [H, W], or colours [H, W, 3] uint8; 1 bit is 0 and 255.

    Raises:
        PictureError: no picture, damaged, too large, a JPEG (whose pixels are only near to what was meant), or of a
            kind that codes nothing.
    """
    with _opened(path) as mask:
        if mask.format in ("JPEG", "MPO"):
            raise PictureError("a JPEG, whose pixels are only near to the codes: use the official masks")
        if mask.mode not in ("1", "L", "P", "RGB", "I", "I;16"):
            raise PictureError(f"{mask.format} of mode {mask.mode}; a mask holds values, a palette or RGB colours")
        return np.array(mask.convert("L") if mask.mode == "1" else mask)


def read_grey(path: Path) -> np.ndarray:
    """Read a mask of dark and bright pixels as [H, W] uint8, 0 to 255, whatever its palette.

    Raises:
        PictureError: no picture, damaged, or too large.
    """
    with _opened(path) as mask:
        return np.array(mask.convert("L"))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    data = path.read_bytes()
    try:
        with Image.open(BytesIO(data)) as mask:
            if mask.width * mask.height > MAX_PIXELS:
                raise PictureError(f"{mask.width} x {mask.height} is more than {MAX_PIXELS} pixels")
            yield mask
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError(f"more than {MAX_PIXELS} pixels") from None
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError) as error:
        raise PictureError(f"not a picture, or damaged: {error}") from None


def _unknown(pixels: np.ndarray, known: np.ndarray, kind: str) -> str:
    found, counts = np.unique(pixels[~np.isin(pixels, known)], return_counts=True)
    named = []
    for code, count in list(zip(found.tolist(), counts.tolist(), strict=True))[:_NAMED_AT_MOST]:
        value = code if kind == "values" else (code >> 16, code >> 8 & 255, code & 255)
        named.append(f"{value} in {count} pixels")
    more = [f"{len(found) - _NAMED_AT_MOST} more"] if len(found) > _NAMED_AT_MOST else []
    return ", ".join(named + more)

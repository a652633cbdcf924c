"""A mask's pixels as whole numbers, whatever file they were stored in.

The way of storing must not change the meaning, so the same mask gives the same numbers:

- grey of 8 bits and more keeps its values; the largest value of 16 bits, 65535, is white as 255 is;
- colours that are all grey (R = G = B) are that grey: many tools save grey masks as RGB;
- a palette of greys alone gives the greys that it shows, if they tell its indices apart and no palette of the set is
  colourful; the indices of any other palette are the values;
- 1, 2 and 4 bits keep their own numbers (0 to 1, 3, 15) until the whole set tells whether they stand for those or for
  the greys that a viewer shows (0 and 255 of 1 bit): see `data.annotations.coding`;
- where a mask is wholly transparent it is black.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from data.pictures import PictureError, RawMask, raw_mask

Kind = Literal["grey", "narrow", "palette", "colour"]
RGB = tuple[int, int, int]
WHITE, DEEP_WHITE = 255, 65535


@dataclass(frozen=True)
class Canonical:
    """The numbers of one mask.

    Attributes:
        kind: grey values; `narrow` values of 1, 2 or 4 bits; indices of a palette; or packed colours.
        values: [H, W] integers; of colours R x 65536 + G x 256 + B.
        step: of narrow values, from one grey that a viewer shows to the next: 255, 85, 17.
        palette: of indices, the packed colour of each.
        indices: [H, W], where `values` are the greys that a palette shows; None for other masks.
        transparent: pixels that were taken as black because nothing is there.
    """

    kind: Kind
    values: np.ndarray
    step: int = 1
    palette: tuple[int, ...] = ()
    transparent: int = 0
    indices: np.ndarray | None = None

    def as_values(self, spread: bool, by_index: bool = False) -> np.ndarray:
        """Return values [H, W], not for colours.

        Args:
            spread: take narrow ones as the greys that a viewer shows.
            by_index: take a palette's indices even where it shows greys alone.
        """
        assert self.kind != "colour", "colours are no values"
        if by_index and self.indices is not None:
            return self.indices
        return self.values.astype(np.int32) * self.step if spread and self.kind == "narrow" else self.values

    def as_colours(self) -> np.ndarray:
        """Return packed colours [H, W] int32.

        Raises:
            PictureError: grey values beyond 255 are no colours.
        """
        if self.kind == "colour":
            return self.values
        if self.kind == "palette":
            return np.array(self.palette, np.int32)[self.values]
        greys = self.as_values(spread=True).astype(np.int32)
        if greys.min() < 0 or greys.max() > WHITE:
            raise PictureError(f"values {greys.min()} to {greys.max()} beside masks of colours")
        return greys * 0x010101


def read_canonical(path: Path) -> Canonical:
    """Read a mask's numbers.

    Raises:
        PictureError: no mask, damaged, or larger than `data.pictures.MAX_PIXELS`.
    """
    raw = raw_mask(path)
    values = raw.values
    if values.ndim == 3:
        return _of_colours(values)
    if raw.palette:
        return _of_palette(values, raw)
    if raw.header.bits in (1, 2, 4):
        return Canonical("narrow", values, step=WHITE // (2**raw.header.bits - 1))
    if values.dtype != np.uint8 and (white := values == DEEP_WHITE).any():
        if (values == WHITE).any():
            raise PictureError(f"holds {WHITE} and {DEEP_WHITE}, which both mean white: give one another value")
        values = np.where(white, WHITE, values)
    return Canonical("grey", values)


def pack(colour: RGB) -> int:
    """Return a colour as one number."""
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def unpack(number: int) -> RGB:
    """Return the colour of a number."""
    return number >> 16, number >> 8 & 255, number & 255


def _of_colours(values: np.ndarray) -> Canonical:
    transparent = 0
    if values.shape[2] == 4:
        clear = values[..., 3] == 0
        transparent = int(clear.sum())
        values = np.where(clear[..., None], np.uint8(0), values)
    red, green, blue = (values[..., band] for band in range(3))
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return Canonical("grey", red, transparent=transparent)
    # Four bytes a pixel, read as one number: several times faster than shifting each channel.
    packed = cv2.cvtColor(np.ascontiguousarray(values[..., :3]), cv2.COLOR_RGB2BGRA).view("<u4")[..., 0] & 0xFFFFFF
    packed = packed.astype(np.int32)
    return Canonical("colour", packed, transparent=transparent)


def _of_palette(values: np.ndarray, raw: RawMask) -> Canonical:
    if values.max(initial=0) >= len(raw.palette):
        raise PictureError(f"index {values.max()} is beyond its palette of {len(raw.palette)} colours")
    palette = tuple(map(pack, raw.palette))
    if all(red == green == blue for red, green, blue in raw.palette):
        greys = [colour[0] for colour in raw.palette]
        if _tell_apart(greys, np.unique(values).tolist()):
            return Canonical("grey", np.array(greys, np.uint8)[values], palette=palette, indices=values)
    return Canonical("palette", values, palette=palette)


def _tell_apart(greys: list[int], used: list[int]) -> bool:
    """Say whether a palette's greys tell its indices apart.

    All of its own must differ, whichever this mask uses, so that every mask of a set with that palette is read alike.
    Writers fill a palette up with one grey or with a ramp: those entries count only where they are used.
    """
    own = len(greys)
    while own and greys[own - 1] in (greys[-1], own - 1):
        own -= 1
    return len(set(greys[:own])) == own and all(greys.index(greys[index]) == index for index in used)

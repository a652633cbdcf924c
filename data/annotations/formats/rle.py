"""Run lengths: COCO's, as counts or as text, and those of Label Studio's brush.

COCO counts pixels column by column, beginning with those outside. Its text packs each count, from the fourth on less
the one two places before, into characters of five bits (Lin et al. 2014, pycocotools).

Label Studio packs all bytes of an RGBA picture row by row, bit by bit, as thi.ng's `rle-pack`: 32 bits for their
number, 5 for the bits of a value, four times 4 for the bits of a length; then runs, of one value or of several. What
it shows is the alpha.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from data.annotations.formats.region import Size, shown
from data.decoders.opening import PictureError

_MOST_CHARACTERS = 7  # of a count: 35 bits
_LENGTH_BITS = (3, 4, 8, 16)  # of a run in what is written for Label Studio
_OPAQUE = 255


def counts_of(mask: np.ndarray) -> list[int]:
    """Return COCO's counts of a mask [H, W] bool."""
    line = mask.ravel(order="F")
    changes = np.flatnonzero(line[1:] != line[:-1]) + 1
    counts = np.diff(np.concatenate([[0], changes, [line.size]])).tolist()
    return [0, *counts] if line.size and line[0] else counts


def mask_of_counts(counts: Sequence[int], size: Size, where: str) -> np.ndarray:
    """Return the mask [H, W] bool of COCO's counts.

    Raises:
        PictureError: they are no counts, or not as many pixels as the picture has.
    """
    height, width = size
    if wrong := [count for count in counts if type(count) is not int or count < 0]:
        raise PictureError(f"{where}: broken RLE: {shown(wrong[0])} is no count of pixels")
    if (total := sum(counts)) != height * width:
        raise PictureError(
            f"{where}: broken RLE: its counts add up to {shown(total)} pixels, {width} x {height} are needed"
        )
    inside = np.arange(len(counts)) % 2 == 1
    return np.repeat(inside, counts).reshape(width, height).T


def text_of_counts(counts: Sequence[int]) -> str:
    """Return counts as COCO's text."""
    letters = []
    for place, count in enumerate(counts):
        left = count - counts[place - 2] if place > 2 else count
        more = True
        while more:
            bits, left = left & 31, left >> 5
            more = left != (-1 if bits & 16 else 0)
            letters.append(chr(48 + (bits | 32 if more else bits)))
    return "".join(letters)


def counts_of_text(text: str, where: str) -> list[int]:
    """Return the counts of COCO's text.

    Raises:
        PictureError: it is none, or cut.
    """
    counts: list[int] = []
    value = place = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64:
            raise PictureError(f"{where}: broken RLE: {letter!a} stands for no count")
        value |= (bits & 31) << 5 * place
        place += 1
        if bits & 32:
            if place == _MOST_CHARACTERS:
                raise PictureError(f"{where}: broken RLE: a count is larger than any picture")
            continue
        if bits & 16:
            value -= 1 << 5 * place
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = place = 0
    if place:
        raise PictureError(f"{where}: broken RLE: it is cut")
    return counts


def brush_of(mask: np.ndarray) -> list[int]:
    """Return the bytes that Label Studio's brush has for a mask [H, W] bool: opaque inside, clear outside."""
    parts = [f"{4 * mask.size:032b}", f"{8 - 1:05b}", *(f"{bits - 1:04b}" for bits in _LENGTH_BITS)]
    line = mask.ravel()
    ends = np.concatenate([np.flatnonzero(line[1:] != line[:-1]) + 1, [line.size]])
    for start, end in pairwise([0, *ends.tolist()]):
        left, value = 4 * (end - start), f"{_OPAQUE * int(line[start]):08b}"
        while left:
            run = min(left, 2 ** _LENGTH_BITS[-1])
            which = next(place for place, bits in enumerate(_LENGTH_BITS) if run <= 2**bits)
            parts.append(f"1{which:02b}{run - 1:0{_LENGTH_BITS[which]}b}{value}")
            left -= run
    bits = "".join(parts)
    bits += "0" * (-len(bits) % 8)
    return list(int(bits, 2).to_bytes(len(bits) // 8))


def mask_of_brush(packed: Sequence[int], size: Size, where: str) -> np.ndarray:
    """Return the mask [H, W] bool of Label Studio's brush: where its alpha is not clear.

    Raises:
        PictureError: it is cut, or of another number of pixels.
    """
    height, width = size
    if not all(type(byte) is int and 0 <= byte < 256 for byte in packed):
        raise PictureError(f"{where}: broken RLE: it holds what is no byte (0 to 255); counts of pixels are COCO's")
    reader = _Bits(packed, where)
    total, word = reader.read(32), reader.read(5) + 1
    lengths = [reader.read(4) + 1 for _ in range(4)]
    if total != 4 * height * width:
        needed = f"RGBA of {width} x {height} pixels has {4 * height * width}"
        raise PictureError(f"{where}: broken RLE: {total} values, {needed}")
    alphas = np.empty(total, bool)
    done = 0
    while done < total:
        is_run, which = reader.read(1), reader.read(2)
        end = done + 1 + reader.read(lengths[which])
        if end > total:
            raise PictureError(f"{where}: broken RLE: a run goes beyond the picture")
        alphas[done:end] = (
            reader.read(word) > 0 if is_run else [value > 0 for value in reader.several(word, end - done)]
        )
        done = end
    return alphas.reshape(height, width, 4)[..., 3]


class _Bits:
    """Bits of bytes, from the first."""

    def __init__(self, packed: Sequence[int], where: str) -> None:
        self._bits = "".join(map("{:08b}".format, packed))
        self._where = where
        self._at = 0

    def read(self, count: int) -> int:
        """Return the number that the next bits are."""
        found = self._bits[self._at : self._at + count]
        if len(found) < count:
            raise PictureError(f"{self._where}: broken RLE: it is cut")
        self._at += count
        return int(found, 2)

    def several(self, bits: int, count: int) -> Iterator[int]:
        """Yield numbers of so many bits each."""
        return (self.read(bits) for _ in range(count))

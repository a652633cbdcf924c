"""JPEGs: decoders of them are forgiving, fill in grey where data are missing and merely warn.

simplejpeg turns those warnings into errors. Some are about bytes that stand where none belong, as some cameras leave
them, or about a missing end: where every pixel is there, the picture is kept, and it says so.
"""

import re
from collections.abc import Iterator

import numpy as np
import simplejpeg

from data.decoders.opening import PictureError, decoding

_STRAY = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0x([0-9a-f]{2})")
_NO_END = "Premature end of JPEG file"
_END, _SCAN = 0xD9, 0xDA
_RESTARTS = range(0xD0, 0xD8)
_ALONE = (0x01, 0xD8, _END, *_RESTARTS)  # markers that no content follows
_FRAMES = (0xC0, 0xC1, 0xC2)
_COEFFICIENTS = 64  # of a block
# More places with stray bytes, or more places where they may stand, are damage.
_MENDED_AT_MOST, _TRIED_AT_MOST = 8, 64


def decode_jpeg(data: bytes) -> tuple[np.ndarray, list[str]]:
    """Return [H, W, 3] RGB, and what was unusual.

    Raises:
        PictureError: damaged, so that pixels are missing.
    """
    with decoding():
        image, warning = _decoded(data)
        if not warning:
            return image, []
        mended, notes = _mended(data, warning)
        again, still = _decoded(mended)
        # What was taken away must be what no pixel needs.
        if still or not np.array_equal(again, image) or not _is_complete(mended):
            raise PictureError(f"damaged: {warning}")
        return image, notes


def _decoded(data: bytes) -> tuple[np.ndarray, str]:
    """Return a JPEG's pixels, and the first thing that is wrong with it: "" with a whole one.

    Raises:
        ValueError: there are no pixels to be had.
    """
    try:
        return simplejpeg.decode_jpeg(data, colorspace="RGB", strict=True), ""
    except ValueError as error:
        return simplejpeg.decode_jpeg(data, colorspace="RGB", strict=False), str(error)


def _mended(data: bytes, warning: str) -> tuple[bytes, list[str]]:
    """Return a JPEG without bytes where none belong and with its end, as far as that helps, and what was done."""
    strays = 0
    for _ in range(_MENDED_AT_MOST):
        found = _STRAY.match(warning)
        if not found:
            break
        data, warning = _without_strays(data, int(found[1]), int(found[2], 16), warning)
        strays += int(found[1])
    notes = [f"{strays} stray bytes in the JPEG passed over"] if strays else []
    if warning == _NO_END:
        data += bytes((0xFF, _END))
        notes.append("the JPEG's end mark is missing, its pixels are all there")
    return data, notes


def _without_strays(data: bytes, count: int, marker: int, warning: str) -> tuple[bytes, str]:
    """Take so many bytes away before the one of these markers where they stand; returns what is wrong then."""
    places = [place for place, found in _markers(data) if found == marker]
    for place in places[:_TRIED_AT_MOST]:
        tried = data[: place - count] + data[place:]
        _, now = _decoded(tried)
        if now != warning and (not now or now == _NO_END or _STRAY.match(now)):
            return tried, now
    return data, "no place of them helps"


def _is_complete(data: bytes) -> bool:
    """Say whether the scans hold all bits of all coefficients: whole ones could be missing without a trace."""
    components: set[int] = set()
    held: set[tuple[int, int]] = set()  # component, coefficient
    for place, marker in _markers(data):
        content = data[place + 4 : place + 2 + int.from_bytes(data[place + 2 : place + 4])]
        if marker in _FRAMES:
            components = {content[at] for at in range(6, len(content), 3)}
        elif marker == _SCAN:
            first, last, bits = content[-3:]
            if bits & 15 == 0:  # down to the last bit
                held |= {
                    (content[at], which) for at in range(1, len(content) - 3, 2) for which in range(first, last + 1)
                }
    return bool(components) and len(held) == _COEFFICIENTS * len(components)


def _markers(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield place and number of each marker, none of those in the content of another."""
    place = 2
    while (place := data.find(b"\xff", place)) != -1 and place + 1 < len(data):
        marker = data[place + 1]
        if marker in (0x00, 0xFF):  # a byte of the pixels, or one that fills up
            place += 2 if marker == 0x00 else 1
            continue
        yield place, marker
        if marker == _END:
            return
        place += 2
        if marker not in _ALONE:
            place += int.from_bytes(data[place : place + 2])

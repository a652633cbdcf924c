"""What is peculiar to TIFF: its tags, read without any pixel."""

import re
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

from PIL import Image, TiffImagePlugin

from data.decoders.opening import PictureError, require_size

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, DESCRIPTION = 256, 257, 258, 259, 262, 270
ORIENTATION, BANDS, PLANAR, EXTRA_BANDS, SAMPLE_FORMAT = 274, 277, 284, 338, 339
_SUBFILE, _DNG_VERSION = 254, 50706
FLOATING = 3
WHITE_IS_ZERO, _RGB, _CMYK = 0, 2, 5
_SENSOR = (32803, 34892)  # what a camera's sensor counted, not yet a picture
_PREMULTIPLIED, _STRAIGHT = 1, 2

Tags = Mapping[int, Any]


def tags_of(opened: Image.Image) -> Tags:
    """Return the tags of an opened picture's first page, {} where it is no TIFF."""
    return opened.tag_v2 if isinstance(opened, TiffImagePlugin.TiffImageFile) else {}


def tags_in(file: BinaryIO) -> Tags:
    """Return the tags of a TIFF that Pillow does not take: floating-point colours, say.

    Raises:
        PictureError: it is none, or so damaged that it cannot be told.
    """
    try:
        file.seek(0)
        head = file.read(16)
        tags = TiffImagePlugin.ImageFileDirectory_v2(head[:8] if head[2:3] != b"\x2b" else head)
        file.seek(tags.next)
        tags.load(file)
        width, height, _ = int(tags[WIDTH]), int(tags[HEIGHT]), max(tags[BITS])
    except Exception:  # of any kind: in most cases it is no TIFF at all
        raise PictureError("not a picture, or its header is damaged") from None
    require_size(width, height)
    return tags


def refuse_preview(tags: Tags) -> None:
    """See that the first page is the picture.

    Raises:
        PictureError: it is a small copy, or not yet a picture: a camera's raw file.
    """
    # Pages of a file may be called smaller copies of its first; the first may not.
    if int(tags.get(_SUBFILE, 0)) & 1 or _DNG_VERSION in tags or tags.get(PHOTOMETRIC) in _SENSOR:
        raise PictureError("a camera's raw file, or one that begins with a small copy: export it as TIFF or PNG")


def has_alpha(tags: Tags) -> bool:
    """Say whether one of the bands is an alpha."""
    return bool({_PREMULTIPLIED, _STRAIGHT} & set(tags.get(EXTRA_BANDS, ())))


def is_premultiplied(tags: Tags) -> bool:
    """Say whether the colours are stored multiplied by their alpha."""
    return _PREMULTIPLIED in tags.get(EXTRA_BANDS, ())


def is_cmyk(tags: Tags) -> bool:
    """Say whether the bands are those of a printer."""
    return tags.get(PHOTOMETRIC) == _CMYK


def pages_in(tags: Tags) -> int:
    """Return how many pictures ImageJ says stand behind each other as if they were one."""
    said = re.search(r"^ImageJ=.*?^images=(\d+)", str(tags.get(DESCRIPTION, "")), re.DOTALL | re.MULTILINE)
    return int(said[1]) if said else 1


def without_orientation(data: bytes) -> bytes:
    """Return a TIFF's bytes with the orientation of its first page taken back.

    Some decoders turn a TIFF whatever they are asked, others never do: like this all give the pixels as stored.
    """
    order = "<" if data[:2] == b"II" else ">"
    is_big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    # Where the first page's place stands; of its list: how the count is stored, an entry's length, its value's place.
    place, count_format, length, value = (8, "Q", 20, 12) if is_big else (4, "H", 12, 8)
    (start,) = struct.unpack_from(f"{order}{'Q' if is_big else 'I'}", data, place)
    (count,) = struct.unpack_from(f"{order}{count_format}", data, start)
    first = start + struct.calcsize(f"{order}{count_format}")
    patched = bytearray(data)
    for entry in range(first, first + count * length, length):
        if struct.unpack_from(f"{order}H", data, entry)[0] == ORIENTATION:
            struct.pack_into(f"{order}H", patched, entry + 2, 3)  # a short number
            struct.pack_into(f"{order}H", patched, entry + value, 1)
            break
    return bytes(patched)

"""Whether a PNG is whole: its chunks carry check sums, at which OpenCV does not look.

W3C, "Portable Network Graphics (PNG) Specification (Third Edition)", sections 5.3 to 5.5.
"""

import zlib
from struct import unpack_from

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD, _CHECK_SUM = 8, 4  # bytes: length and name before a chunk's content, its check sum behind


def damage_of(data: bytes) -> str | None:
    """Return what is damaged in the bytes of a PNG, None if nothing that changes its pixels is.

    What others may leave out (text, times, profiles) is not looked at, nor what lies behind the end.
    """
    view, place = memoryview(data), len(SIGNATURE)
    while place + _HEAD + _CHECK_SUM <= len(data):
        (length,), name = unpack_from(">I", data, place), data[place + 4 : place + _HEAD]
        end = place + _HEAD + length
        if end + _CHECK_SUM > len(data):
            break
        if _shows(name) and zlib.crc32(view[place + 4 : end]) != unpack_from(">I", data, end)[0]:
            return f"the check sum of its {name.decode('latin-1')!r} is wrong"
        if name == b"IEND":
            return None
        place = end + _CHECK_SUM
    return "it is cut"


def _shows(name: bytes) -> bool:
    """Say whether pixels depend on a chunk: such names begin with a capital, that of transparency aside."""
    return name[:1].isupper() or name == b"tRNS"

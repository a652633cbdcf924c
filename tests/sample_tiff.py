"""TIFFs of any tags, for tests: written here byte by byte, since libraries write the ordinary ones alone."""

import struct

import numpy as np

_TYPES = {3: "H", 4: "I"}


def tiff_of(pixels: np.ndarray, photometric: int, planar: int = 1, **tags: tuple[int, list[int] | bytes]) -> bytes:
    """Return the bytes of a little-endian TIFF without compression, in one strip (a plane).

    Args:
        pixels: [H, W] or [H, W, bands].
        photometric: 0 white is zero, 1 black is zero, 2 RGB, 5 CMYK.
        planar: 1 the bands of a pixel together, 2 a plane a band.
        tags: further ones, named t254 and so on: their type and values, or bytes of text.
    """
    height, width = pixels.shape[:2]
    bands = pixels.shape[2] if pixels.ndim == 3 else 1
    data = (pixels if planar == 1 else np.moveaxis(pixels, 2, 0)).tobytes()
    planes = bands if planar == 2 else 1
    size = len(data) // planes
    entries: list[tuple[int, int, list[int] | bytes]] = [
        (256, 4, [width]),
        (257, 4, [height]),
        (258, 3, [8 * pixels.dtype.itemsize] * bands),
        (259, 3, [1]),
        (262, 3, [photometric]),
        (273, 4, [8 + plane * size for plane in range(planes)]),
        (277, 3, [bands]),
        (278, 4, [height]),
        (279, 4, [size] * planes),
        (284, 3, [planar]),
        (339, 3, [{"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]] * bands),
        *((int(name[1:]), kind, values) for name, (kind, values) in tags.items()),
    ]
    data += b"\0" * (len(data) % 2)
    place = 8 + len(data)
    behind, listed, end = b"", b"", place + 2 + 12 * len(entries) + 4
    for tag, kind, values in sorted(entries):
        raw = values if isinstance(values, bytes) else struct.pack(f"<{len(values)}{_TYPES[kind]}", *values)
        held = raw.ljust(4, b"\0")
        if len(raw) > 4:
            held = struct.pack("<I", end + len(behind))
            behind += raw + b"\0" * (len(raw) % 2)
        listed += struct.pack("<HHI", tag, kind, len(values)) + held
    return b"II" + struct.pack("<HI", 42, place) + data + struct.pack("<H", len(entries)) + listed + bytes(4) + behind

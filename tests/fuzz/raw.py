"""Damage to bytes, whatever they mean."""

from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

ENDS = 96


def damage_bytes(content: bytes, random: Random) -> tuple[str, bytes]:
    """Return what was done, and the damaged bytes."""
    way = random.choice(
        (
            "bit",
            "bit",
            "bit",
            "byte",
            "cut",
            "cut",
            "zeros",
            "appended",
            "inserted",
            "removed",
            "twice",
            "empty",
            "noise",
        )
    )
    size = len(content)
    place = _place(size, random)
    length = random.choice((1, 2, 4, 16, 64, max(1, size // 2)))
    if way == "bit" and size:
        changed = bytearray(content)
        changed[place] ^= 1 << random.randrange(8)
        return f"a bit flipped in byte {place} of {size}", bytes(changed)
    if way == "byte" and size:
        return f"byte {place} of {size} is 0xff", content[:place] + b"\xff" + content[place + 1 :]
    if way == "cut":
        return f"cut to {place} of {size} bytes", content[:place]
    if way == "zeros":
        start, end = random.choice(((0, size // 2), (size // 2, size), (place, min(size, place + length))))
        return f"bytes {start} to {end} of {size} are zero", content[:start] + bytes(end - start) + content[end:]
    if way == "appended":
        return f"{length} bytes appended", content + random.randbytes(length)
    if way == "inserted":
        return f"{length} bytes inserted at {place}", content[:place] + random.randbytes(length) + content[place:]
    if way == "removed":
        return f"{length} bytes removed at {place}", content[:place] + content[place + length :]
    if way == "twice":
        return "its content twice", content * 2
    if way == "noise":
        return "noise in its place", random.randbytes(max(size, 1))
    return "empty", b""


def _place(size: int, random: Random) -> int:
    """Return a place, every other time near one of the ends, where headers and directories are."""
    if not size:
        return 0
    near = min(ENDS, size)
    return random.choice(
        (random.randrange(size), random.randrange(size), random.randrange(near), size - 1 - random.randrange(near))
    )


def replace_pixels(path: Path, random: Random) -> str:
    """Write a PNG of another size, depth or content in a PNG's place."""
    height, width = random.choice(((1, 1), (40, 40), (41, 40), (7, 300), (40, 39)))
    kind = random.choice(("grey", "colour", "alpha", "16 bits", "1 bit"))
    values = np.random.default_rng(random.randrange(2**32)).integers(0, 256, (height, width, 4), dtype=np.uint8)
    pixels = {
        "grey": values[..., 0],
        "colour": values[..., :3],
        "alpha": values,
        "16 bits": values[..., 0].astype(np.uint16) * 257,
        "1 bit": values[..., 0] > 127,
    }[kind]
    path.unlink()
    Image.fromarray(pixels).save(path, format="PNG")
    return f"another picture, {kind}, {height} x {width}"

"""Which pictures weights were trained on: 8 bytes a picture, kept in their header, so that none of them is scored.

A picture counts by its content at original size (`data.preparing.looks`), whatever size or split it was prepared in.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable

import numpy as np

NOTHING = np.array([], np.int64)
UNKNOWN = np.array([0], np.int64)  # stands for pictures that nobody named: of weights and of data of before


def of_contents(contents: Iterable[str]) -> np.ndarray:
    """Return 16 hexadecimal digits each as [N] int64; 0 where a picture's content is not known."""
    return np.array([int(content or "0", 16) for content in contents], np.uint64).view(np.int64)


def united(*seen: np.ndarray) -> np.ndarray:
    """Return all of these pictures, sorted, each once; `UNKNOWN` among them where one of these is."""
    return np.unique(np.concatenate([NOTHING, *seen]))


def named(seen: np.ndarray) -> np.ndarray:
    """Return these pictures without `UNKNOWN`."""
    return seen[seen != UNKNOWN]


def all_named(seen: np.ndarray) -> bool:
    """Say whether these are all pictures, so that one which is not among them was not seen."""
    return not (seen == UNKNOWN).any()


def text_of(seen: np.ndarray) -> str:
    """Return pictures, [N] int64, as a header keeps them: base64 of little-endian bytes."""
    return b64encode(seen.astype("<i8").tobytes()).decode()


def of_text(text: str) -> np.ndarray:
    """Return what `text_of` was given. Raises ValueError for other text."""
    try:
        return np.frombuffer(b64decode(text, validate=True), "<i8").astype(np.int64)
    except (binascii.Error, ValueError):
        raise ValueError("not the base64 of 8 bytes a picture") from None

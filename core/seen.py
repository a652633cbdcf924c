"""Which pictures weights were trained on: 8 bytes a picture, kept in the weights, so that none of them is scored.

A picture counts by its content at original size (`data.preparing.looks`), whatever size or split it was prepared in.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from safetensors import safe_open

from core.header import read_header

# The tensor beside those of the network that holds them, sorted.
SEEN = "pictures_seen"
NOTHING = np.array([], np.int64)


def of_contents(contents: Iterable[str]) -> np.ndarray:
    """Return 16 hexadecimal digits each as [N] int64; 0 where a picture's content is not known."""
    return np.array([int(content or "0", 16) for content in contents], np.uint64).view(np.int64)


def united(*seen: np.ndarray) -> np.ndarray:
    """Return all of these pictures, sorted, each once; what is not known is left out."""
    found = np.unique(np.concatenate([NOTHING, *seen]))
    return found[found != 0]


def read_seen(path: Path) -> np.ndarray:
    """Return the pictures that weights of ours were trained on; none where they do not say, as those of before.

    Raises:
        UserError: as `read_header`.
    """
    read_header(path)  # says what is wrong with a file that is none of ours
    with safe_open(path, framework="np") as file:
        return file.get_tensor(SEEN) if SEEN in file.keys() else NOTHING  # noqa: SIM118 - not a dict

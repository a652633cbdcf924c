"""Randomness as a pure function of numbers, so that a restart, another batch size or another process changes nothing.

Every draw hashes numbers (seed, epoch, image, name of what is drawn) with the finaliser of SplitMix64: Steele, Lea and
Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014. There is no stream whose position could be lost.
"""

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

_MASK = (1 << 64) - 1
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def keys(
    seed: int, epoch: int | np.ndarray, indices: np.ndarray, repeats: np.ndarray | None = None
) -> np.ndarray:  # [N] uint64
    """Return one key an image: a hash of the seed, the epoch, the image's index and how often it was drawn already.

    `epoch` is one number or [N]; `indices` and `repeats` (0 if absent) are [N] integers. Where an epoch draws an image
    more than once (refilled or balanced batches), `repeats` gives each of its copies another augmentation.
    """
    indices = np.asarray(indices, dtype=np.int64)
    repeats = np.zeros_like(indices) if repeats is None else np.asarray(repeats, dtype=np.int64)
    key = _absorb(_absorb(np.zeros(indices.shape, dtype=np.uint64), seed), epoch)
    return _absorb(_absorb(key, indices), repeats)


def uniform(keys: np.ndarray, stream: str, count: int = 1) -> "torch.Tensor":
    """Draw numbers in [0, 1) for each key: float32 on the CPU, [N], or [N, count] for a count above 1.

    A number depends on its key, on `stream` (the name of what is drawn: other names give independent numbers) and on
    its place in the row, and on nothing else.
    """
    import torch  # here, since modules without torch use the rest of this one

    bits = _absorb(_absorb(keys, _number_of(stream))[:, None], np.arange(count))
    # The upper 24 bits: as many as a float32 in [0, 1) holds, so that nothing rounds up to 1.
    numbers = torch.from_numpy((bits >> np.uint64(40)).astype(np.float32) * np.float32(2**-24))
    return numbers[:, 0] if count == 1 else numbers


def symmetric(keys: np.ndarray, stream: str, limit: float, count: int = 1) -> "torch.Tensor":
    """Draw numbers within -limit..limit for each key, as `uniform` does: float64, [N] or [N, count]."""
    return (2 * uniform(keys, stream, count).double() - 1) * limit


def seed_of(*numbers: int) -> int:
    """Return a seed in [0, 2^63) for `torch.manual_seed` or a generator: a hash of the numbers and of their order."""
    key = np.zeros(1, dtype=np.uint64)
    for number in numbers:
        key = _absorb(key, number)
    return int(key[0] >> np.uint64(1))


def permutation(seed: int, epoch: int, n: int) -> np.ndarray:  # [n] int64
    """Return the order in which epoch `epoch` visits the numbers 0 to n - 1."""
    order = _absorb(keys(seed, epoch, np.arange(n)), _number_of("permutation"))
    return np.argsort(order, kind="stable")  # no ties: the hash is one-to-one in the index


def _absorb(key: np.ndarray, number: int | np.ndarray) -> np.ndarray:
    """Mix one more number into the keys; one-to-one in the number for a given key, and in the key for a number."""
    if isinstance(number, int):
        number = np.asarray(np.uint64(number & _MASK))  # negative numbers and those of more than 64 bits wrap around
    word = (key ^ number.astype(np.uint64)) + _GOLDEN  # array arithmetic modulo 2^64
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


def _number_of(name: str) -> int:
    """Hash a name to 64 bits, alike in every process (Python's own `hash` of a string is not)."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")

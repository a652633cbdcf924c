"""The order that a seed gives to names: the same in every order of listing and on every machine."""

from collections.abc import Iterable
from hashlib import sha256


def rank(name: str, seed: int) -> bytes:
    """Return by what a name is sorted: 32 bytes. Names of files need not be text: they hold lone surrogates."""
    return sha256(f"{seed}/{name}".encode("utf-8", "surrogateescape")).digest()


def ranked(names: Iterable[str], seed: int) -> list[str]:
    """Return names in the order of their ranks."""
    return sorted(names, key=lambda name: rank(name, seed))

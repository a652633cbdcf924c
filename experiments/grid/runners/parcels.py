"""Files as they travel between machines that share no disk: a folder or a file, in blocks of bytes."""

import io
import tarfile
from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

BLOCK = 1 << 26
_Kept = TypeVar("_Kept")


def packed(path: Path, name: str, keep: Callable[[bytes], _Kept], without: Container[str] = ()) -> list[_Kept]:
    """Pack a file or a folder.

    Args:
        path: what is packed.
        name: what it is called when it is unpacked.
        keep: is given block after block, so that the whole need not be in memory.
        without: what is left out, `name` included: "run/.lock".

    Returns:
        What `keep` returned of each block.
    """
    blocks = _Blocks(keep)
    with (
        io.BufferedWriter(blocks, BLOCK) as buffered,
        tarfile.open(fileobj=buffered, mode="w|") as archive,
    ):
        archive.add(path, name, filter=lambda entry: None if entry.name in without else entry)
    return blocks.kept


def unpack(blocks: Iterable[bytes], folder: Path) -> None:
    """Unpack into a folder what `packed` made blocks of."""
    with (
        io.BufferedReader(_Joined(blocks), BLOCK) as joined,
        tarfile.open(fileobj=joined, mode="r|") as archive,
    ):
        archive.extractall(folder, filter="data")


class _Blocks(io.RawIOBase):
    """Takes what is written to it, block by block."""

    def __init__(self, keep: Callable[[bytes], Any]) -> None:
        self.kept: list[Any] = []
        self._keep = keep

    def writable(self) -> bool:
        return True

    def write(self, block: Any) -> int:
        self.kept.append(self._keep(bytes(block)))
        return len(block)


class _Joined(io.RawIOBase):
    """Reads blocks as one file."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks: Iterator[bytes] = iter(blocks)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            if (block := next(self._blocks, None)) is None:
                return 0
            self._left = memoryview(block)
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count

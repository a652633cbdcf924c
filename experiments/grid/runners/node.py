"""What a node of a cluster does with a work: on a disk that all share, or on its own.

On its own disk, below `node_dir`, data and weights are kept by their content: what another work brought is not brought
again, and neither is what lies at the same place as where the grid runs. A run folder comes with the work and goes
back with its outcome.
"""

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

from core.errors import UserError
from core.files import file_sha256
from core.filing.writing import require_writable
from data.manifest import ARRAYS, read_manifest
from experiments.grid.run_folder import is_free
from experiments.grid.runners.parcels import packed, unpack
from experiments.grid.workers import Command, Worker

LOOK_SECONDS = 0.1
_INSIDE = "content"  # what a parcel is called where it is unpacked
_Kept = TypeVar("_Kept")


@dataclass(frozen=True)
class Read:
    """Prepared data or weights that a work reads: where they are for the grid, and the digest of their content."""

    path: Path
    content: str


@dataclass(frozen=True)
class Order:
    """What a node is to do.

    Attributes:
        commands: one after the other, until one fails.
        home: the folder that the grid was called in.
        folder: the run folder, as the commands name it.
        reads: what the commands read beside it.
        threads: of the work.
        node_dir: the place on each node's own disk; None where all share one.
    """

    commands: Sequence[Command]
    home: Path
    folder: Path
    reads: tuple[Read, ...]
    threads: int
    node_dir: Path | None


@dataclass(frozen=True)
class Ended:
    """How a work ended.

    Attributes:
        code: the exit code.
        run: the run folder, packed, where disks are not shared.
        said: why it could not begin.
    """

    code: int
    run: list[bytes] | None = None
    said: str | None = None


@dataclass(frozen=True)
class Missing:
    """What has to come along with the work: the digests of contents that the node does not have."""

    contents: tuple[str, ...]


def carry_out(order: Order, run: list[bytes], parcels: Mapping[str, Iterable[bytes]]) -> Ended | Missing:
    """Do what is ordered.

    Args:
        order: the work.
        run: its run folder as it is so far, packed.
        parcels: content -> what was said to be missing before, packed.
    """
    try:
        if order.node_dir is None:
            return Ended(_on_shared_disk(order))
        return _on_own_disk(order, order.node_dir, run, parcels)
    except (UserError, OSError) as error:
        return Ended(2, said=f"node {socket.gethostname()}: {error}")


def _on_shared_disk(order: Order) -> int:
    folder = order.home / order.folder
    if not folder.is_dir():
        raise UserError(
            f"{folder} is not there: let the grid and its nodes share a disk, or give --node_dir, a place on each "
            "node's own"
        )
    os.chdir(order.home)
    return _run(order.commands, order.folder, order.threads)


def _on_own_disk(
    order: Order, node_dir: Path, run: list[bytes], parcels: Mapping[str, Iterable[bytes]]
) -> Ended | Missing:
    require_writable(node_dir, "--node_dir")
    places: dict[Path, Path] = {}
    for read in order.reads:
        if found := _place_of(read, order.home, node_dir, parcels):
            places[read.path] = found
    if missing := tuple(read.content for read in order.reads if read.path not in places):
        return Missing(missing)
    whose = sha256(f"{order.home / order.folder}".encode()).hexdigest()[:8]
    own = node_dir / "runs" / f"{order.folder.name}-{whose}"
    folder = own / _INSIDE
    while not is_free(folder):  # a work of a grid that was killed saves and leaves
        time.sleep(LOOK_SECONDS)
    shutil.rmtree(own, ignore_errors=True)
    unpack(run, own)
    try:
        code = _run(_moved(order.commands, {**places, order.folder: folder}), folder, order.threads)
        return Ended(code, packed_run(folder))
    finally:
        shutil.rmtree(own, ignore_errors=True)


def packed_run(folder: Path) -> list[bytes]:
    """Pack a run folder."""
    return packed(folder, _INSIDE, bytes, without=(f"{_INSIDE}/.lock",))


def replace_run(run: Iterable[bytes], folder: Path) -> None:
    """Put a run folder that came back in the place of the one that was sent; a kill in between leaves none there."""
    staged = folder.with_name(f".{folder.name}.back")
    shutil.rmtree(staged, ignore_errors=True)
    unpack(run, staged)
    shutil.rmtree(folder)
    os.replace(staged / _INSIDE, folder)
    staged.rmdir()


def content_of(path: Path) -> str | None:
    """Return the fingerprint of prepared data or the SHA-256 of a file, None where there is neither."""
    try:
        return read_manifest(path).fingerprint if path.is_dir() else file_sha256(path)
    except (UserError, OSError):
        return None


def _place_of(read: Read, home: Path, node_dir: Path, parcels: Mapping[str, Iterable[bytes]]) -> Path | None:
    """Return where a node has what a work reads, which it unpacks where it came along; None where it has to come."""
    kept = node_dir / "kept" / read.content[:32]
    inside = kept / f"{_INSIDE}{read.path.suffix}"
    for place in (inside, home / read.path):
        if content_of(place) == read.content:
            return place
    if read.content not in parcels:
        return None
    kept.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{kept}.lock"):  # of several works that start together one unpacks
        if content_of(inside) != read.content:
            staged = kept.with_name(f"{kept.name}.tmp")
            for left in (staged, kept):
                shutil.rmtree(left, ignore_errors=True)
            unpack(parcels[read.content], staged)
            os.replace(staged, kept)
    if content_of(inside) != read.content:
        raise UserError(f"{read.path} is no longer what it was when the grid began: stop it and begin again")
    return inside


def pack_read(read: Read, keep: Callable[[bytes], _Kept]) -> list[_Kept]:
    """Pack prepared data, without the arrays that each node builds of them, or weights."""
    name = f"{_INSIDE}{read.path.suffix}"
    return packed(read.path, name, keep, without=(f"{name}/{ARRAYS}",))


def _moved(commands: Sequence[Command], places: Mapping[Path, Path]) -> list[Command]:
    """Return commands that name other places; what lies below one of them moves with it."""

    def moved(word: str) -> str:
        for old, new in places.items():
            if word == str(old) or word.startswith(f"{old}/"):
                return f"{new}{word.removeprefix(str(old))}"
        return word

    return [[module, [moved(word) for word in words]] for module, words in commands]


def _run(commands: Sequence[Command], folder: Path, threads: int) -> int:
    """Run commands in a process, which leaves when Ray interrupts this one or it dies; returns the exit code."""
    process = Worker(commands, folder / "console.txt", threads)
    try:
        while process.poll() is None:
            time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
    assert process.returncode is not None
    return process.returncode

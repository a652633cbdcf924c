"""Arrays of splits on disk: built of the prepared pictures once, and checked whenever they are opened.

They lie beside the pictures, and where nothing can be written there in a cache folder. Their names carry the data's
fingerprint, so that other data never meet an old array. A seal beside each says what its bytes are.
"""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from filelock import FileLock

from core.classes import IGNORED
from core.errors import UserError
from core.files import atomic_path, open_bytes, write_json
from core.filing.json_file import read_json
from core.filing.paths import user_cache
from core.filing.writing import remove_left
from core.terminal.progress import track
from data.manifest import ARRAYS

CHUNK = 64
_LOOKED_AT = 1 << 24  # bytes at a time
Reader = Callable[[str], np.ndarray]


@dataclass(frozen=True)
class Wanted:
    """An array as it has to be: uint8, of this shape.

    Attributes:
        file: its name.
        shape: of the whole.
        what: in words.
        num_classes: of labels; None for pictures.
    """

    file: str
    shape: tuple[int, ...]
    what: str
    num_classes: int | None = None


def folders_of(data_dir: Path, cache_dir: Path | None, fingerprint: str) -> tuple[Path, Path]:
    """Return where arrays may lie: beside the pictures, or in the cache.

    Without `cache_dir` the cache is the user's, $XDG_CACHE_HOME or ~/.cache.
    """
    return data_dir / ARRAYS, (cache_dir or user_cache()) / ARRAYS / fingerprint[:16]


def open_array(folders: Sequence[Path], wanted: Wanted, names: Sequence[str], read: Reader) -> tuple[np.ndarray, bool]:
    """Return an array, memory-mapped, and whether it had to be built.

    Args:
        folders: where it may lie, in this order.
        wanted: what it has to be.
        names: of the pictures, a row each.
        read: reads a row of a name.

    Raises:
        UserError: it is not there, and nothing can be written in any of the folders.
    """
    reasons = []
    for folder in folders:
        if (path := folder / wanted.file).exists() and _is_whole(path, wanted):
            return _opened(path), False
    for folder in folders:
        path = folder / wanted.file
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held = FileLock(f"{path}.lock")
            held.acquire()
        except OSError as error:
            reasons.append(f"{folder}: {os.strerror(error.errno or 0)}")
            continue
        # Of several processes that start together one builds and the others wait; a killed one gives its lock up.
        try:
            built = not (path.exists() and _is_whole(path, wanted))
            if built:
                if path.exists():
                    print(f"note: {path} was cut or altered: it is built again")
                _build(path, wanted, names, read)
        finally:
            held.release()
        return _opened(path), built
    raise UserError(
        f"the arrays that training reads can be written nowhere ({'; '.join(reasons)}): give a folder with --cache_dir"
    )


def _build(path: Path, wanted: Wanted, names: Sequence[str], read: Reader) -> None:
    remove_left(path)
    remove_left(_seal_file(path))
    digest = sha256()
    with atomic_path(path) as temporary:
        with temporary.open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": wanted.shape}
            np.lib.format.write_array_header_1_0(file, header)
            for row in _decoded(read, names, f"array of {wanted.what}"):
                digest.update(np.ascontiguousarray(row).data)
                file.write(np.ascontiguousarray(row).data)
        # Before the array has its name, or else a kill in between could leave what no later call would look for.
        _seal(path, digest.hexdigest(), _stamp(temporary))


def _decoded(read: Reader, names: Sequence[str], what: str) -> Iterator[np.ndarray]:
    with ThreadPoolExecutor() as threads:
        chunks = range(0, len(names), CHUNK)
        for start in track(chunks, what, len(chunks), transient=True):
            yield from threads.map(read, names[start : start + CHUNK])


def _is_whole(path: Path, wanted: Wanted) -> bool:
    """Say whether a file is the array as it was built; where size and time are those of the seal, that is believed."""
    try:
        array = _opened(path)
    except (OSError, ValueError):  # cut, or another file altogether
        return False
    if array.shape != wanted.shape:
        return False
    seal = _seal_of(path)
    if seal is not None and [seal.get("bytes"), seal.get("mtime_ns")] == _stamp(path):
        return True
    if seal is None and not _holds_classes(array, wanted.num_classes):  # built before there were seals
        return False
    digest = sha256()
    for part in _parts(array):
        digest.update(part.data)
    if seal is not None and digest.hexdigest() != seal.get("sha256"):
        return False
    _seal(path, digest.hexdigest(), _stamp(path))
    return True


def _parts(array: np.ndarray) -> Iterator[np.ndarray]:
    flat = array.reshape(-1)
    for start in range(0, len(flat), _LOOKED_AT):
        yield np.ascontiguousarray(flat[start : start + _LOOKED_AT])


def _holds_classes(array: np.ndarray, num_classes: int | None) -> bool:
    if num_classes is None:
        return True
    return not any(((part >= num_classes) & (part != IGNORED)).any() for part in _parts(array))


def _stamp(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def _seal_file(path: Path) -> Path:
    return path.with_suffix(".json")


def _seal_of(path: Path) -> dict[str, object] | None:
    try:
        seal = read_json(_seal_file(path))
    except FileNotFoundError:
        return None
    except (OSError, UserError):
        return {}
    return seal if isinstance(seal, dict) else {}


def _seal(path: Path, digest: str, stamp: list[int]) -> None:
    size, time = stamp
    try:
        write_json(_seal_file(path), {"bytes": size, "mtime_ns": time, "sha256": digest})
    except OSError:  # where nothing can be written the array is looked at every time
        return


def _opened(path: Path) -> np.ndarray:
    """Map an array of uint8. Raises ValueError for a file that is none, or not as long as its header says."""
    with open_bytes(path) as file:
        try:
            np.lib.format.read_magic(file)
            shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
        except Exception as error:  # of the parser of Python, too
            raise ValueError("not an array") from error
        start = file.tell()
    if dtype != np.uint8 or by_columns or path.stat().st_size != start + math.prod(shape):
        raise ValueError("not an array of ours")
    # Nothing can be mapped of an empty array, and a split without masks is legitimate.
    return np.memmap(path, np.uint8, "r", start, shape) if math.prod(shape) else np.empty(shape, np.uint8)

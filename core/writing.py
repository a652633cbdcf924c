"""Folders that are written to: tried before long work begins, by one process at a time, and free of what kills left."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from core.errors import UserError

LOCK = ".lock"
STAGED = ".partial"
_TEMPORARY = re.compile(r"\..+\.\d+\.tmp")  # of `core.files.atomic_path`


def followed(folder: Path, flag: str) -> Path:
    """Return where a folder lies behind all links. Raises UserError where these go round in a circle."""
    try:
        return folder.resolve()
    except (OSError, RuntimeError):
        raise UserError(f"{folder} is a link in a circle: choose another {flag}") from None


def require_writable(folder: Path, flag: str) -> None:
    """Make a folder, through links, and try that files can be written in it.

    Raises:
        UserError: they cannot; `flag` is the setting that names the folder.
    """
    try:
        followed(folder, flag).mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe.{os.getpid()}.tmp"
        probe.touch()
        probe.unlink()
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"{folder} is, or lies below, what is no folder: choose another {flag}") from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise UserError(f"nothing can be written to {folder} ({reason}): choose another {flag}") from None


def lock(folder: Path, flag: str, by: str = "call", name: str = LOCK) -> FileLock:
    """Make a folder and lock it, until the lock is released or the process ends.

    Raises:
        UserError: another process holds the lock, nothing can be written there, or its file system has no locks.
    """
    require_writable(folder, flag)
    held = FileLock(folder / name)
    try:
        held.acquire(timeout=0)
    except Timeout:
        raise UserError(f"{folder} is in use by another {by}: wait for it or choose another {flag}") from None
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise UserError(
            f"{folder / name} could not be locked ({reason}), so two calls could write at once: choose {flag} on "
            "another disk; network file systems may have no locks"
        ) from None
    return held


@contextmanager
def sole_writer(folder: Path, flag: str = "--output_dir", name: str = LOCK) -> Iterator[None]:
    """Let this process alone write to a folder; what a killed one left there goes first. Raises as `lock`."""
    held = lock(folder, flag, name=name)
    try:
        sweep(folder)
        yield
    finally:
        (folder / name).unlink(missing_ok=True)
        held.release()


def sweep(folder: Path) -> None:
    """Remove what a killed process left half written; by the holder of the lock alone."""
    shutil.rmtree(folder / STAGED, ignore_errors=True)
    for place, folders, names in os.walk(folder):
        # A folder below with a lock has a writer of its own.
        folders[:] = [name for name in folders if not Path(place, name, LOCK).exists()]
        for name in filter(_TEMPORARY.fullmatch, names):
            Path(place, name).unlink(missing_ok=True)


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Give an empty folder inside `folder`; its files take their places when the block ends well, those of JSON last.

    Until then `folder` stays as it was, and so it does when the block fails.
    """
    staged = folder / STAGED
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    try:
        yield staged
        publish(staged, folder)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def publish(staged: Path, folder: Path) -> None:
    """Move all files of a folder into another, over those of the same names; JSON, which names the others, last."""
    files = [path for path in staged.rglob("*") if path.is_file()]
    for path in sorted(files, key=lambda path: (path.suffix == ".json", path)):
        target = folder / path.relative_to(staged)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, target)

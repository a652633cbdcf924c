"""Folders that are written to: tried before long work begins, by one process at a time, and free of what kills left."""

import errno
import glob
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from core.errors import UserError
from core.files import write_json
from core.filing.json_file import read_json
from core.filing.paths import real

LOCK = ".lock"
STAGED = ".partial"
UNFINISHED = ".unfinished.json"  # names the files of results of which some may be in place, from before the first one
_TEMPORARY = re.compile(r"\..+\.(\d{1,20})\.tmp")  # of `core.files.atomic_path`


def followed(folder: Path, flag: str) -> Path:
    """Return where a folder lies behind all links. Raises UserError where these go round in a circle."""
    try:
        folder.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UserError(f"{folder} is a link in a circle: choose another {flag}") from None
    return real(folder)


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
def leaving_nothing_empty(folder: Path) -> Iterator[None]:
    """Remove a folder, and those above it, that were not there before and are empty in the end: of a refusal, say."""
    made = [place for place in (real(folder), *real(folder).parents) if not place.exists()]
    try:
        yield
    finally:
        with suppress(OSError):  # the first that holds something
            for place in filter(Path.is_dir, made):
                place.rmdir()


@contextmanager
def sole_writer(
    folder: Path, flag: str = "--output_dir", file: str | None = None, sweeps: bool = True
) -> Iterator[None]:
    """Let this process alone write to a folder, or to one file of it; what a killed one left there goes first.

    Args:
        folder: made where missing, and gone again where nothing came into it.
        flag: the setting that names it.
        file: the one file.
        sweeps: False for a folder below which commands write that lock another one: what is half written is theirs.

    Raises:
        UserError: as `lock`.
    """
    name = f".{file}.lock" if file else LOCK
    with leaving_nothing_empty(folder):
        held = lock(folder, flag, name=name)
        try:
            if file:
                remove_left(folder / file)
            elif sweeps:
                sweep(folder)
            yield
        finally:
            (folder / name).unlink(missing_ok=True)
            held.release()


def sweep(folder: Path) -> None:
    """Remove what a killed process left half written; by the holder of the lock alone."""
    shutil.rmtree(folder / STAGED, ignore_errors=True)
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _is_of_others(Path(place, name))]
        _remove_left(Path(place), names)


def _is_of_others(folder: Path) -> bool:
    """Say whether a folder below is hidden, has a writer of its own, or holds prepared data (or a web page)."""
    return folder.name.startswith(".") or (folder / LOCK).exists() or (folder / "manifest.json").exists()


def remove_left(file: Path) -> None:
    """Remove what a killed process left half written of a file; by the holder of its lock alone."""
    _remove_left(file.parent, (path.name for path in file.parent.glob(f".{glob.escape(file.name)}.*.tmp")))


def _remove_left(folder: Path, names: Iterable[str]) -> None:
    """Remove those of these files that are temporary and of no process that lives."""
    for found in filter(None, map(_TEMPORARY.fullmatch, names)):
        if not _is_at_work(int(found[1])):
            (folder / found[0]).unlink(missing_ok=True)


def _is_at_work(process: int) -> bool:
    """Say whether another process of this number lives; what bears our own number, a killed one left before us."""
    if process == os.getpid():  # the same in every container, say; this one writes nothing before it has swept
        return False
    try:
        with suppress(PermissionError):  # it is of another user
            os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    return True


@contextmanager
def replacing(folder: Path, earlier: Iterable[str] = ()) -> Iterator[Path]:
    """Give an empty folder inside `folder`; its files take their places when the block ends well, those of JSON last.

    Until then `folder` stays as it was, and so it does when the block fails.

    Args:
        folder: the output folder, locked.
        earlier: files of earlier results, relative to it; those that are not replaced go with them.
    """
    staged = folder / STAGED
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    try:
        yield staged
        publish(staged, folder, earlier)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def publish(staged: Path, folder: Path, earlier: Iterable[str] = (), whole: bool = True) -> None:
    """Move all files of a folder into another, over those of the same names; JSON, which names the others, last.

    Args:
        earlier: as of `replacing`.
        whole: False for a part of the results: what was moved stays listed, for the call that replaces it.
    """
    files = [path.relative_to(staged) for path in staged.rglob("*") if path.is_file()]
    earlier = list(earlier)
    write_json(folder / UNFINISHED, sorted({*earlier, *(file.as_posix() for file in files)}))
    for file in {Path(name) for name in earlier} - set(files):
        # What a result names is not believed: nothing outside the folder is touched.
        if real(folder / file).is_relative_to(real(folder)) and (folder / file).is_file():
            (folder / file).unlink()
    for file in sorted(files, key=lambda file: (file.suffix == ".json", file)):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        os.replace(staged / file, folder / file)
    if whole:
        (folder / UNFINISHED).unlink()


def files_named(path: Path) -> list[str]:
    """Return the files that the JSON of earlier results names: figures, and what a prediction wrote, of each
    picture and for labelling tools.

    With them come those of results beside it that a call which was ended left in part.
    """
    content, unfinished = _read_or_none(path), _read_or_none(path.parent / UNFINISHED)
    entries = content if isinstance(content, dict) else {}
    named = [entry.get("file") for entry in [*_objects(entries.get("figures")), *_objects([entries.get("strip")])]]
    named += [entry.get("file") for entry in _objects(entries.get("annotations"))]
    named += [
        record.get(kind) for record in _objects(entries.get("pictures")) for kind in ("mask", "overlay", "figure")
    ]
    files = [name for name in named if isinstance(name, str) and "\0" not in name]
    files += [f"{name.removesuffix('.png')}.svg" for name in files]
    left = unfinished if isinstance(unfinished, list) else []
    return [*files, *(name for name in left if isinstance(name, str) and name and "\0" not in name)]


def _read_or_none(path: Path) -> object:
    try:
        return read_json(path)
    except (OSError, UserError):
        return None


def _objects(entries: object) -> list[dict[str, object]]:
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []

"""The walk over a folder of pictures, the same for preparing, inspecting and predicting.

What this project wrote is never read as input, a folder is entered once whatever links lead there, and one that cannot
be listed is told while the rest goes on.
"""

import fcntl
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from core.errors import UserError
from core.files import open_bytes
from core.filing.kinds import PREDICTION, held
from core.filing.paths import real
from core.filing.writing import LOCK, STAGED, UNFINISHED

Told = Callable[[Path, str], None]  # a file or folder that is not read, and why

HIDDEN = "its name begins with a dot"

# Files of folders in which work goes on, or was ended.
_PASSING = {UNFINISHED: "results of a call that was ended", STAGED: "unfinished work"}
_OF_A_PREDICTION = {"masks", "overlays", "figures"}  # all that a call leaves that was ended


def _ignore(path: Path, reason: str) -> None:
    pass


def walk(root: Path, excluded: Iterable[Path] = (), tell: Told = _ignore) -> Iterator[Path]:
    """Yield all files below a folder, sorted folder by folder; what links to folders lead to comes last.

    Names with a dot first are not read, nor what this project wrote. Links to files, to nothing too, are files here:
    whoever opens them sees.

    Args:
        excluded: folders that are not entered, without a word.
        tell: is told of everything else that is not read.

    Raises:
        UserError: the folder itself is one that this project wrote, or cannot be listed.
    """
    entered = {identity for folder in excluded if (identity := _identity(folder))}
    folders, links = [root], list[Path]()
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        identity = _identity(folder)
        if identity in entered:
            if folder.is_symlink():
                tell(folder, "a link to a folder that is read, or left out, at its own place")
            continue
        if identity:
            entered.add(identity)
        if folder.is_symlink() and folder != root and real(root).is_relative_to(real(folder)):
            tell(folder, "a link back to a folder that holds it")
            continue
        entries, reason = _listed(folder)
        if reason and folder == root:
            raise UserError(f"{root} {reason}: give the folder of the pictures themselves")
        if reason:
            tell(folder, reason)
            continue
        yield from _files(entries, tell)
        below = [Path(entry.path) for entry in entries if _is_folder(entry) and not entry.name.startswith(".")]
        links += [path for path in below if path.is_symlink()]
        folders += [path for path in reversed(below) if not path.is_symlink()]


def written_here(folder: Path, names: Collection[str]) -> str | None:
    """Return what a folder that holds these names is, if this project wrote it."""
    if folder.name.endswith(STAGED):
        return "unfinished work"
    for what in (*held(folder, names), *(what for name, what in _PASSING.items() if name in names)):
        return what
    if LOCK in names and _is_held(folder / LOCK):
        return f"an output folder in use ({LOCK})"
    return PREDICTION if set(names) >= _OF_A_PREDICTION else None


def _listed(folder: Path) -> tuple[list[os.DirEntry[str]], str]:
    """Return what a folder holds in the order of its names, or why it is not read."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        return [], f"cannot be listed: {error.strerror}"
    what = written_here(folder, {entry.name for entry in entries})
    return entries, f"holds {what}, written by this project" if what else ""


def _files(entries: list[os.DirEntry[str]], tell: Told) -> Iterator[Path]:
    for entry in entries:
        if entry.name.startswith("."):
            tell(Path(entry.path), HIDDEN)
        elif not _is_folder(entry):
            yield Path(entry.path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle, say
        return False


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_held(path: Path) -> bool:
    """Say whether a process holds this lock. It is asked without a change: what is looked at may be read-only."""
    try:
        with open_bytes(path) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (OSError, UserError):
        return False
    return False

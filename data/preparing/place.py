"""Where prepared data are built: beside their folder, which then appears whole, or inside a volume's mount point."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.filing.json_file import read_json
from core.filing.writing import LOCK, STAGED, require_writable
from data.manifest import ARRAYS, SPLITS, read_manifest
from data.preparing.differences import differences
from data.preparing.inputs import INPUTS

JOURNAL, SETTINGS, SPLITS_FILE, REPORT = "journal.jsonl", "settings.json", "splits.json", "prepare_report.json"
# What a fresh volume holds.
_OF_VOLUMES = {"lost+found"}
_LAST = "manifest.json"
_FILES = (JOURNAL, SETTINGS, INPUTS, "classes.yaml", SPLITS_FILE, REPORT, _LAST)


def is_empty(output: Path) -> bool:
    """Say whether a folder is not there, or holds nothing but what a volume or a kill left."""
    return not output.exists() or (
        output.is_dir() and {path.name for path in output.iterdir()} <= {*_OF_VOLUMES, STAGED}
    )


def building_place(output: Path) -> Path:
    """Return where to build: OUTPUT.partial, or OUTPUT/.partial where that could not be renamed to OUTPUT.

    Raises:
        UserError: nothing can be written in either.
    """
    inside, beside = output / STAGED, Path(f"{output}.partial")
    if inside.exists() or _must_be_inside(output):
        require_writable(output, "--output_dir")
        return inside
    require_writable(output.parent, "--output_dir")
    return beside


def _must_be_inside(output: Path) -> bool:
    if not output.is_dir():
        return False
    if os.path.ismount(output) or output.stat().st_dev != output.parent.stat().st_dev:
        return True
    return not os.access(output.parent, os.W_OK)


def require_ours(root: Path) -> None:
    """See that a folder is not there, or holds nothing but what an unfinished preparation leaves.

    Raises:
        UserError: it is or holds something else, which is not touched.
    """
    if not root.exists() and not root.is_symlink():
        return
    if root.is_symlink() or not root.is_dir():
        raise UserError(f"{root} is no folder: move it away")
    names = {path.name for path in root.iterdir()}
    foreign = sorted(name for name in names if not _is_of_preparation(name))
    if foreign or (not names <= {LOCK} and _settings_of(root) is None):
        held = (foreign or sorted(names))[0]
        raise UserError(f"{root} holds {held}, which is of no unfinished preparation: move the folder away")


def clear_abandoned(root: Path, settings: dict[str, Any]) -> str:
    """Empty a folder that a preparation with other settings left, but for its lock; returns the difference, "" else."""
    before = _settings_of(root)
    difference = differences(before, settings) if before is not None else ""
    for path in list(root.iterdir()) if difference else ():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()
    return difference


def _settings_of(root: Path) -> dict[str, Any] | None:
    try:
        settings = read_json(root / SETTINGS)
    except (OSError, UserError):
        return None
    return settings if isinstance(settings, dict) and "dataset" in settings else None


def _is_of_preparation(name: str) -> bool:
    """Say whether a file or folder of this name is one that a preparation leaves at its top."""
    temporary = re.fullmatch(r"\.(.+)\.\d+\.tmp", name)  # of `write_json`
    return (temporary[1] if temporary else name) in (*_FILES, *SPLITS, ARRAYS, LOCK)


def goes_on(place: Path, settings: dict[str, Any]) -> bool:
    """Say whether all was built, with these settings, and a kill came before it had taken its place."""
    if not (place / _LAST).is_file() or (place / SETTINGS).exists():
        return False
    try:
        return all(map(_is_of_preparation, (path.name for path in place.iterdir()))) and not differences(
            read_manifest(place).settings, settings
        )
    except UserError:
        return False


def take_place(place: Path, output: Path) -> None:
    """Let what was built become `output`; inside a volume piece by piece, the manifest last.

    Raises:
        UserError: something came there meanwhile.
    """
    (place / LOCK).unlink(missing_ok=True)
    try:
        if place.parent != output:
            os.replace(place, output)
            return
        for path in sorted(place.iterdir(), key=lambda path: path.name == _LAST):
            os.replace(path, output / path.name)
    except OSError as error:
        raise UserError(
            f"{place} holds the prepared data but could not become {output} ({os.strerror(error.errno or 0)}): empty "
            f"{output}; the same command goes on"
        ) from None
    shutil.rmtree(place, ignore_errors=True)

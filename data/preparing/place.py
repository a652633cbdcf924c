"""Where prepared data are built: beside their folder, which then appears whole, or inside a volume's mount point."""

import os
import shutil
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.filing.writing import LOCK, STAGED, require_writable
from data.manifest import read_manifest
from data.preparing.journal import differences, is_of_preparation

# What a fresh volume holds.
_OF_VOLUMES = {"lost+found"}
_LAST = "manifest.json"


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


def goes_on(place: Path, settings: dict[str, Any]) -> bool:
    """Say whether all was built, with these settings, and a kill came before it had taken its place."""
    if not (place / _LAST).is_file() or (place / "settings.json").exists():
        return False
    try:
        return all(map(is_of_preparation, (path.name for path in place.iterdir()))) and not differences(
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

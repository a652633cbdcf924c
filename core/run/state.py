"""The state from which a run goes on: tensors and plain values, read with `weights_only=True`: nothing is unpickled."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import torch

from core.errors import UserError
from core.files import atomic_path

STATE_VERSION = 2
STATE, PREVIOUS_STATE = "state.ckpt", "state.previous.ckpt"


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Write the run state; the one before is kept beside it."""
    content = io.BytesIO()
    torch.save({"format_version": STATE_VERSION, **state}, content)
    with atomic_path(folder / STATE) as temporary:
        temporary.write_bytes(content.getbuffer())
        if (folder / STATE).exists():
            os.replace(folder / STATE, folder / PREVIOUS_STATE)


def load_state(folder: Path) -> dict[str, Any] | None:
    """Return the newest whole run state, None where there is none yet; a damaged one is passed over, and said so.

    Raises:
        UserError: if states are there but all are damaged, or of another format version.
    """
    damaged: list[str] = []
    for name in (STATE, PREVIOUS_STATE):
        path = folder / name
        if not path.exists():
            continue
        if _is_whole(path):
            if damaged:
                print(f"note: {damaged[0]} is damaged; going on from {path.name}")
            return _checked(torch.load(path, map_location="cpu", weights_only=True), path)
        damaged.append(path.name)
    if damaged:
        raise UserError(f"{folder}: {' and '.join(damaged)} damaged: delete the folder to train anew")
    return None


def _checked(state: dict[str, Any], path: Path) -> dict[str, Any]:
    found = state.get("format_version", 1)
    if found != STATE_VERSION:
        raise UserError(
            f"{path} has format version {found}, this code reads {STATE_VERSION}: "
            "choose another --output_dir, or finish the run with the code that began it"
        )
    return state


def _is_whole(path: Path) -> bool:
    # torch.load does not look at the check sums that its zip container carries.
    try:
        with zipfile.ZipFile(path) as container:
            return container.testzip() is None
    except (zipfile.BadZipFile, OSError):
        return False

"""The processed folder: where its files lie and what its manifest says."""

import json
from pathlib import Path
from typing import Any

from core.errors import UserError

FORMAT_VERSION = 1
SPLITS = ("Train", "Val", "Test")
LABEL_FOLDERS = {"Train": "resized_label", "Val": "processed_labels", "Test": "masks"}
CLASS_NAMES = ("background", "cat", "dog")
LABEL_VALUES = (0, 1, 2, 255)


def image_path(root: Path, split: str, name: str) -> Path:
    """The square image, RGB."""
    return root / split / "resized" / f"{name}.png"


def label_path(root: Path, split: str, name: str) -> Path:
    """The square label, values 0, 1, 2, 255."""
    return root / split / LABEL_FOLDERS[split] / f"{name}.png"


def truth_path(root: Path, split: str, name: str, dataset: str) -> Path:
    """The mask at the original size: a trimap (1, 2, 3), or labels for one's own pictures, whose classes a trimap
    cannot name."""
    return root / split / ("original_labels" if dataset == "folder" else "original_trimaps") / f"{name}.png"


def read_manifest(data_dir: Path) -> dict[str, Any]:
    """Read the manifest of a processed folder.

    Raises:
        UserError: if there is none, or it is not one that this version writes.
    """
    path = data_dir / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{data_dir} holds no prepared data (no manifest.json): {prepare_hint(data_dir)}") from None
    except ValueError:
        raise UserError(f"{path} is damaged: delete {data_dir} and {prepare_hint(data_dir)}") from None
    if not isinstance(manifest, dict) or manifest.get("format_version") != FORMAT_VERSION:
        raise UserError(f"{path} is of another version: delete {data_dir} and {prepare_hint(data_dir)}")
    return manifest


def prepare_hint(data_dir: Path) -> str:
    """The remedy that every error about prepared data ends with."""
    return f"run python -m data.prepare --output_dir {data_dir}"

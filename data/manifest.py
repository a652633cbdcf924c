"""The processed folder: where its files lie and what its manifest says."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from core.errors import UserError

FORMAT_VERSION = 1
SPLITS = ("Train", "Val", "Test")
LABEL_FOLDERS = {"Train": "resized_label", "Val": "processed_labels", "Test": "masks"}
CLASS_NAMES = ("background", "cat", "dog")
LABEL_VALUES = (0, 1, 2, 255)

_CHUNK = 1 << 16
_IMAGES = re.compile(r'"images"\s*:\s*\[')


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
    """Read the manifest of a processed folder, without the records of its images: those come from `read_records`.

    Raises:
        UserError: if there is none, or it is not one that this version writes.
    """
    path = data_dir / "manifest.json"
    try:
        with path.open(encoding="utf-8") as file:
            head, _ = _until_images(file)
        manifest = json.loads(head)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{data_dir} holds no prepared data (no manifest.json): {prepare_hint(data_dir)}") from None
    except ValueError:
        raise UserError(f"{path} is damaged: delete {data_dir} and {prepare_hint(data_dir)}") from None
    if not isinstance(manifest, dict) or manifest.get("format_version") != FORMAT_VERSION:
        raise UserError(f"{path} is of another version: delete {data_dir} and {prepare_hint(data_dir)}")
    return manifest


def read_records(data_dir: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of all images one by one, so that a large manifest need not be in memory.

    Raises:
        UserError: the manifest is cut or damaged.
    """
    path = data_dir / "manifest.json"
    try:
        with path.open(encoding="utf-8") as file:
            _, text = _until_images(file)
            yield from _objects(text, file)
    except ValueError:
        raise UserError(f"{path} is damaged: delete {data_dir} and {prepare_hint(data_dir)}") from None


def _until_images(file: TextIO) -> tuple[str, str]:
    """Return the manifest without its images, which stand last in it, and the text behind their opening bracket."""
    text = ""
    while not (found := _IMAGES.search(text)):
        if not (chunk := file.read(_CHUNK)):
            return text, ""
        text += chunk
    return text[: found.start()].rstrip().removesuffix(",") + "}", text[found.end() :]


def _objects(text: str, file: TextIO) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON list, the last of a JSON object: `text` is its beginning, `file` holds the rest.

    Raises:
        ValueError: it is not one, or ends early.
    """
    decoder, place = json.JSONDecoder(), 0
    while True:
        try:
            place = _skip(text, place)
            if text[place] == "]":
                break
            item, place = decoder.raw_decode(text, place)
        except (ValueError, IndexError):  # perhaps cut at the end of what was read
            if not (chunk := file.read(_CHUNK)):
                raise ValueError("the list has no end") from None
            text, place = text[place:] + chunk, 0
            continue
        yield item
    if (text[place + 1 :] + file.read()).strip() != "}":
        raise ValueError("something follows the list")


def _skip(text: str, place: int) -> int:
    while text[place] in ", \t\r\n":
        place += 1
    return place


def prepare_hint(data_dir: Path) -> str:
    """The remedy that every error about prepared data ends with."""
    return f"run python -m data.prepare --output_dir {data_dir}"

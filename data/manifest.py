"""The processed folder: where its files lie and what its manifest says."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from core.classes import ClassSet
from core.errors import UserError

FORMAT_VERSION = 2
SPLITS = ("Train", "Val", "Test")
LABEL_FOLDERS = {"Train": "resized_label", "Val": "processed_labels", "Test": "masks"}

_CHUNK = 1 << 16
_IMAGES = re.compile(r'"images"\s*:\s*\[')


def image_path(root: Path, split: str, name: str) -> Path:
    """The picture as training reads it, RGB or grey."""
    return root / split / "resized" / f"{name}.png"


def label_path(root: Path, split: str, name: str) -> Path:
    """Its label: indices of classes, 255."""
    return root / split / LABEL_FOLDERS[split] / f"{name}.png"


def truth_path(root: Path, split: str, name: str) -> Path:
    """The label at the picture's original size."""
    return root / split / "original_labels" / f"{name}.png"


def trimap_path(root: Path, split: str, name: str) -> Path:
    """What format 1 kept instead for Pets: the trimap (1, 2, 3) at the picture's original size."""
    return root / split / "original_trimaps" / f"{name}.png"


def read_manifest(data_dir: Path) -> dict[str, Any]:
    """Read the manifest of a processed folder, without the records of its images: those come from `read_records`.

    One of format 1 comes in the form of today, with `trimaps` saying whether its truth is kept as trimaps.

    Raises:
        UserError: if there is none, or it is not one that this version reads.
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
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if version not in (1, FORMAT_VERSION):
        raise UserError(f"{path} is of another version: delete {data_dir} and {prepare_hint(data_dir)}")
    return _of_format_1(manifest) if version == 1 else {"trimaps": False, **manifest}


def classes_of(manifest: Mapping[str, Any], data_dir: Path) -> ClassSet:
    """Return the classes that a manifest names; raises UserError where it names none."""
    return ClassSet.of(manifest.get("class_set"), str(data_dir / "manifest.json"))


def _of_format_1(manifest: dict[str, Any]) -> dict[str, Any]:
    own_pictures = manifest["dataset"] == "folder"
    names = {"synthetic": "drawn_pets"}
    classes = ClassSet(tuple(manifest["class_names"]), ignored_is="unknown" if own_pictures else "border")
    return {
        **{key: value for key, value in manifest.items() if key != "class_names"},
        "dataset": names.get(manifest["dataset"], manifest["dataset"]),
        "size": [manifest["size"]] * 2,
        "channels": 3,
        "class_set": classes.content(),
        "stratum": "species",
        "tags": ["breed", "species"],
        "trimaps": not own_pictures,
        "counts": {
            split: {name: counts[name] for name in ("images", "labelled")}
            for split, counts in manifest["counts"].items()
        },
    }


def read_records(data_dir: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of all images one by one, so that a large manifest need not be in memory.

    Those of format 1 come in the form of today; which classes a picture holds they did not say.

    Raises:
        UserError: the manifest is cut or damaged.
    """
    path = data_dir / "manifest.json"
    try:
        with path.open(encoding="utf-8") as file:
            _, text = _until_images(file)
            for record in _objects(text, file):
                yield record if "tags" in record else _record_of_format_1(record)
    except ValueError:
        raise UserError(f"{path} is damaged: delete {data_dir} and {prepare_hint(data_dir)}") from None


def _record_of_format_1(record: dict[str, Any]) -> dict[str, Any]:
    tags = {name: record[name] for name in ("species", "breed") if record[name] is not None}
    geometry = {name: value for name, value in record["geometry"].items() if name != "size"}
    canvas = dict.fromkeys(("canvas_height", "canvas_width"), record["geometry"]["size"])
    known = {name: record[name] for name in ("name", "split", "labelled")}
    return {**known, "tags": tags, "classes": [], "geometry": {**geometry, **canvas}}


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

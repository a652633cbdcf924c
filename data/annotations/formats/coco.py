"""COCO's JSON of instances (Lin et al. 2014): pictures, categories, and annotations as polygons or run lengths.

Written are run lengths, which every pixel survives; CVAT, Label Studio's converter, FiftyOne and pycocotools take them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.classes import ClassSet
from core.errors import UserError
from core.files import write_json
from data.annotations.formats.polygons import filled, ring_of
from data.annotations.formats.region import Category, Region, Size, require_size, shown
from data.annotations.formats.rle import counts_of, counts_of_text, mask_of_counts, text_of_counts
from data.annotations.formats.written import Written, looked_for
from data.decoders.opening import PictureError

FILE = "annotations_coco.json"
NEEDED = ("images", "annotations", "categories")


@dataclass(frozen=True)
class Coco:
    """A file of COCO; what it lists without an annotation is a labelled picture of background."""

    categories: Sequence[Category]
    pictures: Mapping[str, str]
    images: Mapping[str, dict[str, Any]]
    annotations: Mapping[str, Sequence[dict[str, Any]]]
    names: Mapping[Any, str]
    notes: Sequence[str] = ()
    files: Sequence[Path] = ()
    title: str = "COCO"

    def regions(self, path: Path, key: str, size: Size) -> Iterator[Region]:
        """Yield the regions of a picture; those of `iscrowd` are ignored. Raises as `Annotations.regions`."""
        image = self.images[key]
        require_size([image.get("height"), image.get("width")], size, shown(image["file_name"]))
        for entry in self.annotations.get(key, ()):
            where = f"annotation {shown(entry['id'])} of {shown(image['file_name'])}"
            yield Region(self.names[entry["category_id"]], _mask(entry, size, where), entry.get("iscrowd") == 1)


def read(path: Path, content: dict[str, Any]) -> Coco:
    """Read what a JSON file holds.

    Raises:
        UserError: it is not COCO's, two of its entries share an id, or an id is of nothing in it.
    """
    images, annotations, categories = (_entries(path, content, name) for name in NEEDED)
    for entries, what in ((images, "images"), (annotations, "annotations"), (categories, "categories")):
        _require_ids(path, entries, what)
    for entries, what, key in ((images, "image", "file_name"), (categories, "category", "name")):
        if wrong := [entry["id"] for entry in entries if not isinstance(entry.get(key), str)]:
            raise UserError(f"{path}: {what} {shown(wrong[0])} has no {key}")
        (name, count), *_ = Counter(entry[key] for entry in entries).most_common(1) or [("", 0)]
        if count > 1:
            raise UserError(f"{path}: {shown(name)} is the {key} of {count} entries: give each its own")
    of_images: dict[str, list[dict[str, Any]]] = {}
    known, names = {entry["id"] for entry in images}, {entry["id"]: entry["name"] for entry in categories}
    for entry in annotations:
        for name, there in (("image_id", known), ("category_id", names)):
            found = entry.get(name)
            if type(found) not in (int, str) or found not in there:
                what = "images" if name == "image_id" else "categories"
                raise UserError(f"{path}: annotation {shown(entry['id'])}: {name} {shown(found)} is none of its {what}")
        of_images.setdefault(str(entry["image_id"]), []).append(entry)
    empty = len(images) - len(of_images)
    note = f"{empty} pictures of {path.name} have no annotation: they are labelled, all background"
    return Coco(
        [Category(entry["name"], entry["id"] if type(entry["id"]) is int else None) for entry in categories],
        {str(entry["id"]): entry["file_name"] for entry in images},
        {str(entry["id"]): entry for entry in images},
        of_images,
        names,
        [note] if empty else [],
    )


def _entries(path: Path, content: dict[str, Any], name: str) -> list[dict[str, Any]]:
    entries = content.get(name)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"{path}: {name} is no list of objects, as COCO has it")
    if name == "annotations" and any("segments_info" in entry for entry in entries[:1]):
        raise UserError(f"{path} is COCO's panoptic JSON: its PNG hold the masks; give them as --masks DIR")
    return [{"id": f"number {place}", **entry} for place, entry in enumerate(entries, 1)]


def _require_ids(path: Path, entries: Sequence[dict[str, Any]], what: str) -> None:
    wrong = [entry["id"] for entry in entries if type(entry["id"]) not in (int, str)]
    if wrong:
        raise UserError(f"{path}: {shown(wrong[0])} is no id of {what}")
    # 1 and "1" would be one where ids are words.
    (twice, count), *_ = Counter(str(entry["id"]) for entry in entries).most_common(1) or [("", 0)]
    if count > 1:
        raise UserError(f"{path}: the id {shown(twice)} stands {count} times among its {what}: give each its own")


def _mask(entry: dict[str, Any], size: Size, where: str) -> np.ndarray:
    segmentation = entry.get("segmentation")
    if isinstance(segmentation, list) and segmentation:
        rings = [ring_of(flat, size, where) for flat in segmentation]
        return filled(rings, size, where)
    if not isinstance(segmentation, dict):
        raise PictureError(f"{where} has no segmentation: a box alone is no mask")
    require_size(_pair(segmentation.get("size")), size, f"{where}: broken RLE")
    counts = segmentation.get("counts")
    if not isinstance(counts, str | list):
        raise PictureError(f"{where}: broken RLE: {shown(counts)} are no counts")
    return mask_of_counts(counts_of_text(counts, where) if isinstance(counts, str) else counts, size, where)


def _pair(sizes: Any) -> list[Any]:
    return sizes if isinstance(sizes, list) and len(sizes) == 2 else [None, None]


def write(folder: Path, pictures: Iterable[Written], classes: ClassSet) -> None:
    """Write labels as `annotations_coco.json`: an annotation for each class that a picture holds, as run lengths."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    names = looked_for(classes)
    for number, picture in enumerate(pictures, 1):
        label = picture.label()
        height, width = label.shape
        images.append({"id": number, "file_name": picture.name, "height": height, "width": width})
        for category, c in enumerate(names, 1):
            if (mask := label == c).any():
                found = {"id": len(annotations) + 1, "image_id": number, "category_id": category}
                annotations.append({**found, **_geometry(mask), "iscrowd": 0})
    categories = [{"id": number, "name": classes.names[c]} for number, c in enumerate(names, 1)]
    content = {"images": iter(images), "annotations": iter(annotations), "categories": categories}
    write_json(folder / FILE, content)


def _geometry(mask: np.ndarray) -> dict[str, Any]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    (top, bottom), (left, right) = ((int(found[0]), int(found[-1]) + 1) for found in (rows, columns))
    return {
        "segmentation": {"size": list(mask.shape), "counts": text_of_counts(counts_of(mask))},
        "area": int(mask.sum()),
        "bbox": [left, top, right - left, bottom - top],
    }

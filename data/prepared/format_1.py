"""What prepared data of format 1 say, in the form of today: squares of three classes, in colour, of cats and dogs."""

from collections.abc import Mapping
from typing import Any

from core.classes import default_palette


def head_of_today(head: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest of format 1, without its records, under the names of today; nothing is checked here.

    It counted cats and dogs as well, and kept the truth of Pets as trimaps.
    """
    dataset, names = head.get("dataset"), head.get("class_names")
    own_pictures = dataset == "folder"
    colours = default_palette(len(names), background=0) if isinstance(names, list) else []
    return {
        **head,
        "dataset": "drawn_pets" if dataset == "synthetic" else dataset,
        "size": [head.get("size")] * 2,
        "channels": 3,
        "class_set": {
            "names": names,
            "background": 0,
            "ignored_is": "unknown" if own_pictures else "border",
            "colours": colours,
        },
        "stratum": "species",
        "tags": ["breed", "species"],
        "trimaps": not own_pictures,
    }


def record_of_today(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record of format 1 under the names of today; which classes a picture holds it did not say."""
    tags = {name: record[name] for name in ("species", "breed") if record[name] is not None}
    geometry = {name: value for name, value in record["geometry"].items() if name != "size"}
    canvas = dict.fromkeys(("canvas_height", "canvas_width"), record["geometry"]["size"])
    known = {name: record[name] for name in ("name", "split", "labelled")}
    return {**known, "tags": tags, "classes": [], "geometry": {**geometry, **canvas}}

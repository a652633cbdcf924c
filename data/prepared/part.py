"""A part of prepared data as prepared data of its own, whose files are those of the whole."""

import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import open_text, write_json
from core.filing.json_file import parse_json
from data.manifest import PLACES, SPLITS, prepare_hint, read_records
from data.prepared.fingerprint import FORMAT_VERSION, Seal, fingerprint_of
from data.prepared.streamed import until_images

# What counts the pictures of the whole, for people alone.
_OF_THE_WHOLE = ("pictures_of_classes", "pixels_of_classes", "counts", "fingerprint", "sha256", "images")


def write_part(data_dir: Path, folder: Path, names: Mapping[str, Collection[str]]) -> None:
    """Write a folder of prepared pictures that holds some of another's; it appears whole.

    Args:
        data_dir: prepared pictures.
        folder: not there yet. Its files are links to those of the whole, copies where there can be none.
        names: split -> the pictures that are in it; a split that is not named is empty.

    Raises:
        UserError: the data were prepared before there was a seal.
    """
    with open_text(data_dir / "manifest.json") as file:
        head = parse_json(until_images(file)[0], str(data_dir / "manifest.json"))
    if head["format_version"] != FORMAT_VERSION:
        raise UserError(f"{data_dir} was prepared by an earlier version: delete it and {prepare_hint(data_dir)}")
    records = [record for record in read_records(data_dir) if record["name"] in names.get(record["split"], ())]
    place = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(place, ignore_errors=True)
    for record in records:
        for path in _files(place, record):
            _link(data_dir / path.relative_to(place), path)
    write_json(place / "manifest.json", _manifest(head, records))
    place.rename(folder)


def _files(place: Path, record: Mapping[str, Any]) -> Iterator[Path]:
    paths = PLACES[2].paths if record["labelled"] else PLACES[2].paths[:1]
    return (path(place, record["split"], record["name"]) for path in paths)


def _link(whole: Path, part: Path) -> None:
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(whole, part)
    except OSError:  # another disk, or one that has no links
        shutil.copyfile(whole, part)


def _manifest(whole: Mapping[str, Any], records: list[dict[str, Any]]) -> dict[str, Any]:
    counts = {split: [record["labelled"] for record in records if record["split"] == split] for split in SPLITS}
    head = {name: value for name, value in whole.items() if name not in _OF_THE_WHOLE}
    head["counts"] = {split: {"images": len(found), "labelled": sum(found)} for split, found in counts.items()}
    entries = (
        ({name: value for name, value in record.items() if name not in ("sha256", "content")}, record["sha256"])
        for record in records
    )
    head["fingerprint"] = fingerprint_of(head, entries)
    seal = Seal()
    for record in records:
        seal.add(record)
    return {**head, "sha256": seal.close(head), "images": records}

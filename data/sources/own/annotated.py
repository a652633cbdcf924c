"""Finding the annotations of labelling tools: a JSON file of all pictures, or a folder of a file a picture."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from core.errors import UserError
from core.filing.paths import real
from data.annotations.formats.region import Annotations
from data.annotations.formats.table import FORMATS, READ, Format, read_file
from data.pictures import PictureError
from data.sources.own.listing import Pictures
from data.sources.own.names import printable, stem_of
from data.sources.own.patterns import PICTURE_SUFFIXES
from data.sources.own.twins import TwinError
from data.sources.own.walking import walk

SUFFIXES = tuple(row.suffix for row in FORMATS.values() if row.suffix)
POLYGONS = f"read are {READ}"
_UPLOADED = re.compile(r"[0-9a-f]{8}-(.+)")  # what Label Studio calls a picture that was uploaded


@dataclass(frozen=True)
class Annotated:
    """Annotations, and how pictures got theirs.

    Attributes:
        found_by: in words.
        used: the files that were taken.
        strays: files, or names in the one file, that are of no picture.
    """

    annotations: Annotations
    found_by: str
    used: frozenset[str]
    strays: Sequence[tuple[str, str]]
    notes: Sequence[str]


def find_annotations(pictures: Pictures, images: Path, masks: Path, pattern: str | None) -> Annotated | None:
    """Give pictures their annotations; None where `masks` is a folder of something else.

    Raises:
        UserError: annotations of no known format, of so few pictures that it can hardly be meant, or two of one.
    """
    found = _of_file(pictures, images, masks) if masks.is_file() else _of_folder(pictures, images, masks, pattern)
    if found and pattern:
        raise UserError(
            f"--mask_pattern is of masks, but {masks} holds annotations of {found.annotations.title}: omit it"
        )
    return found


def _of_file(pictures: Pictures, images: Path, path: Path) -> Annotated:
    annotations = read_file(path)
    assert annotations.pictures is not None, "one file holds all pictures"
    given: dict[str, str] = {}
    strays = []
    for key, written in annotations.pictures.items():
        name = _picture(pictures, written)
        if name is None:
            strays.append(written)
        elif name in given:
            raise UserError(f"{path} holds two annotations of the picture {name}: as {given[name]!a} and {written!a}")
        else:
            given[name] = written
            pictures.add_mask(name, key, path)
    total = len(annotations.pictures)
    if 2 * len(given) < min(total, len(pictures)) or not given:
        first = f" (first {strays[0]!a})" if strays else ""
        raise UserError(
            f"{len(given)} of the {total} pictures in {path} are in {images}{first}: give their folder as --images"
        )
    notes = (
        [f"{len(strays)} of the {total} pictures in {path} are not in {images} (first {strays[0]!a})"] if strays else []
    )
    return Annotated(annotations, f"the names in {path.name} ({annotations.title})", _names([path]), (), notes)


def _of_folder(pictures: Pictures, images: Path, folder: Path, pattern: str | None) -> Annotated | None:
    beside = real(folder) == real(images)
    files = list(walk(folder, [] if beside else [images]))
    if (beside and pattern) or (not beside and any(path.suffix.lower() in PICTURE_SUFFIXES for path in files)):
        return None
    found = _format_of(pictures, folder, files)
    if found is None:
        return None
    row, fitting = found
    for path in fitting:
        try:
            pictures.add_mask(stem_of(path, folder), "", path)
        except (TwinError, PictureError):
            raise UserError(f"{path} is a second file of annotations for its picture: remove one") from None
    assert row.read_folder is not None, "a file a picture"
    annotations = row.read_folder(folder)
    known = {*(path.name for path in annotations.files)}
    others = sorted({*files} - {*fitting})
    strays = [path for path in others if path.suffix.lower() == row.suffix and path.name not in known]
    reason = f"not annotations with the name of a picture ({{name}}{row.suffix})"
    told = [(printable(path), reason) for path in strays] if not beside else []
    notes = []
    if len(strays) > len(fitting):
        notes.append(
            f"{len(strays)} {row.suffix} files in {folder} have the name of no picture (first {strays[0].name})"
        )
    return Annotated(annotations, f"{{name}}{row.suffix} ({row.title})", _names(fitting), told, notes)


def _format_of(pictures: Pictures, folder: Path, files: Sequence[Path]) -> tuple[Format, list[Path]] | None:
    """Return the format of which there are files with the names of pictures, and those files; None without any."""
    rows = [row for row in FORMATS.values() if row.read_folder]
    fitting = [(row, [path for path in files if _fits(pictures, path, folder, row)]) for row in rows]
    there = [(row, paths) for row, paths in fitting if paths]
    if len(there) > 1:
        both = " and ".join(f"{paths[0].name} ({row.title})" for row, paths in there)
        raise UserError(
            f"{folder} holds annotations of two formats, {both}: lay those that count in a folder of their own"
        )
    return there[0] if there else None


def _fits(pictures: Pictures, path: Path, folder: Path, row: Format) -> bool:
    stem = stem_of(path, folder)
    return path.suffix.lower() == row.suffix and pictures.find(stem) == stem


def _names(paths: Iterable[Path]) -> frozenset[str]:
    return frozenset(map(printable, paths))


def _picture(pictures: Pictures, written: str) -> str | None:
    """Return the picture that a tool calls so: by as much of its path as fits, else by its own name if one has it."""
    parts = written.replace("\\", "/").split("/")
    for start in range(len(parts)):
        if found := pictures.find("/".join(parts[start:])):
            return found
    last = unquote(parts[-1])
    for tried in (last, *_UPLOADED.findall(last)):
        if found := pictures.find(tried) or pictures.only(tried):
            return found
    return None

"""Predicted masks as pre-annotations, which labelling tools open for a person to correct."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.classes import ClassSet
from core.errors import UserError
from core.filing.paths import readable
from core.filing.words import nearest
from data.annotations.formats.table import FORMATS
from data.annotations.formats.written import Written
from data.pictures import raw_mask


def formats_of(write: str | None) -> tuple[str, ...]:
    """Return the formats that --write names.

    Raises:
        UserError: one is unknown, or none is named.
    """
    names = tuple(dict.fromkeys(name.strip() for name in write.split(","))) if write is not None else ()
    for name in names:
        if name not in FORMATS:
            raise UserError(
                f"write: {name!r} is no format{nearest(name, list(FORMATS))}: there are {', '.join(FORMATS)}"
            )
    return names


def annotation_places(write: str | None, results: Iterable[str]) -> list[str]:
    """Return where the annotations of pictures lie below the output folder, given what their results are called."""
    places = [place for name in formats_of(write) for place in FORMATS[name].places]
    own = [place for place in places if "{result}" in place]
    return [place for place in places if place not in own] + [
        place.format(result=result) for result in results for place in own
    ]


def write_annotations(
    write: str | None,
    records: Mapping[str, Mapping[str, Any]],
    files: Mapping[str, Path],
    results: Mapping[str, str],
    classes: ClassSet,
    folders: tuple[Path, Path],
) -> list[dict[str, str]]:
    """Write the masks of pictures in the formats that --write names.

    Args:
        records: by name, what predictions.json says of each picture.
        files, results: by name, the picture itself and what its results are called.
        folders: where the masks lie now, and where all results will lie.

    Returns:
        format and file of each file that was written.
    """
    here, final = folders
    for name in formats_of(write):
        pictures = (
            Written(
                readable(picture),
                results[picture],
                files[picture],
                partial(_label, here / record["mask"]),
                record["confidence"],
                final,
            )
            for picture, record in records.items()
        )
        FORMATS[name].write(here, pictures, classes)
    return [
        {"format": name, "file": place}
        for name in formats_of(write)
        for place in annotation_places(name, [results[picture] for picture in records])
    ]


def in_words(write: str | None) -> Sequence[str]:
    """Return what people call the formats that --write names."""
    return [FORMATS[name].title for name in formats_of(write)]


def _label(path: Path) -> np.ndarray:
    return raw_mask(path).values.astype(np.uint8)

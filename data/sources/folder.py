"""One's own pictures: a folder of images and, for some, all or none of them, a mask.

How masks are found, what their values mean and how pictures are read is decided once for the whole folder and said
before the work begins; `docs/own_pictures.md` tells the rules. Splits come from the names alone, so a mask that is
added later moves nothing; --splits, --folds and --group_by say otherwise.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from core.files import file_sha256
from data.pictures import Ground, read_picture
from data.preprocessing.pipeline import Preprocessing, read_preprocessed
from data.sources.own.config import ReadingConfig
from data.sources.own.dividing.divide import divide, into_folds
from data.sources.own.dividing.tags import read_tags
from data.sources.own.listing import Pictures, Row
from data.sources.own.survey import Listing, Reading, Watcher, list_pictures, read_listing
from data.sources.own.walking import HIDDEN
from data.sources.source import Sample, Source


@dataclass(frozen=True)
class Understood:
    """One's own pictures as they will be read, and what led to it; pictures with a mask that --splits leaves out."""

    source: Source
    listing: Listing
    reading: Reading
    unnamed: tuple[str, ...]


def read(config: ReadingConfig) -> Source:
    """List one's own pictures, find their masks and decide what those mean; pictures are read later.

    Raises:
        UserError: what was found cannot be used as it is; the message says what would help.
    """
    return understand(config).source


def understand(config: ReadingConfig, watcher: Watcher | None = None) -> Understood:
    """Do what `read` does, and keep what was seen on the way. Raises as `read` does."""
    found = list_pictures(config, watcher)
    tags = _tags(found, config)
    division = divide(found.pictures, tags, config)
    digest = _digest(found, config)
    found.pictures.remove(division.left_out)
    reading = read_listing(found, config, watcher)
    found.pictures.remove(division.held_back)
    passed_over = [*found.passed_over, *division.left_out.items(), *division.held_back.items()]
    source = Source(
        _Samples(found.pictures, division.splits, tags, reading, config.ground),
        reading.classes,
        channels=reading.channels,
        stratum=config.stratify_by,
        official=False,
        drawn=division.drawn,
        group=config.group_by,
        redivide=partial(into_folds, found.pictures, config) if config.folds else None,
        # Hidden files, which systems leave everywhere, would be the first that a person sees.
        passed_over=sorted(passed_over, key=lambda entry: (entry[1] == HIDDEN, entry)),
        details=_details(digest, found, reading),
        notes=_notes(found, reading, division.notes),
        classes_yaml=reading.coding.yaml if reading.coding else "",
    )
    return Understood(source, found, reading, tuple(division.left_out))


def listing(config: ReadingConfig) -> str:
    """Return `Source.details["listing"]` of `read`, without looking into any file: it notices what changed."""
    return _digest(list_pictures(config), config)


def files(config: ReadingConfig) -> Iterator[tuple[str, tuple[Path, ...]]]:
    """Yield the name and the files of each picture, without looking into any file. Raises as `read`."""
    return ((row.name, row.files) for row in list_pictures(config).pictures)


def _tags(found: Listing, config: ReadingConfig) -> dict[str, dict[str, str]]:
    """Return the tags of pictures: of --tag_file, and the folder where there are several."""
    tags = read_tags(config.tag_file, found.pictures.find) if config.tag_file else {}
    by_split = config.splits == Path("folders")
    folders = {name: _folder(name, by_split) for name in found.pictures.names()}
    if len(set(folders.values())) > 1:
        tags = {name: {"folder": folder, **tags.get(name, {})} for name, folder in folders.items()}
    return tags


@dataclass(frozen=True)
class _Samples:
    pictures: Pictures
    splits: Mapping[str, str]
    tags: Mapping[str, Mapping[str, str]]
    reading: Reading
    ground: Ground

    def __len__(self) -> int:
        return len(self.pictures)

    def __iter__(self) -> Iterator[Sample]:
        return map(self._sample, self.pictures)

    def _sample(self, row: Row) -> Sample:
        reading = self.reading
        image = partial(
            read_picture, row.image, channels=reading.channels, value_range=reading.value_range, ground=self.ground
        )
        return Sample(
            name=row.name,
            split=self.splits[row.name],
            file=str(row.image),
            image=image,
            label_file=str(row.masks[0][1]) if row.masks else "",
            label=partial(reading.coding.label, row.masks, (row.height, row.width))
            if reading.coding and row.masks
            else None,
            tags=self.tags.get(row.name, {}),
            stamp=(*row.stamp, _decided(reading)),
            files=row.files,
            preprocessed=partial(self._preprocessed, row) if row.bits > 8 else None,
        )

    def _preprocessed(self, row: Row, preprocessing: Preprocessing) -> tuple[np.ndarray, list[str]]:
        reading = self.reading
        return read_preprocessed(row.image, preprocessing, reading.channels, reading.value_range, self.ground)


def _decided(reading: Reading) -> int:
    """Return a number for how pictures and masks are read: what was prepared otherwise is done again."""
    coding = reading.coding
    how: list[Any] = [reading.channels, reading.value_range]
    if coding:
        labels = [sorted(coding.labels.items()), sorted(coding.layers.items()), coding.rest]
        how += [coding.class_set.content(), coding.reading, coding.spread, coding.binary, labels]
    return int.from_bytes(sha256(json.dumps(how).encode()).digest()[:6])


def _details(digest: str, found: Listing, reading: Reading) -> dict[str, object]:
    details: dict[str, object] = {"listing": digest}
    if reading.value_range:
        details["value_range"] = list(reading.value_range)
    if reading.coding:
        details["masks"] = {
            "found_by": found.found_by,
            "meaning": {meaning.code: meaning.becomes for meaning in reading.coding.meanings[:256]},
        }
    return details


def _notes(found: Listing, reading: Reading, notes: list[str]) -> list[str]:
    labelled = sum(1 for _ in found.pictures.names(labelled=True))
    kinds = "grey" if reading.channels == 1 else "colour"
    by = f", found by {found.found_by}" if reading.coding else ": they serve phase 1 alone"
    first = f"{len(found.pictures)} pictures, read in {kinds}; {labelled} have a mask{by}"
    return [first, *found.notes, *reading.notes, *notes]


def _digest(found: Listing, config: ReadingConfig) -> str:
    return found.pictures.digest(*_setting_files(config, found.annotations.files if found.annotations else ()))


def _setting_files(config: ReadingConfig, more: Iterable[Path]) -> Iterator[str]:
    """Yield a line for each file that the settings name, and for more: what it holds decides too."""
    files = [config.tag_file, config.splits, *(Path(word) for word in config.classes), *more]
    for path in files:
        for file in sorted(path.glob("*.txt")) if path and path.is_dir() else [path]:
            if file and file.is_file():
                yield f"{file.name}\t{file_sha256(file)}"


def _folder(name: str, by_split: bool) -> str:
    folder = name.rpartition("/")[0]
    return (folder.partition("/")[2] if by_split else folder) or "."

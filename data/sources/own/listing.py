"""The pictures of a folder and the masks of each: kept on disk, since a folder may hold any number."""

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

from data.decoders.opening import PictureError
from data.decoders.picture_header import PictureHeader, look_at
from data.on_disk import sorted_rows, temporary_database
from data.sources.own.names import is_text, printable, stem_of, unusable
from data.sources.own.twins import Twin, TwinError, second, settle_pictures
from data.sources.own.walking import walk
from data.sources.source import file_stamp

_TABLE = """CREATE TABLE pictures (
    name TEXT PRIMARY KEY, folder TEXT, stem TEXT, image BLOB, height INTEGER, width INTEGER, bits INTEGER,
    channels INTEGER, orientation INTEGER, masks TEXT DEFAULT '[]', stamp TEXT
) WITHOUT ROWID"""
_SIDEWAYS = (5, 6, 7, 8)  # orientations of EXIF that swap height and width


class Row(NamedTuple):
    """A picture as it was listed: its size upright, its masks as (class, file), the class "" for a file of all, and
    sizes and times of the files."""

    name: str
    image: Path
    height: int
    width: int
    bits: int
    masks: list[tuple[str, Path]]
    stamp: tuple[int, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """The picture and its masks."""
        return (self.image, *(file for _, file in self.masks))


@dataclass
class Facts:
    """How many pictures are of which kind."""

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    channels: Counter[int] = field(default_factory=Counter)
    bits: Counter[int] = field(default_factory=Counter)
    turned: Counter[str] = field(default_factory=Counter)
    unusual: dict[str, list[str]] = field(default_factory=dict)  # what -> files

    def add(self, header: PictureHeader, height: int, width: int, file: str) -> None:
        """Count one more picture."""
        self.sizes[height, width] += 1
        self.formats[header.format] += 1
        self.channels[header.channels] += 1
        self.bits[header.bits] += 1
        self.turned["landscape" if width > height else "portrait" if height > width else "square"] += 1
        odd = {
            "turned by EXIF": header.orientation != 1,
            "can be transparent": header.alpha,
            "of several pages": header.pages > 1,
            "of more bands than are taken": header.bands > header.channels + header.alpha,
        }
        for what, holds in odd.items():
            if holds:
                self.unusual.setdefault(what, []).append(file)


class Pictures:
    """The pictures of a folder in the order of their names."""

    def __init__(self) -> None:
        self._table = temporary_database(_TABLE)
        self._table.execute("CREATE INDEX places ON pictures (folder, stem)")
        self.facts = Facts()

    def __len__(self) -> int:
        return self.ask("SELECT count(*) FROM pictures")

    def __iter__(self) -> Iterator[Row]:
        rows = self._table.execute("SELECT name, image, height, width, bits, masks, stamp FROM pictures ORDER BY name")
        for name, image, height, width, bits, masks, stamp in rows:
            files = [(key, Path(file)) for key, file in json.loads(masks)]
            yield Row(name, _path(image), height, width, bits, files, tuple(json.loads(stamp)))

    def ask(self, query: str, *values: str | int) -> int:
        """Return the one number that a query of the table `pictures` gives."""
        return self._table.execute(query, values).fetchone()[0]

    def names(self, labelled: bool | None = None) -> Iterator[str]:
        """Yield the names in their order: all, or those with or without masks."""
        which = {None: "", True: "WHERE masks != '[]'", False: "WHERE masks = '[]'"}[labelled]
        return (name for (name,) in self._table.execute(f"SELECT name FROM pictures {which} ORDER BY name"))

    def find(self, written: str) -> str | None:
        """Return the picture that a file calls so, with or without its suffix; None if there is none."""
        name = normalize("NFC", written.replace("\\", "/").removeprefix("./"))
        if not is_text(name):
            return None
        for tried in (name, _without_suffix(name)):
            if self._table.execute("SELECT 1 FROM pictures WHERE name = ?", (tried,)).fetchone():
                return tried
        return None

    def only(self, written: str) -> str | None:
        """Return the one picture of that own name, with or without its suffix, in whatever folder; None of several."""
        own = normalize("NFC", written)
        if not is_text(own):
            return None
        query = "SELECT min(name), count(*) FROM pictures WHERE stem IN (?, ?)"
        name, count = self._table.execute(query, (own, _without_suffix(own))).fetchone()
        return name if count == 1 else None

    def within(self, text: str) -> str | None:
        """Return the longest name of a picture that is part of a text; None without one."""
        query = "SELECT name FROM pictures WHERE instr(?, name) > 0 ORDER BY length(name) DESC LIMIT 1"
        found = self._table.execute(query, (text,)).fetchone()
        return found and found[0]

    def add(self, name: str, image: Path, header: PictureHeader) -> None:
        """Add a picture.

        Raises:
            TwinError: its name is taken by one of another suffix.
            PictureError: it is taken by one whose name looks the same.
        """
        folder, _, stem = name.rpartition("/")
        sides = (header.height, header.width)
        height, width = sides[::-1] if header.orientation in _SIDEWAYS else sides
        row = (
            name,
            folder,
            stem,
            os.fsencode(image),
            height,
            width,
            header.bits,
            header.channels,
            header.orientation,
            json.dumps(file_stamp(image)),
        )
        columns = "name, folder, stem, image, height, width, bits, channels, orientation, stamp"
        try:
            self._table.execute(f"INSERT INTO pictures ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        except sqlite3.IntegrityError:
            taken = _path(self._table.execute("SELECT image FROM pictures WHERE name = ?", (name,)).fetchone()[0])
            raise second(Twin(taken, image, name)) from None
        self.facts.add(header, height, width, str(image))

    def add_mask(self, name: str, key: str, mask: Path) -> bool:
        """Give the picture of that name a mask, of one class where `key` names it; False if there is no such picture.

        Raises:
            TwinError: it has one already, of another suffix.
            PictureError: it has one already whose name looks the same.
        """
        found = self._table.execute("SELECT masks, stamp FROM pictures WHERE name = ?", (name,)).fetchone()
        if not found:
            return False
        masks, stamp = json.loads(found[0]), json.loads(found[1])
        for taken, file in masks:
            if taken == key:
                raise second(Twin(Path(file), mask, name, key))
        self._set_masks(name, [*masks, [key, str(mask)]], [*stamp, *file_stamp(mask)])
        return True

    def replace_mask(self, twin: Twin) -> None:
        """Let the second of two mask files count instead of the first."""
        found = self._table.execute("SELECT masks, stamp FROM pictures WHERE name = ?", (twin.name,)).fetchone()
        masks = [[key, str(twin.path) if key == twin.key else file] for key, file in json.loads(found[0])]
        stamps = (file_stamp(Path(file)) for _, file in masks)
        of_image = json.loads(found[1])[: len(file_stamp(twin.path))]
        self._set_masks(twin.name, masks, [*of_image, *chain.from_iterable(stamps)])

    def _set_masks(self, name: str, masks: list[list[str]], stamp: list[int]) -> None:
        query = "UPDATE pictures SET masks = ?, stamp = ? WHERE name = ?"
        self._table.execute(query, (json.dumps(masks), json.dumps(stamp), name))

    def turned_with_masks(self) -> list[str]:
        """Return a sentence where pictures are turned upright whose masks have a size that fits turned or not."""
        which = "FROM pictures WHERE masks != '[]' AND orientation > 1 AND (orientation < 5 OR height = width)"
        if not (count := self.ask(f"SELECT count(*) {which}")):
            return []
        first = _path(self._table.execute(f"SELECT image {which} ORDER BY name").fetchone()[0])
        told = f"{count} pictures with a mask are turned upright by their EXIF orientation (first {printable(first)})"
        return [f"{told}: check that their masks are too, in the preview of data.inspect"]

    def remove(self, names: Iterable[str]) -> None:
        """Take pictures out."""
        self._table.executemany("DELETE FROM pictures WHERE name = ?", ((name,) for name in names))

    def digest(self, *more: str) -> str:
        """Return a digest of names and sizes, and of more lines: it notices files that came, went or changed."""
        rows = self._table.execute("SELECT name, stamp FROM pictures")
        lines = (f"{name}\t{tuple(json.loads(stamp)[::2])}" for name, stamp in rows)
        digest = sha256()
        separator = ""
        for (line,) in sorted_rows(((line,) for line in (*more, *lines)), 1):
            digest.update(f"{separator}{line}".encode())
            separator = "\n"
        return digest.hexdigest()


def list_images(
    pictures: Pictures, images: Path, excluded: Path | None, is_mask: Callable[[Path], bool]
) -> list[tuple[str, str]]:
    """Add the pictures below a folder; returns the files that are none, with the reason.

    Raises:
        UserError: two differ that would get the same name.
    """
    passed_over: list[tuple[str, str]] = []
    twins: list[Twin] = []
    tell = partial(pass_over, passed_over)
    for path in walk(images, [excluded] if excluded else (), tell):
        name = stem_of(path, images)
        if reason := unusable(name, pictures.find):
            tell(path, reason)
        elif not is_mask(path):
            try:
                pictures.add(name, path, look_at(path))
            except PictureError as error:
                tell(path, str(error))
            except TwinError as error:
                twins.append(error.twin)
    pictures.remove(settle_pictures(twins, tell))
    return passed_over


def pass_over(passed_over: list[tuple[str, str]], path: Path, reason: str) -> None:
    """Note a file that is not used, with the reason."""
    passed_over.append((printable(path), reason))


def by_reason(passed_over: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield for each reason how many files are not used for it, and the first."""
    files: dict[str, list[str]] = {}
    for file, reason in passed_over:
        files.setdefault(reason, []).append(file)
    return (f"{len(names)} files passed over: {reason} (first {names[0]})" for reason, names in files.items())


def _without_suffix(name: str) -> str:
    head, dot, suffix = name.rpartition(".")
    return head if dot and "/" not in suffix else name


def _path(stored: bytes) -> Path:
    return Path(os.fsdecode(stored))

"""One's own pictures: a folder of images and, for some, all or none of them, a mask.

A mask is a PNG of one 8-bit channel, values 0 background, 1 cat, 2 dog, 255 ignored, under the same relative name
(`images/a/tom.jpg`, `masks/a/tom.png`). Splits come from the names alone, so a mask that is added later moves nothing.
"""

import json
import os
import sqlite3
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path

from core.errors import UserError
from data.manifest import LABEL_VALUES, SPLITS
from data.on_disk import sorted_rows, temporary_database
from data.pictures import read_mask, read_picture, why_no_picture
from data.sources.source import Sample, Source, file_stamp, hash_places


def read_folder(images: Path, masks: Path | None, val_ratio: float, test_ratio: float, seed: int) -> Source:
    """List one's own pictures, recursively; they are read later. Files and folders that start with a dot are skipped.

    `test_ratio` is a share of all pictures, `val_ratio` a share of those that remain.

    Raises:
        UserError: a folder is missing or empty, two pictures share a name, or no mask fits any picture.
    """
    for folder in (images, masks):
        if folder is not None and not folder.is_dir():
            raise UserError(f"{folder} is not a folder")
    if masks is not None and masks.resolve() == images.resolve():
        raise UserError(f"{images} holds both images and masks: give each a folder of its own")
    pictures = _Pictures()
    passed_over = _list_images(pictures, images, masks)
    if not len(pictures):
        raise UserError(f"{images} holds no picture")
    passed_over += _list_masks(pictures, masks) if masks else []
    pictures.divide(val_ratio, test_ratio, seed)
    return Source(pictures, LABEL_VALUES, sorted(passed_over), {"listing": _listing(pictures)})


class _Pictures:
    """The samples of a folder in the order of their names: kept on disk, since a folder may hold any number."""

    def __init__(self) -> None:
        self._table = temporary_database(
            "CREATE TABLE pictures (name TEXT PRIMARY KEY, image BLOB, mask BLOB, stamp TEXT) WITHOUT ROWID"
        )
        self._places = None

    def __len__(self) -> int:
        return self._table.execute("SELECT count(*) FROM pictures").fetchone()[0]

    def __iter__(self) -> Iterator[Sample]:
        rows = self._table.execute("SELECT name, image, mask, stamp FROM pictures ORDER BY name")
        for place, (name, image, mask, stamp) in zip(self._places, rows, strict=True):
            yield _sample(name, SPLITS[place], _path(image), mask and _path(mask), tuple(json.loads(stamp)))

    def add(self, name: str, image: Path) -> None:
        """Add a picture.

        Raises:
            UserError: its name is taken.
        """
        row = (name, os.fsencode(image), json.dumps(file_stamp(image)))
        try:
            self._table.execute("INSERT INTO pictures (name, image, stamp) VALUES (?, ?, ?)", row)
        except sqlite3.IntegrityError:
            taken = self._table.execute("SELECT image FROM pictures WHERE name = ?", (name,)).fetchone()[0]
            raise UserError(f"{_path(taken)} and {image.name} would get the same name: rename one") from None

    def add_mask(self, name: str, mask: Path) -> bool:
        """Give the picture of that name a mask; False if there is none."""
        found = self._table.execute("SELECT image FROM pictures WHERE name = ?", (name,)).fetchone()
        if found:
            row = (os.fsencode(mask), json.dumps(file_stamp(_path(found[0]), mask)), name)
            self._table.execute("UPDATE pictures SET mask = ?, stamp = ? WHERE name = ?", row)
        return bool(found)

    def divide(self, val_ratio: float, test_ratio: float, seed: int) -> None:
        """Give every picture its split; `test_ratio` is a share of all, `val_ratio` one of those that remain."""
        names = (name for (name,) in self._table.execute("SELECT name FROM pictures ORDER BY name"))
        self._places = hash_places(names, val_ratio, test_ratio, seed)


def _list_images(pictures: _Pictures, images: Path, masks: Path | None) -> list[tuple[str, str]]:
    passed_over = []
    for path in walk(images, masks):
        name = _stem(path, images)
        # Bytes that are no UTF-8 come as lone surrogates, on which OpenCV crashes.
        if not _is_text(name):
            printable = os.fsencode(path).decode(errors="replace")
            passed_over.append((printable, "its name is not valid UTF-8: rename it"))
        elif reason := why_no_picture(path):
            passed_over.append((str(path), reason))
        else:
            pictures.add(name, path)
    return passed_over


def _list_masks(pictures: _Pictures, masks: Path) -> list[tuple[str, str]]:
    passed_over, found = [], False
    for path in walk(masks, None):
        name = _stem(path, masks)
        if path.suffix.lower() == ".png" and _is_text(name) and pictures.add_mask(name, path):
            found = True
        else:
            passed_over.append((str(path), "not a PNG with the relative name of a picture"))
    if not found:
        raise UserError(f"no mask in {masks} fits a picture: images/a/tom.jpg needs masks/a/tom.png")
    return passed_over


def _is_text(name: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _path(stored: bytes) -> Path:
    return Path(os.fsdecode(stored))


def _sample(name: str, split: str, image: Path, mask: Path | None, stamp: tuple[int, ...]) -> Sample:
    return Sample(
        name=name,
        split=split,
        species=None,  # the mask tells it, where there is one
        breed=None,
        file=str(image),
        image=partial(read_picture, image),
        mask_file=str(mask or ""),
        mask=partial(read_mask, mask) if mask else None,
        stamp=stamp,
    )


def walk(root: Path, excluded: Path | None) -> Iterator[Path]:
    """Yield all files below a folder, sorted folder by folder; names with a dot first and `excluded` are skipped.

    Raises:
        OSError: a folder cannot be listed.
    """

    def fail(error: OSError) -> None:
        raise error

    for folder, folders, names in os.walk(root, onerror=fail):
        kept = (Path(folder, name) for name in sorted(folders) if not name.startswith("."))
        folders[:] = [path.name for path in kept if excluded is None or path.resolve() != excluded.resolve()]
        names.sort()
        yield from (Path(folder, name) for name in names if not name.startswith("."))


def _stem(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").as_posix()


def _listing(samples: _Pictures) -> str:
    # Names and sizes, so that a later call notices pictures that came, went or changed.
    digest = sha256()
    separator = ""
    for (line,) in sorted_rows(((f"{sample.name}\t{sample.stamp[::2]}",) for sample in samples), 1):
        digest.update(f"{separator}{line}".encode())
        separator = "\n"
    return digest.hexdigest()

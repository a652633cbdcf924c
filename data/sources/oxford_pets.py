"""Oxford-IIIT Pet in its official layout: `images/*.jpg`, `annotations/{trainval,test}.txt`, `annotations/trimaps/`.

Parkhi, Vedaldi, Zisserman, Jawahar, "Cats and Dogs", CVPR 2012. The official test list is the test split; trainval is
divided into Train and Val by breed. The lists alone decide who belongs where, whatever pictures or masks are at hand.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

from core.errors import UserError
from data.pictures import read_mask, read_picture
from data.sources.source import Sample, Source, file_stamp, held_out

SPECIES = {"1": "cat", "2": "dog"}
TRIMAP_VALUES = (1, 2, 3)


class Entry(NamedTuple):
    """A line of an official list."""

    breed: str
    species: str


def read_pets(images: Path, annotations: Path, val_ratio: float, seed: int) -> Source:
    """List the pets of a folder of images and a folder of annotations; pictures are read later.

    Raises:
        UserError: a list is missing or malformed, a name stands in both lists, or no listed picture is there.
    """
    trainval, test = (read_list(annotations / f"{name}.txt") for name in ("trainval", "test"))
    if both := sorted(set(trainval) & set(test)):
        raise UserError(f"{annotations}: {both[0]} stands in trainval.txt and in test.txt: use the official lists")
    val = held_out({name: entry.breed for name, entry in trainval.items()}, val_ratio, seed)
    splits = {name: "Val" if name in val else "Train" for name in trainval} | dict.fromkeys(test, "Test")
    present = _names(images)
    samples, passed_over = [], []
    for name, entry in sorted((trainval | test).items()):
        if f"{name}.jpg" not in present:
            passed_over.append((f"images/{name}.jpg", "listed, but there is no such file"))
            continue
        samples.append(_sample(images, annotations, name, entry, splits[name]))
    if not samples:
        raise UserError(f"{images} holds none of the {len(splits)} listed pictures: it needs NAME.jpg for each name")
    passed_over += [(f"images/{file}", "not in the official lists") for file in sorted(present - _files(splits, "jpg"))]
    strays = sorted(_names(annotations / "trimaps") - _files(splits, "png"))
    passed_over += [(f"annotations/trimaps/{file}", "not in the official lists") for file in strays]
    return Source(samples, TRIMAP_VALUES, passed_over)


def read_list(path: Path) -> dict[str, Entry]:
    """Read an official list, lines of `name class species breed` (1 cat, 2 dog; # starts a comment).

    Raises:
        UserError: the list is missing, empty or malformed, or names a picture twice.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise UserError(f"{path} is missing: the official annotations hold trainval.txt and test.txt") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a text file: use the official lists") from None
    entries: dict[str, Entry] = {}
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields or line.startswith("#"):
            continue
        if len(fields) != 4 or fields[2] not in SPECIES or Path(fields[0]).name != fields[0]:
            raise UserError(f"{path}, line {number}: {line[:60]!r} is not 'name class species breed', species 1 or 2")
        if fields[0] in entries:
            raise UserError(f"{path}, line {number}: {fields[0]} is listed twice")
        entries[fields[0]] = Entry(fields[0].rpartition("_")[0] or fields[1], SPECIES[fields[2]])
    if not entries:
        raise UserError(f"{path} names no pictures: use the official lists")
    return entries


def _sample(images: Path, annotations: Path, name: str, entry: Entry, split: str) -> Sample:
    image, mask = images / f"{name}.jpg", annotations / "trimaps" / f"{name}.png"
    has_mask = mask.is_file()
    return Sample(
        name=name,
        split=split,
        species=entry.species,
        breed=entry.breed,
        file=f"images/{image.name}",
        image=partial(read_picture, image),
        mask_file=f"annotations/trimaps/{mask.name}",
        mask=partial(read_mask, mask) if has_mask else None,
        stamp=file_stamp(image, mask) if has_mask else file_stamp(image),
    )


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _files(names: dict[str, str], suffix: str) -> set[str]:
    return {f"{name}.{suffix}" for name in names}

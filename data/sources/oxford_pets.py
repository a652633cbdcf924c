"""Oxford-IIIT Pet in its official layout: `images/*.jpg`, `annotations/{trainval,test}.txt`, `annotations/trimaps/`.

Parkhi, Vedaldi, Zisserman, Jawahar, "Cats and Dogs", CVPR 2012. The official test list is the test split; trainval is
divided into Train and Val by breed. The lists alone decide who belongs where, whatever pictures or masks are at hand.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from filelock import FileLock

from core.classes import ClassSet
from core.errors import UserError
from core.files import read_text
from data.pictures import PictureError, read_mask, read_picture
from data.prepare_config import PrepareConfig
from data.sources.fetching.archives import extract
from data.sources.fetching.download import LOCK, Download, download_all, file_md5
from data.sources.layout.lists import divide, folder_lists
from data.sources.source import Sample, Source, file_stamp
from data.trimaps import TRIMAP_VALUES, trimap_to_label

CLASSES = ClassSet(("background", "cat", "dog"), ignored_is="border")
DOWNLOADS = (
    Download("https://thor.robots.ox.ac.uk/pets/images.tar.gz", "5c4f3ee8e5d25df40f4fd59a7f44e54c"),
    Download("https://thor.robots.ox.ac.uk/pets/annotations.tar.gz", "95a8c909bbe2e81eed6a22bccdf3f68f"),
)
ARCHIVES = tuple(file.name for file in DOWNLOADS)
SPECIES = {"1": "cat", "2": "dog"}


class Entry(NamedTuple):
    """A line of an official list."""

    breed: str
    species: str


def read(config: PrepareConfig) -> Source:
    """List the pets of the official archives, which are fetched and unpacked first where needed.

    Raises:
        UserError: the archives or the folders in them are missing or damaged, or as `read_pets` says.
    """
    folder = config.raw_dir if config.download else config.archives
    assert folder is not None, "check_source looks at that"
    if not config.download and not folder.is_dir():
        raise UserError(
            f"{folder} is not a folder: --archives needs one with {' and '.join(file.name for file in DOWNLOADS)}"
        )
    archives = {file.name: folder / file.name for file in DOWNLOADS}
    if not config.download and not all(path.is_file() for path in archives.values()):
        return _unpacked(config, folder)
    config.raw_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(config.raw_dir / LOCK):
        if config.download:
            download_all(DOWNLOADS, folder)
        checksums = {name: file_md5(path) for name, path in archives.items()}
        images, annotations = (_unpack(path, config.raw_dir, checksums[name]) for name, path in archives.items())
    source = read_pets(images, annotations, folder, config)
    source.details["archives"] = {
        file.name: {"md5": checksums[file.name], "official": checksums[file.name] == file.checksum}
        for file in DOWNLOADS
    }
    return source


def _unpack(archive: Path, raw_dir: Path, md5: str) -> Path:
    # The checksum in the folder's name keeps an older unpacking of another archive from being taken for this one.
    top = archive.name.removesuffix(".tar.gz")
    return extract(archive, raw_dir / f"{top}-{md5[:12]}", top)


def _unpacked(config: PrepareConfig, folder: Path) -> Source:
    if missing := [name for name in ("images", "annotations") if not (folder / name).is_dir()]:
        raise UserError(
            f"{folder} lacks {' and '.join(f'{name}.tar.gz' for name in missing)}: it needs both archives, "
            f"or images/ and annotations/ unpacked"
        )
    return read_pets(folder / "images", folder / "annotations", folder, config)


def read_pets(images: Path, annotations: Path, folder: Path, config: PrepareConfig) -> Source:
    """List the pets of a folder of images and a folder of annotations; pictures are read later.

    Lists in `folder`, where the archives lie, win over those of the annotations.

    Raises:
        UserError: a list is missing or malformed, a name stands in both lists, or no listed picture is there.
    """
    trainval, test = (read_list(annotations / f"{name}.txt") for name in ("trainval", "test"))
    if both := sorted(set(trainval) & set(test)):
        raise UserError(f"{annotations}: {both[0]} stands in trainval.txt and in test.txt: use the official lists")
    entries = trainval | test
    own = dict.fromkeys(trainval, "Train") | dict.fromkeys(test, "Test")
    lists = folder_lists([folder], {name: name for name in entries})
    masks = {Path(file).stem for file in _names(annotations / "trimaps")}
    # The lists alone decide, Val by the seed: copies of a picture (Pets holds some 40) are reported, not moved.
    strata = {name: entry.breed for name, entry in entries.items()}
    splits, notes, _ = divide(config, own, lists, masks, strata=strata)
    present = _names(images)
    samples, passed_over = [], []
    for name, entry in sorted((name, entries[name]) for name in splits):
        if f"{name}.jpg" not in present:
            passed_over.append((f"images/{name}.jpg", "listed, but there is no such file"))
            continue
        samples.append(_sample(images, annotations, name, entry, splits[name]))
    if not samples:
        raise UserError(f"{images} holds none of the {len(splits)} listed pictures: it needs NAME.jpg for each name")
    passed_over += [(f"images/{file}", "in no list") for file in sorted(present - _files(splits, "jpg"))]
    strays = sorted(_names(annotations / "trimaps") - _files(splits, "png"))
    passed_over += [(f"annotations/trimaps/{file}", "in no list") for file in strays]
    return Source(samples, CLASSES, stratum="species", passed_over=passed_over, notes=notes)


def read_list(path: Path) -> dict[str, Entry]:
    """Read an official list, lines of `name class species breed` (1 cat, 2 dog; # starts a comment).

    Raises:
        UserError: the list is missing, empty or malformed, or names a picture twice.
    """
    try:
        lines = read_text(path, encoding="utf-8-sig").splitlines()
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
    files = (image, mask) if has_mask else (image,)
    return Sample(
        name=name,
        split=split,
        file=f"images/{image.name}",
        image=partial(read_picture, image),
        label_file=f"annotations/trimaps/{mask.name}",
        label=partial(_label, mask, entry.species) if has_mask else None,
        tags={"species": entry.species, "breed": entry.breed},
        stamp=file_stamp(*files),
        files=files,
    )


def _label(path: Path, species: str) -> np.ndarray:
    trimap = read_mask(path)
    if wrong := sorted(set(np.unique(trimap).tolist()) - set(TRIMAP_VALUES)):
        raise PictureError(f"holds {wrong[:5]}, allowed are {TRIMAP_VALUES}")
    return trimap_to_label(trimap, CLASSES.names.index(species))


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _files(names: dict[str, str], suffix: str) -> set[str]:
    return {f"{name}.{suffix}" for name in names}

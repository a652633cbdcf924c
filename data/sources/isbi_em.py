"""ISBI 2012 EM segmentation: neurons in `train-volume.tif` and `train-labels.tif`, multi-page TIFFs of 8 bits.

Arganda-Carreras et al., "Crowdsourcing the creation of image segmentation algorithms for connectomics", Frontiers in
Neuroanatomy 2015; Cardona et al., PLoS Biology 2010. Labels are 0 membrane and 255 cell; membranes are looked for, so
cell is the background. The challenge's own test has no public labels: the last slices are Test, the block before them
is Val, so that no slice of Test is the neighbour of one of Train. `slices.txt`, a number a line, says which slices of
the stack the pages are, where some are missing.
"""

from functools import partial
from pathlib import Path

import numpy as np

from core.classes import ClassSet
from core.errors import UserError
from core.files import read_text
from data.decoders.opening import decoding, open_file, open_picture
from data.pictures import PictureError, look_at
from data.prepare_config import PrepareConfig
from data.sources.fetching.official import Official
from data.sources.layout.listed import with_val
from data.sources.layout.lists import folder_lists
from data.sources.source import Sample, Source, file_stamp

CLASSES = ClassSet(("cell", "membrane"))
MEMBRANE, CELL = 0, 255
VOLUME, LABELS, NUMBERS, TEST = "train-volume.tif", "train-labels.tif", "slices.txt", "test-volume.tif"


def read(config: PrepareConfig) -> Source:
    """List the slices.

    Raises:
        UserError: a file is missing or no TIFF, or the numbers of pages differ.
    """
    official = Official(config, ())
    base = official.require(VOLUME, LABELS)
    pages, labelled = (_count_pages(base / name) for name in (VOLUME, LABELS))
    if pages != labelled:
        raise UserError(f"{base}: {VOLUME} has {pages} pages, {LABELS} {labelled}: use the official files")
    numbers = _read_numbers(base / NUMBERS, pages)
    names = {_name(number): str(number) for number in sorted(numbers)}
    lists = folder_lists((official.folder, base), names)
    splits = with_val(lists.splits, config.val_ratio, config.seed)
    splits = splits or dict(zip(names, _blocks(pages, config.val_ratio, config.test_ratio), strict=True))
    placed = [(page, _name(number)) for page, number in enumerate(numbers)]
    samples = [_sample(base, page, name, splits[name]) for page, name in placed if name in splits]
    unused = [(f"{VOLUME}, page {page}", "in no list") for page, name in placed if name not in splits]
    if (base / TEST).exists():
        unused.append((TEST, "the labels of the challenge's test are not public"))
    return Source(samples, CLASSES, channels=1, passed_over=unused, details=official.details, notes=lists.notes)


def read_label(path: Path, page: int) -> np.ndarray:
    """Read a page of the labels as [H, W] uint8: 0 cell, 1 membrane.

    Raises:
        PictureError: the page is damaged, or holds other values than 0 and 255.
    """
    pixels = read_page(path, page)
    if other := sorted(set(np.unique(pixels).tolist()) - {MEMBRANE, CELL}):
        raise PictureError(f"page {page} holds {other[:5]}, allowed are {MEMBRANE} membrane and {CELL} cell")
    return (pixels == MEMBRANE).astype(np.uint8)


def read_page(path: Path, page: int) -> np.ndarray:
    """Read a page of a TIFF as [H, W] uint8.

    Raises:
        PictureError: it is damaged, or no grey picture of 8 bits.
    """
    with open_file(path) as file, decoding(f"page {page} is damaged"):
        pages = open_picture(file)
        if pages is None:
            raise PictureError("not a TIFF, or its header is damaged")
        pages.seek(page)
        if pages.mode != "L":
            raise PictureError(f"page {page} has mode {pages.mode}; it must be grey with 8 bits")
        return np.array(pages)


def _count_pages(path: Path) -> int:
    try:
        return look_at(path).pages
    except PictureError as error:
        raise UserError(f"{path} is no TIFF or damaged ({error}): use the official file") from None


def _read_numbers(path: Path, pages: int) -> list[int]:
    """Read the number of each page's slice; without a list they are counted from 0."""
    if not path.is_file():
        return list(range(pages))
    words = read_text(path, encoding="utf-8-sig", errors="replace").split()
    if not all(word.isdecimal() for word in words) or len(set(words)) != len(words) or len(words) != pages:
        raise UserError(f"{path} must hold {pages} different numbers, one a page of {VOLUME}, a line each")
    return [int(word) for word in words]


def _blocks(count: int, val_ratio: float, test_ratio: float) -> list[str]:
    """Return the splits of slices in their order: Train, then a block of Val, then one of Test."""
    test = round(test_ratio * count)
    val = round(val_ratio * (count - test))
    return ["Train"] * (count - test - val) + ["Val"] * val + ["Test"] * test


def _name(number: int) -> str:
    return f"slice_{number:02d}"


def _sample(base: Path, page: int, name: str, split: str) -> Sample:
    def image() -> tuple[np.ndarray, list[str]]:
        return read_page(base / VOLUME, page), []

    return Sample(
        name=name,
        split=split,
        file=f"{VOLUME}, page {page}",
        image=image,
        label_file=f"{LABELS}, page {page}",
        label=partial(read_label, base / LABELS, page),
        stamp=file_stamp(base / VOLUME, base / LABELS),
        files=(base / VOLUME, base / LABELS),
    )

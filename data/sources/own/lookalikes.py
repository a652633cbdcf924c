"""Pictures that look like masks, or have labels beside them, where no masks are given."""

import re
from collections import Counter
from itertools import islice, permutations
from pathlib import Path

from core.errors import UserError
from data.annotations.scan import count_mask
from data.pictures import PictureError
from data.sources.own.annotated import SUFFIXES
from data.sources.own.listing import Pictures
from data.sources.own.names import stem_of
from data.sources.own.patterns import named_like_masks, siblings

_MASK_WORDS = re.compile(
    r"(.*[_-])?(masks?|labels?|gt|ground_?truths?|targets?|seg)[_-]?(tr|ts|va|te|train|val|test)?|.*annot.*|.*segmentation.*"
)
# Pictures without masks of which so few, with so few values, could be masks themselves.
_LOOKED_AT = 5
_VALUES_OF_MASKS = 8


def refuse_masks_among_pictures(pictures: Pictures, images: Path) -> None:
    """See that no pictures are masks of others: by their names, or by two folders of one listing, grey and in colour.

    Raises:
        UserError: some look like it; it says how they would be read.
    """
    for text, pairs, _ in siblings(pictures):
        if pairs > 1:
            raise UserError(
                f"{pairs} pictures in {images} look like masks of others ({text}): move them to a folder for --masks, "
                f"or give --mask_pattern '{text}' and no --masks"
            )
    for text, count in named_like_masks(pictures):
        if count > 1 and 3 * count >= len(pictures):
            raise UserError(
                f"{count} of {len(pictures)} pictures in {images} are called like masks ({text}): move them to a "
                f"folder for --masks with the names of their pictures, or give --mask_pattern with their exact ending"
            )
    tops = Counter(name.partition("/")[0] for name in pictures.names() if "/" in name)
    for top, other in permutations(tops, 2):
        pairs, grey_in_colour = _pairs(pictures, top, other)
        named_so = _MASK_WORDS.fullmatch(top.lower()) and not _MASK_WORDS.fullmatch(other.lower())
        if 2 * pairs >= tops[top] and (named_so or 2 * grey_in_colour >= tops[top] > 1):
            raise UserError(
                f"{pairs} pictures in {images / top} look like masks of those in {images / other}: give "
                f"--images {images / other} --masks {images / top}"
            )


def polygons_among(passed_over: list[tuple[str, str]], pictures: Pictures, images: Path) -> list[str]:
    """Return a sentence where half of the pictures have a file of polygons beside them, as of labelme or YOLO."""
    files = [Path(file) for file, _ in passed_over if Path(file).suffix.lower() in SUFFIXES]
    beside = [file for file in files if pictures.find(stem_of(file, images))]
    if not beside or 2 * len(beside) < len(pictures):
        return []
    told = f"{len(beside)} files beside pictures are not read (first {beside[0]})"
    return [f"{told}: --masks {images} reads them, if they are labels (labelme, YOLO)"]


def masks_for_pictures(pictures: Pictures) -> list[str]:
    """Return a sentence where the first pictures hold so few values as masks do."""
    first = [row.image for row in islice(pictures, _LOOKED_AT)]
    try:
        few = all(len(count_mask(path).pixels) <= _VALUES_OF_MASKS for path in first)
    except PictureError:  # a JPEG, which is no mask
        return []
    if not few:
        return []
    values = f"the first {len(first)} pictures hold at most {_VALUES_OF_MASKS} values each"
    return [f"{values} (first {first[0]}): if they are masks, give them as --masks and their pictures as --images"]


def _pairs(pictures: Pictures, top: str, other: str) -> tuple[int, int]:
    """Count the names below one folder that stand below another too, and those grey here and coloured there."""
    pairs = (
        "SELECT {} FROM pictures AS mask JOIN pictures AS other ON other.name = ? || substr(mask.name, ?) "
        "WHERE substr(mask.name, 1, ?) = ?"
    )
    place = other, len(top) + 1, len(top) + 1, f"{top}/"
    return (
        pictures.ask(pairs.format("count(*)"), *place),
        pictures.ask(pairs.format("coalesce(sum(mask.channels < other.channels), 0)"), *place),
    )

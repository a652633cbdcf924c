"""Looking into all masks: what they hold, and which of them fit no picture."""

from collections.abc import Callable, Iterator
from functools import partial

from core.errors import UserError
from data.annotations.formats.region import Annotations
from data.annotations.layers import LayerCounts, add_layers, count_layers
from data.annotations.laying import add_regions, count_regions
from data.annotations.scan import MaskCounts, Tally, count_mask
from data.pictures import PictureError, read_picture
from data.sources.own.config import ReadingConfig
from data.sources.own.listing import Pictures, Row
from data.sources.own.progress import with_progress

NAMED_AT_MOST = 5


def count_masks(
    pictures: Pictures,
    layered: bool,
    annotations: Annotations | None,
    config: ReadingConfig,
    counted: Callable[[Tally], None],
) -> Tally:
    """Count what all masks hold, file by file, through threads.

    Args:
        layered: whether each class has a file of its own.
        annotations: what reads the files, where they are those of a labelling tool.
        counted: is told of what the masks hold, of those that can be used.

    Raises:
        UserError: some cannot be used, unless they are to be left out; or none can.
    """
    tally, refused = Tally(), []
    labelled = (row for row in pictures if row.masks)
    total = sum(1 for _ in pictures.names(labelled=True))
    look = partial(_look, layered=layered, annotations=annotations)
    for row, counts in with_progress("looking at masks", total, config, look, labelled):
        file = str(row.masks[0][1])
        if isinstance(counts, str):
            refused.append((file, counts))
        elif isinstance(counts, LayerCounts) and annotations:
            add_regions(tally, counts, file if annotations.pictures is None else f"{row.image}")
        elif isinstance(counts, LayerCounts):
            add_layers(tally, counts, row.masks)
        else:
            tally.add(counts, file)
        if len(refused) == NAMED_AT_MOST and config.bad_masks == "refuse":
            break
    tally.settle_palettes(by_index="palette" in tally.kinds)
    counted(tally)
    if refused and (config.bad_masks == "refuse" or not tally.masks):
        told = "; ".join(f"{file}: {reason}" for file, reason in _once_a_reason(refused))
        remedy = "Mend them, or leave them out with --bad_masks leave_out" if tally.masks else "Mend them"
        raise UserError(f"masks do not fit their images: {told}. {remedy}")
    return tally


def _look(row: Row, layered: bool, annotations: Annotations | None) -> tuple[Row, MaskCounts | LayerCounts | str]:
    """Count what a picture's masks hold, or say why they cannot be used."""
    try:
        if annotations:
            ((key, path),) = row.masks
            return row, count_regions(annotations, path, key, (row.height, row.width))
        counts = count_layers(row.masks) if layered else count_mask(row.masks[0][1])
    except PictureError as error:
        return row, str(error)
    found, expected = (counts.width, counts.height), (row.width, row.height)
    turned = ""
    if found == expected[::-1] != expected:
        expected, turned = _size_read(row)
    if found != expected:
        return row, f"{found[0]} x {found[1]} pixels, its image has {expected[0]} x {expected[1]}{turned}"
    return row, counts


def _size_read(row: Row) -> tuple[tuple[int, int], str]:
    """Return a picture's width and height by its pixels, and what is to be said where it was turned.

    The EXIF of a PNG that turns it may stand behind its pixels.
    """
    try:
        image, notes = read_picture(row.image)
    except PictureError:
        return (row.width, row.height), ""
    is_turned = any(note.startswith("turned upright") for note in notes)
    remedy = ": the picture was turned upright by its EXIF orientation, its mask was not; turn that too"
    return (image.shape[1], image.shape[0]), remedy if is_turned else ""


def _once_a_reason(refused: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield files and reasons; those that share a reason together."""
    files: dict[str, list[str]] = {}
    for file, reason in refused[:NAMED_AT_MOST]:
        files.setdefault(reason, []).append(file)
    return ((", ".join(names), reason) for reason, names in files.items())

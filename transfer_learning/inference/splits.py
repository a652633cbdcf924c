"""The readout of prepared data: pictures come from a split's arrays, probabilities go to the masks' original size."""

from collections.abc import Iterator

import numpy as np

from core.errors import UserError
from core.sides import sides_of
from data.split import Split
from transfer_learning.inference.backends import Loaded
from transfer_learning.inference.options import ReadoutOptions
from transfer_learning.inference.readout import Readout, Seen


def readout_of_split(loaded: Loaded, split: Split, options: ReadoutOptions, batch_size: int) -> Readout:
    """Return the readout of a network for the pictures of a split, on its canvases, or in windows.

    Raises:
        UserError: windows were asked for, and no picture is larger than one.
    """
    size = split.size
    if options.size is not None:
        size = sides_of(options.size)
    elif options.tile and loaded.header.size is not None:
        size = loaded.header.size
    readout = Readout(loaded.network, size, split.manifest.resize_mode, options, batch_size)
    if options.tile and not any(map(readout.is_tiled, {_sides(split, index) for index in split.labelled})):
        height, width = split.size
        raise UserError(
            f"--tile does nothing: the prepared pictures are {height} x {width} at most, a window {size[0]} x {size[1]}"
            ": give a smaller --size or a larger --tile_scale, or prepare the pictures larger"
        )
    return readout


def seen_of_split(readout: Readout, split: Split, indices: np.ndarray) -> Iterator[list[tuple[int, Seen]]]:
    """Yield for each batch its indices and what the network put out for them, to be read at original size."""
    for start in range(0, len(indices), readout.batch_size):
        chosen = indices[start : start + readout.batch_size].tolist()
        geometries = [split.geometries[index] for index in chosen]
        seen = readout.see([_content(split, index) for index in chosen], [(g.height, g.width) for g in geometries])
        yield list(zip(chosen, seen, strict=True))


def probabilities_of_split(readout: Readout, split: Split, indices: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (index, class probabilities [C, H, W] float32 at the image's original size) for the given images."""
    for batch in seen_of_split(readout, split, indices):
        for index, seen in batch:
            yield index, seen.probabilities()


def _content(split: Split, index: int) -> np.ndarray:
    top, left, bottom, right = split.geometries[index].rectangle
    pixels = np.ascontiguousarray(split.images[index][top:bottom, left:right])
    return pixels[..., 0] if split.channels == 1 else pixels


def _sides(split: Split, index: int) -> tuple[int, int]:
    geometry = split.geometries[index]
    return geometry.content_height, geometry.content_width

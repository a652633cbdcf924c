"""The readout of prepared data: pictures come from a split's arrays, probabilities go to the masks' original size."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from core.errors import UserError
from core.sides import sides_of
from data.loading import AnySplit
from data.split import Split
from data.volumes.split import VolumeSplit
from transfer_learning.inference.backends import Loaded
from transfer_learning.inference.options import ReadoutOptions
from transfer_learning.inference.postprocessing.pipeline import Reading
from transfer_learning.inference.readout import Readout, Seen
from transfer_learning.inference.volumes import SeenVolume, VolumeReadout, volume_readout


def readout_of_split(
    loaded: Loaded,
    split: AnySplit,
    options: ReadoutOptions,
    batch_size: int,
    others: Sequence[Loaded] = (),
    groups: np.ndarray | None = None,
) -> Readout | VolumeReadout:
    """Return the readout of a network for the pictures of a split, on its canvases, or in windows; so of volumes.

    Args:
        loaded: the network.
        split: whose classes are read in the end.
        options: how pictures are seen.
        batch_size: pictures, or windows, at a time.
        others: further networks of an ensemble. All of it see pictures at the size of their own training.
        groups: [G, C], which classes of the networks count as one; None: each for itself.

    Raises:
        UserError: windows were asked for, and no picture is larger than one; or weights of volumes meet pictures, or
            these volumes.
    """
    if isinstance(split, VolumeSplit):
        return volume_readout(loaded, split, options, batch_size, others, groups)
    if loaded.header.network.dims == 3:
        raise UserError(f"{split.data_dir} holds pictures, the weights were trained on volumes: prepare volumes")
    size = split.size
    if options.size is not None:
        size = sides_of(options.size)
    elif (options.tile or options.ensemble) and loaded.header.size is not None:
        assert len(loaded.header.size) == 2, "three are of volumes"
        size = loaded.header.size
    mode = split.manifest.resize_mode
    if options.ensemble:
        mode = loaded.header.resize_mode or mode
    plain = replace(options, postprocess=None)
    found = (readout_of_split(one, split, plain, batch_size) for one in others)
    beside = [one for one in found if isinstance(one, Readout)]
    readout = Readout(loaded.network, size, mode, options, batch_size, split.class_set, beside, groups)
    if options.tile and not any(map(readout.is_tiled, {_sides(split, index) for index in split.labelled})):
        height, width = split.size
        raise UserError(
            f"--tile does nothing: the prepared pictures are {height} x {width} at most, a window {size[0]} x {size[1]}"
            ": give a smaller --size or a larger --tile_scale, or prepare the pictures larger"
        )
    return readout


def seen_of_split(
    readout: Readout | VolumeReadout, split: AnySplit, indices: np.ndarray
) -> Iterator[list[tuple[int, Seen | SeenVolume]]]:
    """Yield for each batch its indices and what the network put out for them, to be read at original size."""
    if isinstance(split, VolumeSplit) or isinstance(readout, VolumeReadout):
        assert isinstance(split, VolumeSplit), "a readout of volumes reads volumes"
        assert isinstance(readout, VolumeReadout), "volumes have a readout of their own"
        for index in indices.tolist():
            yield [(index, readout.see(split, index))]
        return
    for start in range(0, len(indices), readout.batch_size):
        chosen = indices[start : start + readout.batch_size].tolist()
        geometries = [split.geometries[index] for index in chosen]
        seen = readout.see([_content(split, index) for index in chosen], [(g.height, g.width) for g in geometries])
        yield list(zip(chosen, seen, strict=True))


def readings_of_split(readout: Readout | VolumeReadout, split: AnySplit, indices: np.ndarray) -> Iterator[Reading]:
    """Yield what is read of each of the given images, at its original size."""
    for batch in seen_of_split(readout, split, indices):
        for _, seen in batch:
            yield seen.read()


def _content(split: Split, index: int) -> np.ndarray:
    top, left, bottom, right = split.geometries[index].rectangle
    pixels = np.ascontiguousarray(split.images[index][top:bottom, left:right])
    return pixels[..., 0] if split.channels == 1 else pixels


def _sides(split: Split, index: int) -> tuple[int, int]:
    geometry = split.geometries[index]
    return geometry.content_height, geometry.content_width

"""Volumes and masks of a data set as samples: how they are read, and that both lie in one place."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from core.errors import UserError
from core.terminal.progress import track
from data.decoders.opening import PictureError
from data.sources.source import Sample, VolumePlan, file_stamp
from data.volumes.config import VolumeConfig
from data.volumes.frame import Frame, times
from data.volumes.geometry import Spacing, resampled_shape
from data.volumes.intensity import Intensity
from data.volumes.itk_files import slices_in
from data.volumes.preparing import indices_of
from data.volumes.reading import difference, read_frame, read_modalities, read_volume

LARGEST_VALUE = 2**31 - 1  # of a class in a mask
Files = Mapping[str, tuple[Path, ...]]  # name -> the files of its modalities, one with all of them or one each


def sample_of(
    name: str,
    split: str,
    images: tuple[Path, ...],
    mask: Path | None,
    values: tuple[int, ...],
    trust: bool,
    tags: Mapping[str, str],
) -> Sample:
    """Return a volume as a sample."""
    files = (*(file for image in images for file in files_in(image)), *(files_in(mask) if mask else ()))
    return Sample(
        name=name,
        split=split,
        file=str(images[0]),
        image=partial(_image, images),
        label_file=str(mask or ""),
        label=partial(_label, images[0], mask, values, trust) if mask else None,
        tags=tags,
        stamp=file_stamp(*files),
        files=files,
        frame=partial(read_frame, images[0]),
    )


def files_in(path: Path) -> tuple[Path, ...]:
    """Return the files of a volume: itself, or the slices in a folder of DICOM.

    Raises:
        UserError: it is a link that leads nowhere.
    """
    if not path.exists():
        raise UserError(f"{path} leads nowhere: mend the link, or take it away")
    return tuple(slices_in(path)) if path.is_dir() else (path,)


def _image(paths: Sequence[Path]) -> tuple[np.ndarray, list[str]]:
    """Read the modalities of a volume, [C, D, H, W]."""
    return read_modalities(paths)[1], []


def _label(image: Path, mask: Path, values: tuple[int, ...], trust: bool) -> np.ndarray:
    frame, voxels = read_volume(mask)
    wanted = read_frame(image)
    if frame.channels != 1:
        raise PictureError(f"a fourth axis of {frame.channels}: a mask has three axes")
    if problem := difference(wanted, frame, trust):
        hint = "" if frame.shape != wanted.shape else "; --trust_shapes goes on"
        raise PictureError(f"{problem}{hint}")
    # In the axes of its volume: where these are trusted, the mask's own say something else.
    return np.ascontiguousarray(indices_of(wanted.turned(frame.turned_back(voxels[0])), values))


def frames_of(images: Files) -> tuple[dict[str, Frame], list[str]]:
    """Return the frames of volumes, and a note where some cannot be read: the preparation leaves them out by name.

    Raises:
        UserError: none can be read.
    """
    found: dict[str, Frame] = {}
    unread = []
    for name, paths in track(images.items(), "reading headers", len(images), transient=True):
        try:
            found[name] = read_frame(paths[0])
        except PictureError as error:
            unread.append(f"{paths[0]}: {error}")
    if not found:
        raise UserError(f"no volume can be read; the first: {unread[0]}")
    return found, [f"{len(unread)} volumes cannot be read; the first: {unread[0]}"] if unread else []


def plan_of(
    config: VolumeConfig, frames: Mapping[str, Frame], train: Iterable[str], kinds: Sequence[str], values: Sequence[int]
) -> tuple[VolumePlan, list[str]]:
    """Decide how volumes are resampled and normalised; returns that, and what to say of it.

    Args:
        frames: of every volume that can be read.
        train: the names of Train, whose median is the spacing.
        kinds: what each channel is: "CT", or anything else.
        values: of the masks, one a class.

    Raises:
        UserError: no volume of Train can be read, or a value is none that a prediction could be written with.
    """
    if wrong := [value for value in values if not 0 <= value <= LARGEST_VALUE]:
        raise UserError(f"a class of value {wrong[0]}: masks of volumes hold 0 to {LARGEST_VALUE}: number them anew")
    spacings = np.array([frames[name].spacing for name in train if name in frames])
    if not len(spacings):
        raise UserError("no volume of Train can be read: look at the files, or at the division")
    spacing = config.fixed_spacing() or _median(config, spacings)
    fixed = config.fixed_intensity()
    ct = [config.intensity == "ct" or kind.upper() == "CT" for kind in kinds]
    intensity = tuple(fixed or (None if is_ct else Intensity("mr")) for is_ct in ct)
    resampled = sum(
        resampled_shape(frame.turned_shape, frame.spacing, spacing) != frame.turned_shape for frame in frames.values()
    )
    notes = [
        f"{resampled} of {len(frames)} volumes are resampled to {times(spacing)} mm"
        if spacing and resampled
        else "no volume is resampled"
    ]
    told = {True: "ct", False: "mr"}
    words = ", ".join(fixed.kind if fixed else told[is_ct] for is_ct in ct)
    guessed = config.intensity == "auto" and not any(kinds)
    notes.append(f"intensities: {words}" + (" (no word of CT was found: --intensity ct if it is)" if guessed else ""))
    return VolumePlan(spacing, intensity, tuple(values), config.trust_shapes), notes


def _median(config: VolumeConfig, spacings: np.ndarray) -> Spacing | None:
    """Return the median spacing of Train, as nnU-Net; None keeps each volume as it is.

    Where all have one it is no work now, and what is predicted later comes to it too.
    """
    depth, height, width = np.median(spacings, axis=0).tolist()
    return None if config.spacing == "own" else (depth, height, width)

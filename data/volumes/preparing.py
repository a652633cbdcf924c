"""One volume through spacing and intensity to the files that training reads."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np

from core.classes import IGNORED, ClassSet
from core.errors import UserError
from core.files import temporary_beside
from core.terminal.screen import say
from data.decoders.opening import PictureError
from data.manifest import foreground_path, volume_label_path, volume_path, volume_truth_path
from data.prepare_config import PrepareConfig
from data.preparing.inputs import rows_of
from data.preparing.looks import SIDE, Look
from data.preparing.processing import Outcome, record_of
from data.sources.own.progress import with_progress
from data.sources.source import Sample, Samples, Source, VolumePlan
from data.volumes.frame import MOST_BYTES, Frame, times
from data.volumes.geometry import VolumeGeometry, resample_image, resample_label, resampled_shape
from data.volumes.intensity import Intensity, of_foreground, sampled
from data.volumes.split import VOXELS, WHITE

_KEPT = 1000  # voxels of a class, from which patches are drawn


@dataclass(frozen=True)
class VolumeJob:
    """What is the same for all volumes of a preparation."""

    root: Path
    classes: ClassSet
    plan: VolumePlan
    intensity: tuple[Intensity, ...]
    bad_masks: str


def looked_for(classes: ClassSet) -> tuple[int, ...]:
    """Return the classes that patches are centred on: the foreground, all where there is no background."""
    return classes.foreground or tuple(range(len(classes)))


def intensities(source: Source, config: PrepareConfig) -> tuple[Intensity, ...]:
    """Return how each channel is read; of CT that is learned from the classes looked for in Train.

    Raises:
        UserError: CT was asked for, and no mask of Train holds such a class.
    """
    assert source.plan is not None, "of volumes alone"
    wanted = source.plan.intensity
    if all(channel is not None for channel in wanted):
        return tuple(channel for channel in wanted if channel is not None)
    train = [sample for sample in source.samples if sample.split == "Train" and sample.label]
    work = partial(_sampled, classes=looked_for(source.classes))
    found = [voxels for voxels in with_progress("reading intensities", len(train), config, work, train) if voxels]
    if not any(len(voxels[0]) for voxels in found):
        why = "the intensities of CT are learned from the classes that masks of Train hold, and there are none"
        if config.intensity == "ct":
            raise UserError(f"{why}: give --intensity window:40/400 (centre / width) or mr")
        say(f"note: {why}: each volume is read by its own mean and deviation (mr); --intensity window:40/400 is fixed")
        return tuple(channel or Intensity("mr") for channel in wanted)
    return tuple(channel or of_foreground(voxels[number] for voxels in found) for number, channel in enumerate(wanted))


def make_work(root: Path, source: Source, config: PrepareConfig) -> tuple[Source, Callable[[Sample], Outcome]]:
    """Return what is done with each volume, and the source with what was found of intensities."""
    assert source.plan is not None, "of volumes alone"
    found = intensities(source, config)
    told = [asdict(channel) for channel in found]
    samples = Decided(source.samples, json.dumps([asdict(source.plan), told]))
    job = VolumeJob(root, source.classes, source.plan, found, config.bad_masks)
    decided = replace(source, samples=samples, details={**source.details, "intensity": told})
    return decided, partial(process_volume, job=job)


def _sampled(sample: Sample, classes: tuple[int, ...]) -> list[np.ndarray]:
    """Return some voxels of the foreground, of each channel; none of a volume that will be left out."""
    assert sample.label is not None, "asked for those that have one"
    try:
        voxels, label = sample.image()[0], sample.label()
    except PictureError:
        return []
    foreground = np.isin(label, classes)
    return [sampled(channel, foreground) for channel in voxels] if foreground.shape == voxels.shape[1:] else []


@dataclass(frozen=True)
class Decided:
    """Samples whose stamps say how they are read too: what was prepared otherwise is done again."""

    samples: Samples
    how: str

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        number = int.from_bytes(sha256(self.how.encode()).digest()[:6])
        return (replace(sample, stamp=(*sample.stamp, number)) for sample in self.samples)


def process_volume(sample: Sample, job: VolumeJob) -> Outcome:
    """Read, check, resample, normalise and write one volume; files of an interrupted try are overwritten."""
    assert sample.frame is not None, "a volume has one"
    outcome = Outcome(sample, inputs=rows_of(sample))
    try:
        voxels, unusual = sample.image()
        frame = sample.frame()
        if len(voxels) != len(job.intensity):
            raise PictureError(other_modalities(len(voxels), len(job.intensity), "these data have"))
        volume, geometry = prepared(voxels, frame, job.plan, job.intensity)
    except PictureError as error:
        outcome.notes.append((sample.file, "left out", str(error)))
        return outcome
    outcome.notes += [(sample.file, "repaired", reason) for reason in unusual]
    label = None
    try:
        label = sample.label() if sample.label else None
    except PictureError as error:
        if job.bad_masks == "refuse":
            outcome.refused = f"{sample.label_file}: {error}"
            return outcome
        outcome.notes.append((sample.label_file, "mask left out", str(error)))
    _write(outcome, volume, geometry, label, job)
    outcome.look = look_of_volume(voxels, volume)
    return outcome


def other_modalities(found: int, wanted: int, whose: str) -> str:
    """Say that a volume has another number of modalities than is asked for."""
    series = ": a time series? Save the one volume that counts" if found > wanted else ""
    return f"{found} modalities, {whose} {wanted}{series}"


def prepared(
    voxels: np.ndarray, frame: Frame, plan: VolumePlan, intensity: Iterable[Intensity]
) -> tuple[np.ndarray, VolumeGeometry]:
    """Return a volume [C, D, H, W] as training reads it, 16 bits that stand for [0, 1], and its geometry.

    What predicts an original file takes it through here too.

    Raises:
        PictureError: it would become larger than memory holds.
    """
    own = frame.spacing
    shape = resampled_shape(frame.turned_shape, own, plan.spacing)
    if 4 * len(voxels) * np.prod(shape, dtype=np.float64) > MOST_BYTES:
        raise PictureError(
            f"its voxels of {times(own)} mm would become {times(shape)} at the spacing of these data, more than "
            f"{MOST_BYTES >> 30} GiB as numbers: mend the spacing in its header, or prepare at another --spacing"
        )
    units = (kind.unit(channel) for kind, channel in zip(intensity, voxels, strict=True))
    resampled = np.clip(resample_image(np.stack(list(units)), shape), 0, 1)
    is_same = shape == frame.turned_shape
    spacing = own if is_same or plan.spacing is None else plan.spacing
    affine = tuple((row[0], row[1], row[2], row[3]) for row in frame.affine.tolist())
    geometry = VolumeGeometry(
        shape, spacing, frame.turned_shape, own, frame.orientation, affine, frame.header, frame.shape
    )
    return np.round(resampled * WHITE).astype(VOXELS), geometry


def _write(
    outcome: Outcome, volume: np.ndarray, geometry: VolumeGeometry, truth: np.ndarray | None, job: VolumeJob
) -> None:
    sample = outcome.sample
    digest = sha256(volume.data)
    files = {volume_path: volume}
    if truth is not None:
        label = resample_label(truth, geometry.shape)
        outcome.pixels = np.bincount(truth.ravel(), minlength=len(job.classes))[: len(job.classes)].tolist()
        files |= {volume_label_path: label, volume_truth_path: truth}
        files[foreground_path] = foreground_voxels(label, looked_for(job.classes))
        digest.update(label.data)
        digest.update(truth.data)
    for place, array in files.items():
        _save(place(job.root, sample.split, sample.name), array)
    outcome.digest = digest.hexdigest()
    outcome.record = record_of(outcome, truth is not None, geometry)


def _save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    with temporary.open("wb") as file:
        np.save(file, array)
    temporary.replace(path)


def look_of_volume(voxels: np.ndarray, volume: np.ndarray) -> Look:
    """Return the look of a volume: a digest of its voxels, and 16 x 8 x 8 of its first channel as the thumbnail."""
    content = sha256(f"{voxels.shape}{voxels.dtype}".encode())
    content.update(np.ascontiguousarray(voxels).data)
    steps = [
        np.linspace(0, side - 1, count).round().astype(int)
        for side, count in zip(volume.shape[1:], (16, 8, 8), strict=True)
    ]
    grid = (volume[0][np.ix_(*steps)] >> 8).astype(np.uint8)
    falls = np.packbits(grid[::4, ::2, ::2][..., :4] < grid[::4, ::2, 1::2])
    return Look(content.hexdigest()[:16], int.from_bytes(falls.tobytes()), grid.reshape(SIDE, SIDE))


def foreground_voxels(label: np.ndarray, classes: Iterable[int]) -> np.ndarray:
    """Return up to 1,000 voxels of each of these classes, evenly spaced: [P, 4] int32, class and place, by class."""
    rows = [np.zeros((0, 4), np.int32)]
    for number in classes:
        found = np.flatnonzero(label == number)
        if len(found) > _KEPT:
            found = found[np.linspace(0, len(found) - 1, _KEPT).round().astype(np.int64)]
        places = np.stack(np.unravel_index(found, label.shape), axis=1)
        rows.append(np.column_stack([np.full(len(found), number), places]).astype(np.int32))
    return np.concatenate(rows)


def indices_of(values: np.ndarray, known: tuple[int, ...]) -> np.ndarray:
    """Return a mask's values as indices of classes, uint8; what is rounded was saved with fractions of nothing.

    Raises:
        PictureError: it holds other values than `known`.
    """
    whole = np.round(values)
    if np.abs(values - whole).max(initial=0) > 1e-3:
        raise PictureError("values with fractions: a mask holds whole numbers, one a class")
    found = np.unique(whole).astype(np.int64).tolist()
    if wrong := [value for value in found if value not in (*known, IGNORED)]:
        raise PictureError(f"holds {wrong[:5]}, allowed are {', '.join(map(str, known))}")
    result = np.full(values.shape, IGNORED, np.uint8)
    for index, value in enumerate(known):
        result[whole == value] = index
    return result

"""One sample through the geometry, and many of them through a few threads."""

import errno
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from core.classes import IGNORED, ClassSet
from core.files import temporary_beside
from data.geometry import fit
from data.manifest import image_path, label_path, truth_path
from data.pictures import PictureError
from data.preparing.inputs import rows_of
from data.preparing.looks import Look, look_of
from data.preprocessing.pipeline import NOTHING, Preprocessing
from data.sources.source import Sample

Item = TypeVar("Item")
Result = TypeVar("Result")

# PNG is for safe keeping here; training reads the array made from it, so speed counts more than the last few percent.
LONGEST_STEM = 255 - len(".png")  # bytes of a name, which `_write_png` adds to
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


@dataclass(frozen=True)
class Job:
    """What is the same for all samples of a preparation; `channels` are those of the source."""

    root: Path
    sides: tuple[int, int]
    resize_mode: str
    classes: ClassSet
    channels: int
    bad_masks: str
    preprocessing: Preprocessing = NOTHING


@dataclass
class Outcome:
    """What became of a sample: a record, or none when its picture is left out or its mask refused.

    Attributes:
        record: the image's entry in the manifest.
        digest: SHA-256 of the written pixels.
        look: what the picture looks like, at its original size.
        pixels: of each class in the mask at original size.
        notes: (file, action, reason) for the report.
        inputs: what `inputs.rows_of` says of the files read.
        refused: why its mask stops the preparation.
    """

    sample: Sample
    record: dict[str, Any] | None = None
    digest: str = ""
    look: Look | None = None
    pixels: list[int] = field(default_factory=list)
    notes: list[tuple[str, str, str]] = field(default_factory=list)
    refused: str | None = None
    inputs: list[list[Any]] = field(default_factory=list)


def process(sample: Sample, job: Job) -> Outcome:
    """Read, check, resize and write one sample. Files of an earlier, interrupted try are overwritten."""
    outcome = Outcome(sample, inputs=rows_of(sample))
    try:
        image, unusual = sample.image()
        learned, unusual = _preprocessed(sample, image, unusual, job)
    except PictureError as error:
        outcome.notes.append((sample.file, "left out", str(error)))
        return outcome
    outcome.notes += [(sample.file, "repaired", reason) for reason in unusual]
    try:
        label = _read_label(sample, image, job)
    except PictureError as error:
        if job.bad_masks == "refuse":
            outcome.refused = f"{sample.label_file}: {error}"
            return outcome
        outcome.notes.append((sample.label_file, "mask left out", str(error)))
        label = None
    try:
        _write_sample(outcome, image, learned, label, job)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        outcome.notes = [(sample.file, "left out", "its name is too long for this disk: shorten it")]
    return outcome


def bounded_map(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Map over threads, in order, with no more than a few items a thread under way: memory stays flat."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as threads:
        try:
            for item in items:
                waiting.append(threads.submit(function, item))
                if len(waiting) > 4 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _read_label(sample: Sample, image: np.ndarray, job: Job) -> np.ndarray | None:
    if sample.label is None:
        return None
    label = sample.label()
    if label.shape != image.shape[:2]:
        (height, width), (image_height, image_width) = label.shape, image.shape[:2]
        raise PictureError(f"{width} x {height} pixels, its image has {image_width} x {image_height}")
    if wrong := sorted(set(np.unique(label).tolist()) - {*range(len(job.classes)), IGNORED}):
        raise PictureError(f"holds {wrong[:5]}, allowed are 0 to {len(job.classes) - 1} and {IGNORED}")
    return label


def _preprocessed(sample: Sample, image: np.ndarray, notes: list[str], job: Job) -> tuple[np.ndarray, list[str]]:
    """Return what is learned from an image as it was read, and the notes of the reading that made it."""
    if not job.preprocessing.steps:
        return image, notes
    if sample.preprocessed and job.preprocessing.of_depth:
        return sample.preprocessed(job.preprocessing)
    return job.preprocessing(_with_channels(image, job.channels)), notes


def _write_sample(outcome: Outcome, image: np.ndarray, learned: np.ndarray, truth: np.ndarray | None, job: Job) -> None:
    sample = outcome.sample
    height, width = image.shape[:2]
    geometry = fit(height, width, *job.sides, job.resize_mode)
    channels = job.preprocessing.channels_after(job.channels)
    laid = _with_channels(geometry.image(learned), channels)
    digest = sha256(laid.tobytes())
    stored = laid if channels == 1 else cv2.cvtColor(laid, cv2.COLOR_RGB2BGR)
    _write_png(image_path(job.root, sample.split, sample.name), stored)
    if truth is not None:
        label = geometry.label(truth)
        outcome.pixels = np.bincount(truth.ravel(), minlength=len(job.classes))[: len(job.classes)].tolist()
        _write_png(label_path(job.root, sample.split, sample.name), label)
        _write_png(truth_path(job.root, sample.split, sample.name), truth)
        digest.update(label.tobytes())
        digest.update(truth.tobytes())
    outcome.digest = digest.hexdigest()
    outcome.look = look_of(image)
    outcome.record = record_of(outcome, truth is not None, geometry)


def record_of(outcome: Outcome, labelled: bool, geometry: Any) -> dict[str, Any]:
    """Return the entry in the manifest of a picture, or volume, whose pixels of each class are counted."""
    sample = outcome.sample
    return {
        "name": sample.name,
        "split": sample.split,
        "tags": dict(sorted(sample.tags.items())),
        "labelled": labelled,
        "classes": [number for number, count in enumerate(outcome.pixels) if count],
        "geometry": asdict(geometry),
    }


def _with_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """Return [H, W] for one channel, [H, W, 3] for three; a grey picture among coloured ones is repeated."""
    if channels == 3:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.ndim == 2 else image
    assert image.ndim == 2, "a source of one channel hands out grey pictures"
    return image


def _write_png(path: Path, pixels: np.ndarray) -> None:
    # Encoding apart from writing: a full disk raises here, where cv2.imwrite would only return False.
    _, encoded = cv2.imencode(".png", pixels, _PNG)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    temporary.write_bytes(encoded.data)
    temporary.replace(path)

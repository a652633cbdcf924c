"""One sample through the geometry, and many of them through a few threads."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from data.geometry import fit
from data.manifest import CLASS_NAMES, image_path, label_path, truth_path
from data.pictures import PictureError
from data.sources.source import Sample
from data.split import trimap_to_label

Item, Result = TypeVar("Item"), TypeVar("Result")

# PNG is for safe keeping here; training reads the array made from it, so speed counts more than the last few percent.
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


@dataclass(frozen=True)
class Job:
    """What is the same for all samples of a preparation."""

    root: Path
    dataset: str
    size: int
    resize_mode: str
    mask_values: tuple[int, ...]
    bad_masks: str


@dataclass
class Outcome:
    """What became of a sample: a record, or none when its picture is left out or its mask refused.

    Attributes:
        record: the image's entry in the manifest.
        digest: SHA-256 of the written pixels.
        notes: (file, action, reason) for the report.
        refused: why its mask stops the preparation.
    """

    sample: Sample
    record: dict[str, Any] | None = None
    digest: str = ""
    notes: list[tuple[str, str, str]] = field(default_factory=list)
    refused: str | None = None


def process(sample: Sample, job: Job) -> Outcome:
    """Read, check, resize and write one sample. Files of an earlier, interrupted try are overwritten."""
    outcome = Outcome(sample)
    try:
        image, unusual = sample.image()
    except PictureError as error:
        outcome.notes.append((sample.file, "left out", str(error)))
        return outcome
    outcome.notes += [(sample.file, "repaired", reason) for reason in unusual]
    try:
        mask = _read_mask(sample, image, job)
    except PictureError as error:
        if job.bad_masks == "refuse":
            outcome.refused = f"{sample.mask_file}: {error}"
            return outcome
        outcome.notes.append((sample.mask_file, "mask left out", str(error)))
        mask = None
    _write_sample(outcome, image, mask, job)
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


def _read_mask(sample: Sample, image: np.ndarray, job: Job) -> np.ndarray | None:
    if sample.mask is None:
        return None
    mask = sample.mask()
    if mask.shape != image.shape[:2]:
        (height, width), (image_height, image_width) = mask.shape, image.shape[:2]
        raise PictureError(f"{width} x {height} pixels, its image has {image_width} x {image_height}")
    if wrong := sorted(set(np.unique(mask).tolist()) - set(job.mask_values)):
        raise PictureError(f"holds {wrong[:5]}, allowed are {job.mask_values}")
    return mask


def _write_sample(outcome: Outcome, image: np.ndarray, mask: np.ndarray | None, job: Job) -> None:
    sample = outcome.sample
    geometry = fit(*image.shape[:2], job.size, job.resize_mode)
    square = geometry.image(image)
    digest = sha256(square.tobytes())
    _write_png(image_path(job.root, sample.split, sample.name), cv2.cvtColor(square, cv2.COLOR_RGB2BGR))
    species = sample.species
    if mask is not None:
        full = mask if job.dataset == "folder" else trimap_to_label(mask, species)
        species = species or _majority(full)
        label = geometry.label(full)
        _write_png(label_path(job.root, sample.split, sample.name), label)
        _write_png(truth_path(job.root, sample.split, sample.name, job.dataset), mask)
        digest.update(label.tobytes())
        digest.update(mask.tobytes())
    outcome.digest = digest.hexdigest()
    outcome.record = {
        "name": sample.name,
        "split": sample.split,
        "species": species,
        "breed": sample.breed,
        "labelled": mask is not None,
        "geometry": asdict(geometry),
    }


def _majority(label: np.ndarray) -> str | None:
    counts = np.bincount(label.ravel(), minlength=len(CLASS_NAMES))[1 : len(CLASS_NAMES)]
    return CLASS_NAMES[1 + int(counts.argmax())] if counts.any() else None


def _write_png(path: Path, pixels: np.ndarray) -> None:
    # Encoding apart from writing: a full disk raises here, where cv2.imwrite would only return False.
    _, encoded = cv2.imencode(".png", pixels, _PNG)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(encoded.data)
    temporary.replace(path)

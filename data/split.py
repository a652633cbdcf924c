"""A split of the processed folder as memory-mapped uint8 arrays.

Decoding thousands of PNGs every epoch costs more than a small network does, so each split is decoded once into one
array beside the pictures; its file name carries the data's fingerprint, so that other data never meet an old array.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from filelock import FileLock
from rich.progress import track

from core.errors import UserError
from core.files import atomic_path
from data.geometry import Geometry
from data.manifest import (
    CLASS_NAMES,
    LABEL_VALUES,
    SPLITS,
    image_path,
    label_path,
    prepare_hint,
    read_manifest,
    read_records,
    truth_path,
)

CHUNK = 64
Reader = Callable[[str], np.ndarray]


class Record(NamedTuple):
    """What the manifest says of a picture."""

    name: str
    species: str | None
    breed: str | None
    labelled: bool
    geometry: Geometry


@dataclass(frozen=True)
class Split:
    """One split: all its images, the labels of those that have a mask, and the way back to their original size.

    Attributes:
        images: [N, S, S, 3] uint8, RGB, memory-mapped (or a tensor: `data.loading.on_device`).
        labels: [M, S, S] uint8 (0, 1, 2, 255), likewise, of the labelled images alone.
        label_rows: [N] int64, the row of each image in `labels`, -1 without a mask.
        rectangles: [N, 4] int64, content in the square: top, left, bottom, right (the last two exclusive).
        species: "cat", "dog" or None where nothing tells it; `breeds` likewise.
    """

    name: str
    size: int
    names: list[str]
    images: np.ndarray
    labels: np.ndarray
    label_rows: np.ndarray
    rectangles: np.ndarray
    species: list[str | None]
    breeds: list[str | None]
    geometries: list[Geometry]
    data_dir: Path
    dataset: str

    @property
    def labelled(self) -> np.ndarray:
        """[M] int64, the indices of the images that have a mask, in the order of `labels`."""
        return np.flatnonzero(self.label_rows >= 0)

    def truth(self, index: int) -> np.ndarray:
        """Return the label [H, W] uint8 (0, 1, 2, 255) of image `index` at its original size.

        Raises:
            ValueError: if the image has no mask.
            UserError: if the mask is gone, altered, or of another size than the image had.
        """
        name = self.names[index]
        if self.label_rows[index] < 0:
            raise ValueError(f"{self.name}/{name} has no mask, so nothing to be scored against")
        path = truth_path(self.data_dir, self.name, name, self.dataset)
        mask = _read(path, cv2.IMREAD_UNCHANGED, self.data_dir)
        geometry = self.geometries[index]
        if mask.shape != (geometry.height, geometry.width):
            raise UserError(f"{path} is {mask.shape}, its image was {geometry.height} x {geometry.width} pixels")
        label = mask if self.dataset == "folder" else trimap_to_label(mask, self.species[index])
        return _checked(label, path)


def open_split(data_dir: Path, split: str) -> Split:
    """Open a split of a processed folder; its arrays are built at the first call.

    Raises:
        UserError: if there is no manifest, the split is unknown or empty, or a file in it is missing or not as written.
    """
    data_dir = Path(data_dir)
    manifest = read_manifest(data_dir)
    if split not in SPLITS:
        raise UserError(f"unknown split {split!r}: use {', '.join(SPLITS)}")
    records = _records(data_dir, split)
    if not records:
        raise UserError(f"{data_dir} has no image in the split {split}: {prepare_hint(data_dir)} with other ratios")
    labelled = np.array([record.labelled for record in records])
    images, labels = _arrays(data_dir, split, manifest, records)
    return Split(
        name=split,
        size=manifest["size"],
        names=[record.name for record in records],
        images=images,
        labels=labels,
        label_rows=np.where(labelled, np.cumsum(labelled) - 1, -1).astype(np.int64),
        rectangles=np.array([record.geometry.rectangle for record in records], np.int64),
        species=[record.species for record in records],
        breeds=[record.breed for record in records],
        geometries=[record.geometry for record in records],
        data_dir=data_dir,
        dataset=manifest["dataset"],
    )


def _records(data_dir: Path, split: str) -> list[Record]:
    """Return what the manifest says of a split's pictures, sorted by name; what they have in common is kept once."""
    geometries: dict[Geometry, Geometry] = {}
    words: dict[str | None, str | None] = {}
    records = []
    for record in read_records(data_dir):
        if record["split"] == split:
            geometry = Geometry(**record["geometry"])
            species, breed = (words.setdefault(word, word) for word in (record["species"], record["breed"]))
            shared = geometries.setdefault(geometry, geometry)
            records.append(Record(record["name"], species, breed, record["labelled"], shared))
    return sorted(records, key=lambda record: record.name)


def fingerprint(data_dir: Path) -> str:
    """Return the SHA-256 over settings and contents of a processed folder, as its manifest states it."""
    return read_manifest(Path(data_dir))["fingerprint"]


def trimap_to_label(trimap: np.ndarray, species: str | None) -> np.ndarray:
    """Turn a trimap (1 animal, 2 background, 3 border) into a label: the species' class, 0, 255.

    Values outside the set stay outside the set of labels (they become 254), so that checks of labels find them.
    """
    table = np.full(256, 254, np.uint8)
    table[1:4] = CLASS_NAMES.index(species) if species else 254, 0, 255
    return table[trimap]


def _arrays(
    data_dir: Path, split: str, manifest: dict[str, Any], records: list[Record]
) -> tuple[np.ndarray, np.ndarray]:
    size = manifest["size"]
    names = [record.name for record in records]
    masked = [record.name for record in records if record.labelled]
    stem = data_dir / "arrays" / f"{split}-{manifest['fingerprint'][:16]}"

    def image(name: str) -> np.ndarray:
        path = image_path(data_dir, split, name)
        return _sized(_read(path, cv2.IMREAD_COLOR, data_dir)[..., ::-1], size, path)

    def label(name: str) -> np.ndarray:
        path = label_path(data_dir, split, name)
        return _checked(_sized(_read(path, cv2.IMREAD_UNCHANGED, data_dir), size, path), path)

    images_file, labels_file = stem.with_name(f"{stem.name}-images.npy"), stem.with_name(f"{stem.name}-labels.npy")
    _build(images_file, image, names, (size, size, 3), f"{split} images")
    _build(labels_file, label, masked, (size, size), f"{split} labels")
    return _open(images_file), _open(labels_file)


def _build(path: Path, read: Reader, names: Sequence[str], shape: tuple[int, ...], what: str) -> None:
    if path.exists():
        return
    path.parent.mkdir(exist_ok=True)
    # Of several processes that start together one builds and the others wait; a killed one gives its lock up.
    with FileLock(f"{path}.lock"):
        if path.exists():
            return
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            header = {"descr": "|u1", "fortran_order": False, "shape": (len(names), *shape)}
            np.lib.format.write_array_header_1_0(file, header)
            for array in _decoded(read, names, f"array of {what}"):
                file.write(np.ascontiguousarray(array).data)


def _decoded(read: Reader, names: Sequence[str], what: str) -> Iterator[np.ndarray]:
    with ThreadPoolExecutor() as threads:
        chunks = range(0, len(names), CHUNK)
        for start in track(chunks, what, transient=True, disable=not sys.stdout.isatty()):
            yield from threads.map(read, names[start : start + CHUNK])


def _open(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r")
    except ValueError:
        # NumPy cannot map an empty array, and a split without masks is legitimate.
        return np.load(path)


def _read(path: Path, flags: int, data_dir: Path) -> np.ndarray:
    array = cv2.imread(str(path), flags)
    if array is None:
        raise UserError(f"{path} is missing or damaged: delete {data_dir} and {prepare_hint(data_dir)}")
    return array


def _sized(array: np.ndarray, size: int, path: Path) -> np.ndarray:
    if array.shape[:2] != (size, size):
        raise UserError(f"{path} is {array.shape[1]} x {array.shape[0]} pixels, the manifest says {size} x {size}")
    return array


def _checked(label: np.ndarray, path: Path) -> np.ndarray:
    if label.ndim != 2 or not np.isin(label, LABEL_VALUES).all():
        raise UserError(f"{path} holds values outside the set of labels {LABEL_VALUES}")
    return label

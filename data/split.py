"""A split of the processed folder as memory-mapped uint8 arrays.

Decoding thousands of PNGs every epoch costs more than a small network does, so each split is decoded once into one
array beside the pictures; its file name carries the data's fingerprint, so that other data never meet an old array.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from filelock import FileLock

from core.classes import IGNORED, ClassSet
from core.errors import UserError
from core.files import atomic_path, require_regular
from core.terminal.progress import track
from data.geometry import Geometry
from data.manifest import Manifest, Record, image_path, label_path, prepare_hint, trimap_path, truth_path
from data.pictures import read_png
from data.subsets import strata_of
from data.trimaps import trimap_to_label

CHUNK = 64
Reader = Callable[[str], np.ndarray]


@dataclass(frozen=True)
class Split:
    """One split: all its images, the labels of those that have a mask, and the way back to their original size.

    Attributes:
        manifest: what is said of all splits together.
        images: [N, H, W, channels] uint8, RGB or grey, memory-mapped (or a tensor: `data.loading.on_device`).
        labels: [M, H, W] uint8 (indices of classes, 255), likewise, of the labelled images alone.
        label_rows: [N] int64, the row of each image in `labels`, -1 without a mask.
        rectangles: [N, 4] int64, content on the canvas: top, left, bottom, right (the last two exclusive).
        tags: tag -> its value for each image, None where it is not known.
        strata: what label fractions are shared out by and draws balanced: the value of the tag `stratum`, or where the
            data have none the name of the rarest class that an image holds; None where neither is known.
    """

    name: str
    data_dir: Path
    manifest: Manifest
    names: list[str]
    images: np.ndarray
    labels: np.ndarray
    label_rows: np.ndarray
    rectangles: np.ndarray
    tags: dict[str, list[str | None]]
    strata: list[str | None]
    geometries: list[Geometry]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the canvas that the pictures lie on."""
        return self.manifest.size

    @property
    def channels(self) -> int:
        """Of the pictures, 1 or 3."""
        return self.manifest.channels

    @property
    def class_set(self) -> ClassSet:
        """What the labels mean."""
        return self.manifest.class_set

    @property
    def stratum(self) -> str | None:
        """The tag whose values are the strata; None where those are classes."""
        return self.manifest.stratum

    @property
    def labelled(self) -> np.ndarray:
        """[M] int64, the indices of the images that have a mask, in the order of `labels`."""
        return np.flatnonzero(self.label_rows >= 0)

    def truth(self, index: int) -> np.ndarray:
        """Return the label [H, W] uint8 (indices of classes, 255) of image `index` at its original size.

        Raises:
            ValueError: if the image has no mask.
            UserError: if the mask is gone, altered, or of another size than the image had.
        """
        name = self.names[index]
        if self.label_rows[index] < 0:
            raise ValueError(f"{self.name}/{name} has no mask, so nothing to be scored against")
        path = (trimap_path if self.manifest.trimaps else truth_path)(self.data_dir, self.name, name)
        label = _read(path, cv2.IMREAD_UNCHANGED, self.data_dir)
        geometry = self.geometries[index]
        if label.shape != (geometry.height, geometry.width):
            raise UserError(f"{path} is {label.shape}, its image was {geometry.height} x {geometry.width} pixels")
        if self.manifest.trimaps:
            species = self.tags["species"][index]
            label = trimap_to_label(label, self.class_set.names.index(species) if species else None)
        return _checked(label, len(self.class_set), path)


def make_split(data_dir: Path, manifest: Manifest, name: str, records: Sequence[Record]) -> Split:
    """Make a split of what the manifest says of its pictures, sorted by name; its arrays are built at the first call.

    Raises:
        UserError: there is no picture, or a file is missing or not as written.
    """
    if not records:
        raise UserError(f"{data_dir} has no image in the split {name}: {prepare_hint(data_dir)} with other ratios")
    labelled = np.array([record.labelled for record in records])
    images, labels = _arrays(data_dir, name, manifest, records)
    return Split(
        name=name,
        data_dir=data_dir,
        manifest=manifest,
        names=[record.name for record in records],
        images=images,
        labels=labels,
        label_rows=np.where(labelled, np.cumsum(labelled) - 1, -1).astype(np.int64),
        rectangles=np.array([record.geometry.rectangle for record in records], np.int64),
        tags={tag: [record.tags.get(tag) for record in records] for tag in manifest.tags},
        strata=strata_of(records, manifest),
        geometries=[record.geometry for record in records],
    )


def _arrays(data_dir: Path, split: str, manifest: Manifest, records: Sequence[Record]) -> tuple[np.ndarray, np.ndarray]:
    size, channels = manifest.size, manifest.channels
    names = [record.name for record in records]
    masked = [record.name for record in records if record.labelled]
    stem = data_dir / "arrays" / f"{split}-{manifest.fingerprint[:16]}"
    flags = cv2.IMREAD_COLOR_RGB if channels == 3 else cv2.IMREAD_GRAYSCALE

    def image(name: str) -> np.ndarray:
        path = image_path(data_dir, split, name)
        return _sized(_read(path, flags, data_dir), size, path)

    def label(name: str) -> np.ndarray:
        path = label_path(data_dir, split, name)
        pixels = _sized(_read(path, cv2.IMREAD_UNCHANGED, data_dir), size, path)
        return _checked(pixels, len(manifest.class_set), path)

    images_file, labels_file = stem.with_name(f"{stem.name}-images.npy"), stem.with_name(f"{stem.name}-labels.npy")
    _build(images_file, image, names, (*size, channels), f"{split} images")
    _build(labels_file, label, masked, size, f"{split} labels")
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
        for start in track(chunks, what, len(chunks), transient=True):
            yield from threads.map(read, names[start : start + CHUNK])


def _open(path: Path) -> np.ndarray:
    require_regular(path)
    try:
        return np.load(path, mmap_mode="r")
    except ValueError:
        # NumPy cannot map an empty array, and a split without masks is legitimate.
        return np.load(path)


def _read(path: Path, flags: int, data_dir: Path) -> np.ndarray:
    array = read_png(path, flags)
    if array is None:
        raise UserError(f"{path} is missing or damaged: delete {data_dir} and {prepare_hint(data_dir)}")
    return array


def _sized(array: np.ndarray, size: tuple[int, ...], path: Path) -> np.ndarray:
    if array.shape[:2] != size:
        height, width = size
        raise UserError(f"{path} is {array.shape[1]} x {array.shape[0]} pixels, the manifest says {width} x {height}")
    return array


def _checked(label: np.ndarray, num_classes: int, path: Path) -> np.ndarray:
    if label.ndim != 2 or ((label >= num_classes) & (label != IGNORED)).any():
        raise UserError(f"{path} holds values outside the set of labels 0 to {num_classes - 1}, {IGNORED}")
    return label

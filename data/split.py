"""A split of the processed folder as memory-mapped uint8 arrays.

Decoding thousands of PNGs every epoch costs more than a small network does, so each split is decoded once into one
array (`data.prepared.arrays`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np

from core.classes import IGNORED
from core.errors import UserError
from data.geometry import Geometry
from data.manifest import Manifest, Record, image_path, label_path, missing
from data.pictures import read_png
from data.prepared.arrays import Wanted, folders_of, open_array
from data.prepared.described import Described, described
from data.trimaps import trimap_to_label


@dataclass(frozen=True, kw_only=True)
class Split(Described):
    """One split: all its images, the labels of those that have a mask, and the way back to their original size.

    Attributes:
        images: [N, H, W, channels] uint8, RGB or grey, memory-mapped (or a tensor: `data.loading.on_device`).
        labels: [M, H, W] uint8 (indices of classes, 255), likewise, of the labelled images alone, by `label_rows`.
        rectangles: [N, 4] int64, content on the canvas: top, left, bottom, right (the last two exclusive).
    """

    images: np.ndarray
    labels: np.ndarray
    rectangles: np.ndarray
    geometries: list[Geometry]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the canvas that the pictures lie on."""
        height, width = self.manifest.size
        return height, width

    def truth(self, index: int) -> np.ndarray:
        """Return the label [H, W] uint8 (indices of classes, 255) of image `index` at its original size.

        Raises:
            ValueError: if the image has no mask.
            UserError: if the mask is gone, altered, or of another size than the image had.
        """
        name = self.names[index]
        if self.label_rows[index] < 0:
            raise ValueError(f"{self.name}/{name} has no mask, so nothing to be scored against")
        path = self.manifest.truth_path(self.data_dir, self.name, name)
        label = _read(path, cv2.IMREAD_UNCHANGED, self.data_dir)
        geometry = self.geometries[index]
        if label.shape != (geometry.height, geometry.width):
            raise UserError(f"{path} is {label.shape}, its image was {geometry.height} x {geometry.width} pixels")
        if self.manifest.trimaps:
            species = self.tags["species"][index]
            label = trimap_to_label(label, self.class_set.names.index(species) if species else None)
        label = _checked(label, len(self.class_set), path)
        self.require_as_prepared(index, label)
        return label

    def require_as_prepared(self, index: int, truth: np.ndarray | None = None) -> None:
        """See that image `index`, its label and its truth [H, W] uint8 (None: read it) are what was prepared.

        Raises:
            UserError: one of them was altered since.
        """
        if not (wanted := self.digests[index]):
            return
        digest = sha256(np.ascontiguousarray(self.images[index]).data)
        if (row := int(self.label_rows[index])) >= 0:
            if truth is None:
                self.truth(index)  # which comes back with it
                return
            digest.update(np.ascontiguousarray(self.labels[row]).data)
            digest.update(np.ascontiguousarray(truth).data)
        if digest.hexdigest() != wanted:
            raise self.altered(index)


def make_split(
    data_dir: Path, manifest: Manifest, name: str, records: Sequence[Record], cache_dir: Path | None = None
) -> Split:
    """Make a split of what the manifest says of its pictures, sorted by name; its arrays are built where they lack.

    Raises:
        UserError: there is no picture, or a file is missing or not as written.
    """
    facts = described(data_dir, manifest, name, records, "image")
    geometries = [record.geometry for record in records if isinstance(record.geometry, Geometry)]
    images, labels, built = _arrays(data_dir, name, manifest, records, cache_dir)
    split = Split(
        **facts,
        images=images,
        labels=labels,
        rectangles=np.array([geometry.rectangle for geometry in geometries], np.int64),
        geometries=geometries,
    )
    if built:
        for index in range(len(records)):
            split.require_as_prepared(index)
    return split


def _arrays(
    data_dir: Path, split: str, manifest: Manifest, records: Sequence[Record], cache_dir: Path | None
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return images, labels, and whether some of them had to be built."""
    size, channels, classes = manifest.size, manifest.channels, len(manifest.class_set)
    names = [record.name for record in records]
    masked = [record.name for record in records if record.labelled]
    flags = cv2.IMREAD_COLOR_RGB if channels == 3 else cv2.IMREAD_GRAYSCALE

    def image(name: str) -> np.ndarray:
        path = image_path(data_dir, split, name)
        return _sized(_read(path, flags, data_dir), size, path)

    def label(name: str) -> np.ndarray:
        path = label_path(data_dir, split, name)
        pixels = _sized(_read(path, cv2.IMREAD_UNCHANGED, data_dir), size, path)
        return _checked(pixels, classes, path)

    stem = f"{split}-{manifest.fingerprint[:16]}"
    folders = folders_of(data_dir, cache_dir, manifest.fingerprint)
    of_images = Wanted(f"{stem}-images.npy", (len(names), *size, channels), f"{split} images")
    of_labels = Wanted(f"{stem}-labels.npy", (len(masked), *size), f"{split} labels", classes)
    images, built_images = open_array(folders, of_images, names, image)
    labels, built_labels = open_array(folders, of_labels, masked, label)
    return images, labels, built_images or built_labels


def _read(path: Path, flags: int, data_dir: Path) -> np.ndarray:
    array = read_png(path, flags)
    if array is None:
        raise UserError(missing(path, data_dir))
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

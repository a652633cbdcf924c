"""A split of prepared volumes: a file a volume, of which only what is asked for is read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Self

import numpy as np

from core.classes import IGNORED
from core.errors import UserError
from core.files import open_bytes
from data.manifest import (
    Manifest,
    Record,
    foreground_path,
    missing,
    volume_label_path,
    volume_path,
    volume_truth_path,
)
from data.prepared.described import Described, described
from data.volumes.geometry import Triple, VolumeGeometry

VOXELS = np.dtype("<u2")
WHITE = 65535  # the voxel that stands for 1


@dataclass(frozen=True, kw_only=True)
class VolumeSplit(Described):
    """One split of volumes: what `data.split.Split` is for pictures, but that windows are read from files.

    Nothing of a volume stays in memory, so that memory does not grow with their number.

    Attributes:
        shapes: [N, 3] int64, each volume's own [D, H, W].
        patch: the windows that `data.volumes.batches.plain_batches` yields; None: not asked for.
    """

    shapes: np.ndarray
    geometries: list[VolumeGeometry]
    patch: Triple | None = None

    @property
    def size(self) -> Triple:
        """Depth, height and width that all volumes of the data fit into."""
        depth, height, width = self.manifest.size
        return depth, height, width

    def in_patches(self, patch: Triple) -> Self:
        """Return the split with these windows for `plain_batches`."""
        return replace(self, patch=patch)

    def window(
        self, index: int, corner: Sequence[int], size: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Read a box of volume `index`; outside the volume lie 0, False and 255.

        Args:
            corner: its first voxel along [D, H, W], which may lie outside.
            size: depth, height and width.

        Returns:
            The picture [C, d, h, w] float32 in [0, 1], where the volume is [1, d, h, w] bool, and the label [d, h, w]
            uint8, None where the volume has no mask.

        Raises:
            UserError: a file is missing, or not of the shape that the manifest says.
        """
        shape = self.geometries[index].shape
        there, here = _overlap(shape, corner, size)
        picture = np.zeros((self.channels, *size), np.float32)
        content = np.zeros((1, *size), bool)
        picture[:, *here] = self._voxels(index)[:, *there]
        picture /= WHITE
        content[:, *here] = True
        if self.label_rows[index] < 0:
            return picture, content, None
        label = np.full(size, IGNORED, np.uint8)
        label[here] = self._checked(self._label(index)[there], index)
        return picture, content, label

    def volume(self, index: int) -> np.ndarray:
        """Return the whole of volume `index`, [C, D, H, W] float32 in [0, 1]. Raises as `window`."""
        return self._voxels(index).astype(np.float32) / np.float32(WHITE)

    def label(self, index: int) -> np.ndarray:
        """Return the label of volume `index` as prepared, [D, H, W] uint8; raises as `truth`."""
        self._require_mask(index)
        return self._checked(np.array(self._label(index)), index)

    def truth(self, index: int) -> np.ndarray:
        """Return the label of volume `index` in its original space: [D, H, W] uint8 before it was resampled.

        Its axes are turned as all volumes' are; `geometries[index].original_spacing` is its spacing.

        Raises:
            ValueError: if the volume has no mask.
            UserError: if the mask is gone, altered, or of another shape than the volume had.
        """
        self._require_mask(index)
        path = volume_truth_path(self.data_dir, self.name, self.names[index])
        truth = self._checked(np.array(self._mapped(path, np.uint8, self.geometries[index].original_shape)), index)
        self.require_as_prepared(index, truth)
        return truth

    def require_as_prepared(self, index: int, truth: np.ndarray | None = None) -> None:
        """See that volume `index`, its label and its truth (None: read it) are what was prepared.

        Raises:
            UserError: one of them was altered since.
        """
        digest = sha256(self._voxels(index).data)
        if self.label_rows[index] >= 0:
            if truth is None:
                self.truth(index)  # which comes back with it
                return
            digest.update(self._label(index).data)
            digest.update(np.ascontiguousarray(truth).data)
        if digest.hexdigest() != self.digests[index]:
            raise self.altered(index)

    def foreground_voxel(self, index: int, which: float, where: float) -> np.ndarray | None:
        """Return a voxel [3] of a class that is looked for; None where the volume has no mask, or none of these.

        Args:
            which, where: in [0, 1): the class among those that the volume holds, and the voxel of the class.
        """
        if self.label_rows[index] < 0:
            return None
        path = foreground_path(self.data_dir, self.name, self.names[index])
        found = self._mapped(path, np.int32, None)  # [P, 4]: class, then D, H, W; sorted by class
        classes, starts, counts = np.unique(found[:, 0], return_index=True, return_counts=True)
        if not len(classes):
            return None
        chosen = int(which * len(classes))
        return found[starts[chosen] + int(where * counts[chosen]), 1:].astype(np.int64)

    def _require_mask(self, index: int) -> None:
        if self.label_rows[index] < 0:
            raise ValueError(f"{self.name}/{self.names[index]} has no mask, so nothing to be scored against")

    def _voxels(self, index: int) -> np.ndarray:
        path = volume_path(self.data_dir, self.name, self.names[index])
        return self._mapped(path, VOXELS, (self.channels, *self.geometries[index].shape))

    def _label(self, index: int) -> np.ndarray:
        path = volume_label_path(self.data_dir, self.name, self.names[index])
        return self._mapped(path, np.uint8, self.geometries[index].shape)

    def _checked(self, label: np.ndarray, index: int) -> np.ndarray:
        if ((label >= len(self.class_set)) & (label != IGNORED)).any():
            path = volume_label_path(self.data_dir, self.name, self.names[index])
            raise UserError(f"{path} holds values outside the set of labels 0 to {len(self.class_set) - 1}, {IGNORED}")
        return label

    def _mapped(self, path: Path, dtype: np.dtype | type, shape: tuple[int, ...] | None) -> np.ndarray:
        """Map a file of prepared data; a list, of any shape (None), is read: nothing can be mapped of an empty one."""
        try:
            with open_bytes(path):
                array: np.ndarray = np.load(path, mmap_mode="r" if shape else None, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            raise UserError(missing(path, self.data_dir)) from None
        if array.dtype != dtype or shape not in (None, array.shape) or not array.flags.c_contiguous:
            raise UserError(missing(path, self.data_dir))
        return array


def make_volume_split(data_dir: Path, manifest: Manifest, name: str, records: Sequence[Record]) -> VolumeSplit:
    """Make a split of what the manifest says of its volumes, sorted by name.

    Raises:
        UserError: the split is empty, or a file of it is missing or not as the manifest says.
    """
    facts = described(data_dir, manifest, name, records, "volume")
    geometries = [record.geometry for record in records if isinstance(record.geometry, VolumeGeometry)]
    split = VolumeSplit(
        **facts,
        shapes=np.array([geometry.shape for geometry in geometries], np.int64),
        geometries=geometries,
    )
    for index in range(len(records)):
        split.window(index, (0, 0, 0), (1, 1, 1))  # of each file one voxel
    return split


def _overlap(
    shape: Sequence[int], corner: Sequence[int], size: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return which part of a volume a box holds, and where in the box it lies."""
    there, here = [], []
    for length, start, side in zip(shape, map(int, corner), size, strict=True):
        first, last = max(0, start), min(length, start + side)
        last = max(first, last)
        there.append(slice(first, last))
        here.append(slice(first - start, last - start))
    return tuple(there), tuple(here)

"""Volumes from files: NIfTI through nibabel, NRRD, MHA and DICOM series through SimpleITK.

Both are of the extra `[medical]` and imported only where they are needed. Arrays come in the axes of the file,
(i, j, k) with any modality last, beside the affine from voxels to mm in RAS+; `Frame.turned` brings them to [C, D, H,
W].
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data.decoders.opening import PictureError
from data.volumes.frame import Frame, times
from data.volumes.itk_files import ITK, is_dicom, of_itk
from data.volumes.nifti import NIFTI, frame_of_nifti, of_nifti

SUFFIXES = (*NIFTI, *ITK)
_LARGEST = float(np.finfo(np.float32).max)


def is_volume(path: Path) -> bool:
    """Say whether a file is a volume, or a slice of one, without what reads them."""
    return path.name.lower().endswith(SUFFIXES) or is_dicom(path)


def read_frame(path: Path) -> Frame:
    """Read where a volume lies, without its voxels where the format has a header.

    Raises:
        PictureError: it is none, or damaged.
    """
    return frame_of_nifti(path) if _is_nifti(path) else of_itk(path)[0]


def read_volume(path: Path) -> tuple[Frame, np.ndarray]:
    """Read a volume, or a mask: its frame and its voxels [C, D, H, W], of the type that its file has.

    Raises:
        PictureError: it is none, cut or damaged, larger than memory holds, or holds NaN, infinite values or such that
            32 bits do not hold.
    """
    frame, array = of_nifti(path) if _is_nifti(path) else of_itk(path)
    if array.dtype.kind not in "iuf":
        raise PictureError(f"voxels of type {array.dtype}: numbers are needed")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        wrong = int((~np.isfinite(array)).sum())
        raise PictureError(f"{wrong} of its {array.size} voxels are NaN or infinite: write them as numbers")
    if (largest := max(float(array.max()), -float(array.min()))) > _LARGEST:
        raise PictureError(f"a voxel of {largest:g}, more than 32 bits hold: mend its values or their scale")
    channels = (array[..., number] for number in range(array.shape[3])) if array.ndim == 4 else (array,)
    return frame, np.stack([np.ascontiguousarray(frame.turned(channel)) for channel in channels])


def read_modalities(paths: Sequence[Path]) -> tuple[Frame, np.ndarray]:
    """Read a volume from the files of its modalities, one with all of them or one each: its frame, [C, D, H, W].

    Raises:
        PictureError: as `read_volume`; they lie in different places, or nothing is to be seen.
    """
    first, voxels = read_volume(paths[0])
    found = [voxels]
    for path in paths[1:]:
        frame, more = read_volume(path)
        if problem := difference(first, frame):
            raise PictureError(f"{path.name}: {problem} ({paths[0].name}): all modalities need one space")
        found.append(more)
    whole = np.concatenate(found)
    if all(channel.min() == channel.max() for channel in whole):
        raise PictureError(f"empty: all its voxels are {whole.flat[0]:g}")
    return first, whole


def difference(wanted: Frame, found: Frame, trust: bool = False) -> str:
    """Say by how much a mask's shape, spacing or affine differs from its volume's; "" where they are the same."""
    if found.shape != wanted.shape:
        return f"shape {times(found.shape)}, its volume has {times(wanted.shape)}"
    if trust:
        return ""
    lengths = [np.sqrt((frame.affine[:3, :3] ** 2).sum(0)) for frame in (wanted, found)]
    if not np.allclose(lengths[0], lengths[1], rtol=1e-3, atol=0):
        return f"spacing {times(lengths[1].tolist())} mm, its volume has {times(lengths[0].tolist())}"
    corners = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * [*wanted.shape, 1]
    apart = np.linalg.norm((corners @ (found.affine - wanted.affine).T)[:, :3], axis=1).max()
    if apart > 0.1 * lengths[0].min():
        return f"its affine lays it up to {apart:.2f} mm away from its volume"
    return ""


def _is_nifti(path: Path) -> bool:
    return path.name.lower().endswith(NIFTI)

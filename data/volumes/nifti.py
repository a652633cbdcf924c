"""NIfTI files: volumes read, labels written."""

import gzip
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from core.files import atomic_path, open_bytes
from data.decoders.opening import PictureError
from data.volumes.frame import Frame, decoding, framed, library, spatial

NIFTI = (".nii", ".nii.gz")


def frame_of_nifti(path: Path) -> Frame:
    """Read where a volume lies from its header. Raises PictureError where it is none."""
    return _opened(path)[0]


def of_nifti(path: Path) -> tuple[Frame, np.ndarray]:
    """Read a volume, [i, j, k, C]. Raises PictureError where it is none, cut or damaged."""
    frame, image = _opened(path)
    with decoding():
        array = _whole(path, image) if path.name.lower().endswith(".gz") else _voxels(image)
        return frame, array.reshape(*frame.shape, frame.channels)


def write_label(path: Path, label: np.ndarray, frame: Frame) -> None:
    """Write a label [D, H, W] (before resampling) as NIfTI in the space of the file that `frame` is of.

    The header is the file's, but for the type of its voxels and what could name a patient.
    """
    nibabel = library("nibabel")
    header = nibabel.Nifti1Header.from_fileobj(BytesIO(b64decode(frame.header)))
    kind = np.uint8 if label.max(initial=0) < 256 else np.int32
    header.set_data_dtype(kind)
    header.set_slope_inter(1, 0)
    header["cal_min"], header["cal_max"] = 0, 0
    image = nibabel.Nifti1Image(frame.turned_back(label).astype(kind), None, header)
    with atomic_path(path) as temporary:
        data = image.to_bytes()
        # Without a name or a time: equal labels give equal files.
        temporary.write_bytes(gzip.compress(data, 6, mtime=0) if path.name.endswith(".gz") else data)


def _opened(path: Path) -> tuple[Frame, Any]:
    nibabel = library("nibabel")
    with decoding():
        image = nibabel.load(path)
        if not isinstance(image, nibabel.Nifti1Image):
            raise PictureError("not a NIfTI file")
        shape = spatial(image.shape)
        header = image.header.copy() if type(image.header) is nibabel.Nifti1Header else None
        header = header or nibabel.Nifti1Header()
        header.set_data_shape(shape[:3])
        if type(image.header) is not nibabel.Nifti1Header:
            header.set_sform(image.affine, "aligned")
        return framed(shape, np.asarray(image.affine, np.float64), header), image


def _voxels(image: Any) -> np.ndarray:
    slope, intercept = image.header.get_slope_inter()
    plain = slope in (None, 1) and intercept in (None, 0)
    return np.asanyarray(image.dataobj) if plain else image.get_fdata(dtype=np.float32)


def _whole(path: Path, image: Any) -> np.ndarray:
    """Read a compressed file to its very end, where its checksum stands: damage that decompresses is told by it."""
    with open_bytes(path) as file, gzip.GzipFile(fileobj=file) as stream:
        array = _voxels(type(image).from_file_map(image.make_file_map({"image": stream})))
        while stream.read(2**20):
            pass
    return array

"""Volumes from files: NIfTI through nibabel, NRRD, MHA and DICOM series through SimpleITK.

Both are of the extra `[medical]` and imported only here. Arrays come in the axes of the file, (i, j, k) with any
modality last, beside the affine from voxels to mm in RAS+; `turned` brings them to [C, D, H, W].
"""

import locale
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import UserError
from core.files import atomic_path
from data.decoders.opening import PictureError
from data.volumes.geometry import Spacing, Triple

NIFTI = (".nii", ".nii.gz")
ITK = (".nrrd", ".nhdr", ".mha", ".mhd")
SUFFIXES = (*NIFTI, *ITK)
DICOM_SUFFIXES = (".dcm", ".ima", "")
MOST_BYTES = 2**33  # of one volume as numbers of 32 bits: more than any scanner makes, less than memory has
_IDENTIFYING = ("descrip", "aux_file", "intent_name", "db_name")
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # of ITK, to RAS+


@dataclass(frozen=True)
class Frame:
    """A volume's place, without its voxels: shape and modalities in the axes of the file.

    Attributes:
        shape: (i, j, k).
        channels: of the fourth axis; 1 without one.
        affine: [4, 4] float64, from voxels to mm in RAS+.
        header: base64 of a NIfTI header without what could name a patient.
        modality: what a DICOM series says of itself, else "".
    """

    shape: Triple
    channels: int
    affine: np.ndarray
    header: str
    modality: str = ""

    @property
    def orientation(self) -> str:
        """Where the axes of the file lead, as "LPS"."""
        return "".join(_library("nibabel").aff2axcodes(self.affine))

    @property
    def turned_shape(self) -> Triple:
        """[D, H, W]."""
        depth, height, width = (self.shape[axis] for axis in self._axes[::-1])
        return depth, height, width

    @property
    def spacing(self) -> Spacing:
        """Millimetres along [D, H, W]."""
        lengths = np.sqrt((self.affine[:3, :3] ** 2).sum(0))
        depth, height, width = (float(lengths[axis]) for axis in self._axes[::-1])
        return depth, height, width

    @property
    def _axes(self) -> list[int]:
        """The axis of the file that leads to the right or left, to the front or back, to the head or feet."""
        ends = self._ends
        return [int(np.flatnonzero(ends[:, 0] == axis)[0]) for axis in range(3)]

    @property
    def _ends(self) -> np.ndarray:
        ends: np.ndarray = _library("nibabel").io_orientation(self.affine)
        return ends

    def turned(self, array: np.ndarray) -> np.ndarray:
        """Return an array (i, j, k) of the file as [D, H, W]: RAS+, then reversed."""
        turned: np.ndarray = _library("nibabel").apply_orientation(array, self._ends)
        return turned.transpose(2, 1, 0)

    def turned_back(self, array: np.ndarray) -> np.ndarray:
        """Return an array [D, H, W] in the axes of the file."""
        orientations = _library("nibabel").orientations
        plain = np.array([[axis, 1] for axis in range(3)])
        back = orientations.ornt_transform(plain, self._ends)
        found: np.ndarray = orientations.apply_orientation(array.transpose(2, 1, 0), back)
        return found


def read_frame(path: Path) -> Frame:
    """Read where a volume lies, without its voxels where the format has a header.

    Raises:
        PictureError: it is none, or damaged.
    """
    return _nifti_frame(path)[0] if _is_nifti(path) else _itk(path)[0]


def read_volume(path: Path) -> tuple[Frame, np.ndarray]:
    """Read a volume: its frame and its voxels [C, D, H, W], of the type that its file has.

    Raises:
        PictureError: it is none, cut or damaged, empty, larger than memory holds, or holds NaN or infinite values.
    """
    frame, array = _nifti(path) if _is_nifti(path) else _itk(path)
    if array.dtype.kind not in "iuf":
        raise PictureError(f"voxels of type {array.dtype}: numbers are needed")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        wrong = int((~np.isfinite(array)).sum())
        raise PictureError(f"{wrong} of its {array.size} voxels are NaN or infinite: write them as numbers")
    channels = (array[..., number] for number in range(array.shape[3])) if array.ndim == 4 else (array,)
    return frame, np.stack([np.ascontiguousarray(frame.turned(channel)) for channel in channels])


def write_label(path: Path, label: np.ndarray, frame: Frame) -> None:
    """Write a label [D, H, W] (before resampling) as NIfTI in the space of the file that `frame` is of.

    The header is the file's, but for the type of its voxels and what could name a patient.
    """
    nibabel = _library("nibabel")
    header = nibabel.Nifti1Header.from_fileobj(_stream(b64decode(frame.header)))
    kind = np.uint8 if label.max(initial=0) < 256 else np.int32
    header.set_data_dtype(kind)
    header.set_slope_inter(1, 0)
    header["cal_min"], header["cal_max"] = 0, 0
    image = nibabel.Nifti1Image(frame.turned_back(label).astype(kind), None, header)
    with atomic_path(path) as temporary:
        data = image.to_bytes()
        temporary.write_bytes(_gzip(data) if path.name.endswith(".gz") else data)


def _gzip(data: bytes) -> bytes:
    """Compress without a name or a time: equal labels give equal files."""
    from gzip import compress

    return compress(data, 6, mtime=0)


def _stream(data: bytes) -> Any:
    from io import BytesIO

    return BytesIO(data)


def _is_nifti(path: Path) -> bool:
    return path.name.lower().endswith(NIFTI)


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise UserError(f"volumes are read with {name}: pip install 'ae-pretrained[medical]'") from None


@contextmanager
def _decoding() -> Iterator[None]:
    """Turn whatever a reader raises of a file into a PictureError."""
    try:
        yield
    except (PictureError, UserError):
        raise
    except (EOFError, zlib.error):
        raise PictureError("cut: its compressed data end early, copy it anew") from None
    except MemoryError:
        raise PictureError("its voxels do not fit into memory") from None
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        early = "Expected" in text and "bytes" in text  # of nibabel, of an uncompressed file
        raise PictureError(f"{'cut' if early else 'damaged, or no volume'} ({text[-160:]})") from None


@contextmanager
def kept_locale() -> Iterator[None]:
    """Keep the process's locale: ITK's DICOM reader sets that of C, in which further files would be read as ASCII."""
    before = locale.setlocale(locale.LC_ALL)
    try:
        yield
    finally:
        locale.setlocale(locale.LC_ALL, before)


def _nifti_frame(path: Path) -> tuple[Frame, Any]:
    nibabel = _library("nibabel")
    with _decoding():
        image = nibabel.load(path)
        if not isinstance(image, nibabel.Nifti1Image):
            raise PictureError("not a NIfTI file")
        shape = _spatial(image.shape)
        header = image.header.copy() if type(image.header) is nibabel.Nifti1Header else None
        header = header or nibabel.Nifti1Header()
        header.set_data_shape(shape[:3])
        if type(image.header) is not nibabel.Nifti1Header:
            header.set_sform(image.affine, "aligned")
        return _frame(shape, np.asarray(image.affine, np.float64), header), image


def _nifti(path: Path) -> tuple[Frame, np.ndarray]:
    frame, image = _nifti_frame(path)
    with _decoding():
        slope, intercept = image.header.get_slope_inter()
        plain = slope in (None, 1) and intercept in (None, 0)
        array = np.asanyarray(image.dataobj) if plain else image.get_fdata(dtype=np.float32)
        return frame, array.reshape(*frame.shape, frame.channels)[..., :]


def _spatial(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return (i, j, k, channels); axes of 1 behind these say nothing."""
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) not in (3, 4) or (len(shape) == 3 and min(shape) < 1):
        raise PictureError(
            f"shape {' x '.join(map(str, shape))}: a volume has three axes, and perhaps one of modalities"
        )
    if min(shape) < 1:
        raise PictureError(f"empty: shape {' x '.join(map(str, shape))}")
    if 4 * np.prod(shape, dtype=np.float64) > MOST_BYTES:
        gib = 4 * np.prod(shape, dtype=np.float64) / 2**30
        raise PictureError(
            f"declares {' x '.join(map(str, shape))} voxels, {gib:.0f} GiB as numbers, more than the "
            f"{MOST_BYTES >> 30} that one volume may take: resample or crop it"
        )
    first, second, third, *more = shape
    return first, second, third, more[0] if more else 1


def _frame(shape: tuple[int, int, int, int], affine: np.ndarray, header: Any, modality: str = "") -> Frame:
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise PictureError("its affine leads nowhere (a spacing of 0, or axes that coincide): mend its header")
    for name in _IDENTIFYING:
        header[name] = b""
    header.extensions.clear()
    return Frame(shape[:3], shape[3], affine, b64encode(header.binaryblock).decode(), modality)


def _itk(path: Path) -> tuple[Frame, np.ndarray]:
    itk, nibabel = _library("SimpleITK"), _library("nibabel")
    itk.ProcessObject.SetGlobalWarningDisplay(False)
    with _decoding(), kept_locale():
        image, modality = _series(itk, path) if path.is_dir() else _itk_file(itk, path)
        if image.GetDimension() == 4:
            raise PictureError(_TIME.format(image.GetSize()[3]))
        if image.GetDimension() != 3:
            raise PictureError(f"of {image.GetDimension()} dimensions: a volume has three")
        array = itk.GetArrayFromImage(image)  # [z, y, x] or [z, y, x, C]
        array = array.reshape(*array.shape[:3], -1).transpose(2, 1, 0, 3)
        axes = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
        affine = np.eye(4)
        affine[:3, :3], affine[:3, 3] = axes, image.GetOrigin()
        affine = _LPS @ affine
        header = nibabel.Nifti1Header()
        header.set_data_shape(array.shape[:3])
        header.set_sform(affine, "scanner")
        header.set_qform(affine, "scanner")
        header.set_xyzt_units("mm")
        return _frame(_spatial(array.shape), affine, header, modality), array


_TIME = "a fourth axis of {}: a time series, of which one volume can be used: save that one"


def _itk_file(itk: Any, path: Path) -> tuple[Any, str]:
    reader = itk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    _spatial(tuple(reader.GetSize())[:3])
    return reader.Execute(), ""


def _series(itk: Any, folder: Path) -> tuple[Any, str]:
    found = itk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if not found:
        raise PictureError("a folder without a DICOM series")
    if len(found) > 1:
        raise PictureError(f"a folder of {len(found)} DICOM series: lay each into a folder of its own")
    files = itk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), found[0])
    first = itk.ImageFileReader()
    first.SetFileName(files[0])
    first.ReadImageInformation()
    modality = first.GetMetaData("0008|0060").strip() if first.HasMetaDataKey("0008|0060") else ""
    reader = itk.ImageSeriesReader()
    reader.SetFileNames(files)
    return reader.Execute(), modality

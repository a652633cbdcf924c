"""NRRD, MHA and DICOM series through SimpleITK."""

import locale
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import UserError
from core.files import open_bytes
from data.decoders.opening import PictureError
from data.volumes.frame import CUT, TIME, Frame, decoding, framed, library, spatial

ITK = (".nrrd", ".nhdr", ".mha", ".mhd")
_DICOM = (".dcm", ".ima")
_META = (".mha", ".mhd")
_META_BYTES = {"CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "FLOAT": 4, "DOUBLE": 8}
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # of ITK, to RAS+
_UNEVEN = 0.05  # of a slice's distance from the one before


def of_itk(path: Path) -> tuple[Frame, np.ndarray]:
    """Read a volume, [i, j, k, C]. Raises PictureError where it is none, cut or damaged."""
    itk, nibabel = library("SimpleITK"), library("nibabel")
    itk.ProcessObject.SetGlobalWarningDisplay(False)
    with decoding(), kept_locale():
        image, modality = _series(itk, path) if path.is_dir() else _file(itk, path)
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
        return framed(spatial(array.shape), affine, header, modality), array


@contextmanager
def kept_locale() -> Iterator[None]:
    """Keep the process's locale: ITK's DICOM reader sets that of C, in which further files would be read as ASCII."""
    before = locale.setlocale(locale.LC_ALL)
    try:
        yield
    finally:
        locale.setlocale(locale.LC_ALL, before)


def is_dicom(path: Path) -> bool:
    """Say whether a file is a slice of a DICOM series: by its suffix, or, since many have none, by its first bytes."""
    if path.suffix.lower() in _DICOM:
        return True
    try:
        with open_bytes(path) as file:
            return file.read(132)[128:] == b"DICM" and path.name.upper() != "DICOMDIR"
    except (OSError, UserError):  # a pipe, say
        return False


def slices_in(folder: Path) -> list[Path]:
    """Return the slices of DICOM in a folder; [] where it holds none."""
    return [path for path in sorted(folder.iterdir()) if path.is_file() and is_dicom(path)]


def _file(itk: Any, path: Path) -> tuple[Any, str]:
    reader = itk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    size = tuple(reader.GetSize())
    if len(size) == 4:
        raise PictureError(TIME.format(size[3]))
    spatial((*size, reader.GetNumberOfComponents()) if len(size) == 3 else size)
    if path.suffix.lower() in _META:
        _require_whole(path)
    return reader.Execute(), ""


def _require_whole(path: Path) -> None:
    """See that the voxels of an MHA or MHD are all there: its reader says on the terminal what it misses.

    Raises:
        PictureError: they are not.
    """
    fields: dict[str, str] = {}
    with open_bytes(path) as file:
        while "ElementDataFile" not in fields and (line := file.readline(4096)):
            name, _, value = line.decode("latin-1").partition("=")
            fields[name.strip()] = value.strip()
        begin = file.tell()
    kind = fields.get("ElementType", "").removeprefix("MET_").removesuffix("_ARRAY")
    where = fields.get("ElementDataFile", "")
    data = path if where.upper() == "LOCAL" else path.parent / where
    if where.upper().startswith("LIST") or "%" in where:
        return
    if not data.is_file():
        raise PictureError(f"its voxels' file {where} is not there: lay it beside")
    wanted = math.prod(map(int, fields["DimSize"].split())) * _META_BYTES.get(kind, 0)
    wanted *= int(fields.get("ElementNumberOfChannels", 1))
    if fields.get("CompressedData", "").lower() == "true":
        wanted = int(fields.get("CompressedDataSize", 0))
    if data.stat().st_size - (begin if data == path else 0) < wanted:
        raise PictureError(CUT)


def _series(itk: Any, folder: Path) -> tuple[Any, str]:
    found = itk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if not found:
        raise PictureError("a folder without a DICOM series")
    if len(found) > 1:
        raise PictureError(f"a folder of {len(found)} DICOM series: lay each into a folder of its own")
    files = itk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), found[0])
    if lost := {path.name for path in slices_in(folder)} - {Path(file).name for file in files}:
        raise PictureError(f"{len(lost)} of its slices cannot be read, as {min(lost)}: copy them anew")
    heads = [_head(itk, file) for file in files]
    modality = heads[0].GetMetaData("0008|0060").strip() if heads[0].HasMetaDataKey("0008|0060") else ""
    first, second, *_ = heads[0].GetSize()
    if len(heads) == 1:  # all slices in one file, or a single one
        spatial((*heads[0].GetSize(), heads[0].GetNumberOfComponents()))
        return heads[0].Execute(), modality
    spatial((first, second, len(heads), heads[0].GetNumberOfComponents()))
    _require_even(heads)
    reader = itk.ImageSeriesReader()
    reader.SetFileNames(files)
    return reader.Execute(), modality


def _head(itk: Any, file: str) -> Any:
    reader = itk.ImageFileReader()
    reader.SetFileName(file)
    reader.ReadImageInformation()
    return reader


def _require_even(heads: Sequence[Any]) -> None:
    """See that slices lie behind each other, all as far apart: what is read has one spacing.

    Raises:
        PictureError: one is missing or comes twice, or they are of a tilted gantry.
    """
    origins = np.array([head.GetOrigin() for head in heads])
    normal = np.array(heads[0].GetDirection()).reshape(3, 3)[:, 2]
    steps = np.diff(origins, axis=0)
    along = steps @ normal
    usual = float(np.median(along))
    off = np.linalg.norm(steps - usual * normal, axis=1)
    if not abs(usual) > 0 or off.max() > _UNEVEN * abs(usual):
        raise PictureError(
            f"its {len(heads)} slices do not lie evenly behind each other ({np.abs(along).min():g} to "
            f"{np.abs(along).max():g} mm apart, up to {off.max():g} mm off): some are missing or come twice, or the "
            "gantry was tilted; export the series anew, or resample it to a NIfTI"
        )

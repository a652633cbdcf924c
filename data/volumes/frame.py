"""Where a volume lies: its frame, in the axes of its file; and what the readers of all formats share."""

import re
import zlib
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from core.errors import UserError
from core.extras import to_install
from data.decoders.opening import PictureError
from data.volumes.geometry import Spacing, Triple

MOST_BYTES = 2**33  # of one volume as numbers of 32 bits: more than any scanner makes, less than memory has
TIME = "a fourth axis of {}: a time series, of which one volume can be used: save that one"
CUT = "cut: its data end early, copy it anew"
# What a NIfTI header says that could name a patient: texts, and numbers of Analyze 7.5 that NIfTI has no use for.
_IDENTIFYING = ("data_type", "db_name", "descrip", "aux_file", "intent_name", "regular")
_UNUSED = ("extents", "session_error", "glmax", "glmin")
_FLATTEST = 1e-3  # volume of a voxel as a share of that of a box with its sides


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
        return "".join(library("nibabel").aff2axcodes(self.affine))

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
        ends: np.ndarray = library("nibabel").io_orientation(self.affine)
        return ends

    def turned(self, array: np.ndarray) -> np.ndarray:
        """Return an array (i, j, k) of the file as [D, H, W]: RAS+, then reversed."""
        turned: np.ndarray = library("nibabel").apply_orientation(array, self._ends)
        return turned.transpose(2, 1, 0)

    def turned_back(self, array: np.ndarray) -> np.ndarray:
        """Return an array [D, H, W] in the axes of the file."""
        orientations = library("nibabel").orientations
        plain = np.array([[axis, 1] for axis in range(3)])
        back = orientations.ornt_transform(plain, self._ends)
        found: np.ndarray = orientations.apply_orientation(array.transpose(2, 1, 0), back)
        return found


def library(name: str) -> Any:
    """Import what reads volumes, of the extra `[medical]`.

    Raises:
        UserError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError:
        raise UserError(f"volumes are read with {name}: {to_install('medical')}") from None


def spatial(shape: Sequence[int]) -> tuple[int, int, int, int]:
    """Return (i, j, k, channels); axes of 1 behind these say nothing.

    Raises:
        PictureError: it is of no volume, empty, or declares more than memory holds.
    """
    told = times(shape)
    if min(shape, default=0) < 1:
        raise PictureError(f"empty: shape {told}")
    while len(shape) > 3 and shape[-1] == 1:
        shape, told = shape[:-1], times(shape[:-1])
    if len(shape) not in (3, 4):
        raise PictureError(f"shape {told}: a volume has three axes, and perhaps one of modalities")
    if (needed := 4 * np.prod(shape, dtype=np.float64)) > MOST_BYTES:
        raise PictureError(
            f"declares {told} voxels, {needed / 2**30:.0f} GiB as numbers, more than the {MOST_BYTES >> 30} that one "
            "volume may take: resample or crop it"
        )
    first, second, third, *more = shape
    return first, second, third, more[0] if more else 1


def framed(shape: tuple[int, int, int, int], affine: np.ndarray, header: Any, modality: str = "") -> Frame:
    """Return the frame of a volume; what could name a patient goes out of the header.

    Raises:
        PictureError: the affine leads nowhere.
    """
    axes = affine[:3, :3]
    box = np.prod(np.linalg.norm(axes, axis=0))
    if not np.isfinite(affine).all() or not abs(np.linalg.det(axes)) > _FLATTEST * box:
        raise PictureError("its affine leads nowhere (a spacing of 0, or axes that coincide): mend its header")
    for name in _IDENTIFYING:
        header[name] = b""
    for name in _UNUSED:
        header[name] = 0
    header.extensions.clear()
    return Frame(shape[:3], shape[3], affine, b64encode(header.binaryblock).decode(), modality)


def times(numbers: Sequence[float]) -> str:
    """Return sides, or spacings, in words: 20 x 18 x 16."""
    return " x ".join(f"{number:g}" if isinstance(number, float) else str(number) for number in numbers)


@contextmanager
def decoding() -> Iterator[None]:
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
        raise PictureError(_in_words(error)) from None


def _in_words(error: Exception) -> str:
    text = " ".join(str(error).split())
    # ITK begins with its own files' names and lines, and objects with their addresses.
    text = re.sub(r"^.*(\.[ch]xx:\d+:|ERROR:|\(0x[0-9a-f]+\):) ?", "", text) or type(error).__name__
    if "allocate memory" in text:
        return "its voxels do not fit into memory"
    # Of nibabel, of an uncompressed file; of NRRD's reader, plain and compressed.
    if re.search(r"[Ee]xpected \d+ bytes|fread got only", text):
        return CUT
    return f"damaged, or no volume ({text[:160]})"

"""Which files are volumes, told without the libraries that read them."""

from pathlib import Path

from core.errors import UserError
from core.files import open_bytes
from data.volumes.reading import SUFFIXES

_OF_DICOM = (".dcm", ".ima")


def is_volume(path: Path) -> bool:
    """Say whether a file is a volume, or a slice of one, by its name; of DICOM also by the mark that it begins with."""
    return path.name.lower().endswith((*SUFFIXES, *_OF_DICOM)) or _has_mark(path)


def _has_mark(path: Path) -> bool:
    try:
        with open_bytes(path) as file:
            return file.read(132)[128:] == b"DICM"
    except (OSError, UserError):
        return False

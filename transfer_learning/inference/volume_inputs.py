"""Which volumes the files found for a prediction are, and what their results are called."""

import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath

from core.errors import UserError
from core.filing.paths import expanded
from data.volumes.itk_files import is_dicom
from data.volumes.reading import SUFFIXES
from transfer_learning.inference.inputs import result_names

RESULT = ".nii.gz"
_MODALITY = re.compile(r"(.+)_(\d{4})")
_NO_VOLUME = f"no volume: {', '.join(SUFFIXES)}, or a folder a DICOM series"


def volumes_of(
    files: Mapping[str, Path], modalities: int, inputs: Sequence[str] = ()
) -> tuple[dict[str, tuple[Path, ...]], list[tuple[str, str]]]:
    """Return the files of each volume: one, the folder of a DICOM series, or one a modality.

    Args:
        files: name -> file, of all that was found.
        modalities: of the weights; where NAME_0000 to the last of them are there, they are the volume NAME.
        inputs: as they were given; a file that was named is not passed over, whatever its name: it fails by name.

    Returns:
        name -> files; and what is no volume, with the reason.

    Raises:
        UserError: nothing is.
    """
    found: dict[str, tuple[Path, ...]] = {}
    passed_over = []
    named = {os.path.abspath(expanded(given)) for given in inputs}  # noqa: PTH100 - links keep their names
    for name, path in files.items():
        if path.name.lower().endswith(SUFFIXES) or (str(path) in named and not is_dicom(path)):
            found[name] = (path,)
        elif path.is_file() and is_dicom(path):
            folder = PurePosixPath(name).parent.as_posix()
            found[path.parent.name if folder == "." else folder] = (path.parent,)
        else:
            passed_over.append((name, _NO_VOLUME))
    if not found:
        raise UserError(f"none of {len(files)} files can be read as a volume ({passed_over[0][0]}: {_NO_VOLUME})")
    return _joined(found, modalities) if modalities > 1 else found, passed_over


def _joined(found: dict[str, tuple[Path, ...]], modalities: int) -> dict[str, tuple[Path, ...]]:
    """Lay the files of a volume's modalities together where all are there."""
    parts: dict[str, dict[int, str]] = {}
    for name in found:
        if match := _MODALITY.fullmatch(_bare(name)):
            parts.setdefault(f"{match[1]}{name.removeprefix(_bare(name))}", {})[int(match[2])] = name
    for whole, names in parts.items():
        if sorted(names) == list(range(modalities)) and whole not in found:
            found[whole] = tuple(found.pop(names[number])[0] for number in sorted(names))
    return dict(sorted(found.items()))


def result_files(names: Collection[str]) -> dict[str, str]:
    """Return the file of each volume's result: its name with another suffix, behind its own where two would share it.

    Bytes that are no UTF-8 are spelt out, as `inputs.result_names` does.
    """
    return {name: f"{result}{RESULT}" for name, result in result_names(list(names), _bare).items()}


def _bare(name: str) -> str:
    suffix = next((suffix for suffix in sorted(SUFFIXES, key=len)[::-1] if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]

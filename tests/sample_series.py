"""A small DICOM series."""

from pathlib import Path

import numpy as np
import pytest

from data.volumes.itk_files import kept_locale

sitk = pytest.importorskip("SimpleITK")


def write_series(folder: Path, number: int, apart: int = 2) -> None:
    """Write six slices of CT, so many mm apart, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    voxels = np.random.default_rng(number).integers(-900, 900, (6, 12, 10)).astype(np.int16)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for place, plane in enumerate(voxels):
        image = sitk.GetImageFromArray(plane)
        tags = {
            **{"0008|0060": "CT", "0020|000e": f"1.2.3.{number}", "0020|000d": "1.2.9", "0010|0010": "MILLER"},
            **{"0020|0032": f"0\\0\\{apart * place}", "0020|0037": "1\\0\\0\\0\\1\\0", "0020|0013": str(place)},
            **{"0008|0018": f"1.2.3.{number}.{place}", "0008|0016": "1.2.840.10008.5.1.4.1.1.2"},
        }
        for name, value in tags.items():
            image.SetMetaData(name, value)
        writer.SetFileName(str(folder / f"{number}_{place}.dcm"))
        with kept_locale():
            writer.Execute(image)

"""Predictions of volumes back in the space of their files."""

from pathlib import Path

import numpy as np

from data.volumes.frame import Frame
from data.volumes.geometry import VolumeGeometry, resample_probabilities
from data.volumes.nifti import write_label


def original_label(prediction: np.ndarray, geometry: VolumeGeometry) -> np.ndarray:
    """Return a prediction as a label [D, H, W] uint8 of the original shape, indices of classes.

    Args:
        prediction: probabilities [K, D, H, W], or a label [D, H, W] uint8, of the shape as prepared. Both are resampled
            as probabilities, and the most probable class is taken.
    """
    if prediction.ndim == 3:
        if not geometry.is_resampled:
            return prediction
        prediction = np.stack([prediction == number for number in range(int(prediction.max()) + 1)]).astype(np.float32)
    return resample_probabilities(prediction, geometry.original_shape).argmax(0).astype(np.uint8)


def restore(path: Path, prediction: np.ndarray, geometry: VolumeGeometry, values: tuple[int, ...] = ()) -> np.ndarray:
    """Write a prediction as NIfTI in the space of the original file: its shape, axes, affine and header.

    Args:
        path: where to, .nii or .nii.gz.
        prediction: as of `original_label`.
        geometry: of the volume's record.
        values: what stands for each class (`Manifest.label_values`); () for the indices themselves.

    Returns:
        The label that was written, [D, H, W], indices.
    """
    label = original_label(prediction, geometry)
    coded = np.asarray(values or range(256), np.int32)[label]
    frame = Frame(geometry.file_shape, 1, np.array(geometry.affine), geometry.header)
    write_label(path, coded, frame)
    return label

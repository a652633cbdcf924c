"""Segment files of volumes: each prediction goes back into its file's own space, as NIfTI."""

import errno
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from core.errors import UserError, first_problem
from core.filing.paths import readable
from core.headers.header import ANEW, Header
from data.pictures import PictureError
from data.sources.source import VolumePlan
from data.volumes.geometry import Spacing, VolumeGeometry
from data.volumes.intensity import Intensity
from data.volumes.preparing import other_modalities, prepared
from data.volumes.reading import read_modalities
from data.volumes.restoring import restore
from data.volumes.split import WHITE
from transfer_learning.inference.backends import load_members
from transfer_learning.inference.volumes import VolumeReadout
from transfer_learning.predict_config import PredictConfig


def plan_of(header: Header, path: Path) -> tuple[VolumePlan, tuple[Intensity, ...]]:
    """Return how weights of volumes want them.

    Raises:
        UserError: the header says something else.
    """
    said = header.volumes or {}
    try:
        spacing = TypeAdapter(Spacing | None).validate_python(said.get("spacing"))
        intensity = TypeAdapter(tuple[Intensity, ...]).validate_python(said["intensity"])
        values = TypeAdapter(tuple[int, ...]).validate_python(said["label_values"])
        return VolumePlan(spacing, intensity, values), intensity
    except (ValidationError, KeyError) as error:
        why = first_problem(error) if isinstance(error, ValidationError) else f"{error} is missing"
        raise UserError(f"{path}: its header is damaged (volumes: {why}): {ANEW}") from None


class VolumeSegmenter:
    """Networks of volumes, ready to segment files of them.

    Args:
        config: names the weights and how volumes are seen.

    Raises:
        UserError: the weights are of pictures, damaged, or of an ensemble that does not fit.
    """

    def __init__(self, config: PredictConfig) -> None:
        members = config.members(config.model_path)
        loaded = load_members(members, config, config.device)
        readouts = []
        for path, one in zip(members, loaded, strict=True):
            if one.header.network.dims != 3 or one.header.size is None:
                raise UserError(f"{path} was trained on pictures, {members[0]} on volumes: an ensemble sees the same")
            readouts.append(VolumeReadout(one.network, one.header.size, config, config.batch_size))
        first, *others = readouts
        first.others = others
        self.readout, self.header = first, loaded[0].header
        self.plan, self.intensity = plan_of(self.header, members[0])

    def read(self, paths: Sequence[Path]) -> tuple[np.ndarray, VolumeGeometry]:
        """Read a volume from the files of its modalities, as training reads it.

        Raises:
            PictureError, OSError: it cannot be read, or has other modalities than the training.
        """
        frame, voxels = read_modalities(paths)
        if len(voxels) != len(self.intensity):
            raise PictureError(other_modalities(len(voxels), len(self.intensity), "the weights were trained on"))
        return prepared(voxels, frame, self.plan, self.intensity)

    def segment(self, volume: np.ndarray, geometry: VolumeGeometry, result: Path) -> dict[str, Any]:
        """Segment what `read` returned and write its prediction; returns its row of predictions.json."""
        probabilities = self.readout.probabilities(volume.astype(np.float32) / np.float32(WHITE))
        result.parent.mkdir(parents=True, exist_ok=True)
        label = restore(result, probabilities, geometry, self.plan.values)
        counts = np.bincount(label.ravel(), minlength=len(self.header.classes))
        names = self.header.classes.names
        cube = float(np.prod(geometry.original_spacing)) / 1000
        return {
            "shape": list(geometry.original_shape),
            "spacing": list(geometry.original_spacing),
            "classes": {
                name: {"voxels": int(count), "millilitres": count * cube}
                for name, count in zip(names, counts, strict=True)
            },
        }


def segment_volumes(
    config: PredictConfig, files: Mapping[str, Sequence[Path]], results: Mapping[str, str], folder: Path
) -> dict[str, Any]:
    """Segment volumes into a folder; returns the content of predictions.json.

    Args:
        config: the settings.
        files: name -> the files of its modalities, one with all of them or one each.
        results: name -> the file of its result.
        folder: where results go.
    """
    from core.terminal.progress import track

    segmenter = VolumeSegmenter(config)
    found, unreadable = [], []
    for name, paths in track(files.items(), "segmenting", len(files)):
        try:
            volume, geometry = segmenter.read(paths)
        except (PictureError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            unreadable.append({"file": readable(name), "reason": readable(reason)})
            continue
        try:
            row = segmenter.segment(volume, geometry, folder / results[name])
        except OSError as error:  # a full disk ends all
            if error.errno != errno.ENAMETOOLONG:
                raise
            reason = "its result's name is too long here: shorten it"
            unreadable.append({"file": readable(name), "reason": reason})
            continue
        found.append({"file": readable(name), "mask": results[name], **row})
    if not found:
        reasons = "; ".join(f"{entry['file']}: {entry['reason']}" for entry in unreadable[:3])
        raise UserError(f"none of {len(files)} files can be read as a volume ({reasons})")
    classes = dict(zip(segmenter.header.classes.names, segmenter.plan.values, strict=True))
    return {
        "format": 1,
        "num_volumes": len(found),
        "values": classes,
        "pictures": found,
        "unreadable": unreadable,
        "settings": segmenter.readout.settings,
    }

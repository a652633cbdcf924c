"""Segment files of volumes: each prediction goes back into its file's own space, as NIfTI."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from core.errors import UserError, first_problem
from core.filing.paths import expanded, readable
from core.headers.header import ANEW, Header
from data.pictures import PictureError
from data.sources.source import VolumePlan
from data.volumes.geometry import Spacing
from data.volumes.intensity import Intensity
from data.volumes.preparing import prepared
from data.volumes.reading import SUFFIXES, read_volume
from data.volumes.restoring import restore
from data.volumes.split import WHITE
from transfer_learning.inference.backends import load_members
from transfer_learning.inference.volumes import VolumeReadout
from transfer_learning.predict_config import PredictConfig

SUFFIX = ".nii.gz"


def without_suffix(name: str) -> str:
    """Return a name without the suffix of a volume's format, which may be two (.nii.gz); others keep theirs."""
    return next((name[: -len(suffix)] for suffix in SUFFIXES if name.lower().endswith(suffix)), name)


def volumes_among(files: Mapping[str, Path], inputs: Sequence[str]) -> tuple[dict[str, Path], list[tuple[str, str]]]:
    """Return those of the files that are volumes by their names, and the others with the reason.

    Args:
        files: name -> file.
        inputs: as they were given; a file that was named is no other, whatever its name: it fails by name.

    Raises:
        UserError: there is none.
    """
    named = {os.path.abspath(expanded(given)) for given in inputs}  # noqa: PTH100 - links keep their names
    others = {name for name, path in files.items() if not _is_read(path) and str(path) not in named}
    found = {name: path for name, path in files.items() if name not in others}
    if not any(map(_is_read, found.values())):
        first = next(iter(files))
        raise UserError(f"{' '.join(inputs)} holds no volume ({', '.join(SUFFIXES)}); the first file: {first}")
    return found, [(str(files[name]), f"no volume ({', '.join(SUFFIXES)})") for name in sorted(others)]


def _is_read(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES)


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

    def segment(self, path: Path, result: Path) -> dict[str, Any]:
        """Segment a file and write its prediction; returns its row of predictions.json.

        Raises:
            PictureError, OSError: it cannot be read, or has other modalities than the training.
        """
        if not _is_read(path):
            raise PictureError(f"no volume: its name ends with none of {', '.join(SUFFIXES)}")
        frame, voxels = read_volume(path)
        if len(voxels) != len(self.intensity):
            raise PictureError(f"{len(voxels)} modalities, the weights were trained on {len(self.intensity)}")
        volume, geometry = prepared(voxels, frame, self.plan, self.intensity)
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
    config: PredictConfig, files: Mapping[str, Path], results: Mapping[str, str], folder: Path
) -> dict[str, Any]:
    """Segment volumes into a folder; returns the content of predictions.json.

    Args:
        config: the settings.
        files: name -> file.
        results: name -> that of its result.
        folder: where results go.
    """
    from core.terminal.progress import track

    segmenter = VolumeSegmenter(config)
    found, unreadable = [], []
    for name, path in track(files.items(), "segmenting", len(files)):
        try:
            row = segmenter.segment(path, folder / results[name])
        except (PictureError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            unreadable.append({"file": readable(name), "reason": readable(reason)})
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

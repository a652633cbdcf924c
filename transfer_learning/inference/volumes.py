"""How volumes go through a network: in overlapping windows, blended with Gaussian weights by MONAI."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.errors import RunError, UserError
from core.evaluation import resolution_of
from core.extras import to_install
from data.volumes.geometry import VolumeGeometry, resample_probabilities
from data.volumes.split import VolumeSplit
from transfer_learning.inference.backends import Loaded, Network
from transfer_learning.inference.options import ReadoutOptions
from transfer_learning.inference.postprocessing.pipeline import Reading
from transfer_learning.scores.confusion import likeliest

OVERLAP = 0.5
AXES = (2, 3, 4)  # of [N, C, D, H, W]


@dataclass(frozen=True)
class SeenVolume:
    """What the network put out for one volume.

    Attributes:
        blended: probabilities [C, D, H, W] float32 at the prepared spacing.
        geometry: the way back to the original one.
    """

    blended: np.ndarray
    geometry: VolumeGeometry

    def probabilities(self) -> np.ndarray:
        """Return the probability of each class at the original spacing, [C, D, H, W] float32."""
        return resample_probabilities(self.blended, self.geometry.original_shape)

    def read(self) -> Reading:
        """Return the class of each voxel at the original spacing, its probability, and those of all."""
        probabilities = self.probabilities()
        return Reading(*likeliest(probabilities), probabilities)


class VolumeReadout:
    """A network and the way in which volumes go through it; what `readout.Readout` is for pictures.

    Args:
        network: what computes the scores.
        size: depth, height and width of a window, as in training.
        options: how volumes are seen: `tta` mirrors them along each axis and along several at once.
        batch_size: windows at a time.
        others: the readouts of further networks of the same classes, whose probabilities are averaged with these.
        groups: [G, C] of 0 and 1, which classes count as one; None: each for itself.

    Raises:
        UserError: the options name what pictures alone can have.
    """

    def __init__(
        self,
        network: Network,
        size: Sequence[int],
        options: ReadoutOptions,
        batch_size: int,
        others: "Sequence[VolumeReadout]" = (),
        groups: np.ndarray | None = None,
    ) -> None:
        _require_of_volumes(options)
        self.network, self.size, self.options, self.batch_size = network, tuple(size), options, batch_size
        self.others, self.groups = others, groups
        choices = itertools.product((False, True), repeat=len(AXES)) if options.mirrors else [(False,) * len(AXES)]
        self.mirrors = [tuple(itertools.compress(AXES, chosen)) for chosen in choices]
        self.windows = _sliding_windows()

    @property
    def settings(self) -> dict[str, Any]:
        """How volumes go through, for JSON."""
        return {
            "size": resolution_of(self.size),
            "overlap": OVERLAP,
            "tta_flips": self.options.mirrors,
            "backend": self.network.backend,
            "precision": self.network.precision,
            **({"ensemble": [other.settings for other in self.others]} if self.others else {}),
        }

    def probabilities(self, volume: np.ndarray) -> np.ndarray:
        """Return the probability of each class at each voxel.

        Args:
            volume: [C, D, H, W] float32 in [0, 1], of any sides; shorter ones than a window's are padded.

        Returns:
            [K, D, H, W] float32.

        Raises:
            RunError: they are not finite.
        """
        # What pads it comes as 0 here too, and is no content.
        whole = np.concatenate([volume, np.ones_like(volume[:1])])[None]
        seen = torch.from_numpy(whole).to(self.network.device)
        found = torch.zeros(())
        with torch.inference_mode():
            for axes in self.mirrors:
                mirrored = self.windows(
                    seen.flip(axes), self.size, self.batch_size, self._of_windows, overlap=OVERLAP, mode="gaussian"
                )
                found = found.to(mirrored.device) + mirrored.flip(axes) / len(self.mirrors)
        mean = found[0].float().cpu().numpy()
        if not np.isfinite(mean).all():
            raise RunError("the scores of a volume hold NaN or infinity: the network broke, train it again")
        for other in self.others:
            mean = mean + other.probabilities(volume)
        mean = mean / np.float32(1 + len(self.others))
        if self.groups is None:
            return mean
        kept = np.tensordot(self.groups, mean, 1).astype(np.float32)
        return kept / np.maximum(kept.sum(axis=0), np.finfo(np.float32).tiny)

    def see(self, split: VolumeSplit, index: int) -> SeenVolume:
        """Run a volume of a split through the network."""
        return SeenVolume(self.probabilities(split.volume(index)), split.geometries[index])

    def _of_windows(self, windows: Tensor) -> Tensor:
        """[N, C + 1, d, h, w], content last -> probabilities [N, K, d, h, w]."""
        return self.network.scores(windows[:, :-1], windows[:, -1:] > 0).float().softmax(1)


def volume_readout(
    loaded: Loaded,
    split: VolumeSplit,
    options: ReadoutOptions,
    batch_size: int,
    others: Sequence[Loaded] = (),
    groups: np.ndarray | None = None,
) -> VolumeReadout:
    """Return the readout of a network for the volumes of a split; arguments as those of `splits.readout_of_split`.

    Raises:
        UserError: the weights are of pictures, or the options name what these alone can have.
    """
    size, trained = loaded.header.size, loaded.header.volumes
    if size is None or trained is None:
        raise UserError(f"{split.data_dir} holds volumes, the weights were trained on pictures: train with --patch")
    if trained.get("spacing") != (split.manifest.spacing and list(split.manifest.spacing)):
        print(f"note: the weights were trained at a spacing of {trained.get('spacing')}, not {split.manifest.spacing}")
    beside = [volume_readout(one, split, options, batch_size) for one in others]
    return VolumeReadout(loaded.network, size, options, batch_size, beside, groups)


def _require_of_volumes(options: ReadoutOptions) -> None:
    if options.tile or options.size is not None:
        raise UserError("volumes are always seen in windows of the training's --patch: leave out --tile and --size")
    if options.scales != (1.0,):
        scales = " ".join(f"{scale:g}" for scale in options.scales)
        raise UserError(f"--tta at scales {scales} is of pictures: --tta flips mirrors volumes along every axis")
    if options.steps:
        raise UserError(f"--postprocess {options.postprocess} is of pictures: leave it out")


def _sliding_windows() -> Callable[..., Tensor]:
    try:
        from monai.inferers.utils import sliding_window_inference
    except ImportError:
        raise UserError(f"volumes are seen in windows by monai: {to_install('medical')}") from None
    return sliding_window_inference

"""How voxels of any scanner become numbers in [0, 1], as nnU-Net normalises them.

Isensee et al., "nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation", Nature
Methods 2021: CT by the voxels of the classes looked for in all of Train (clipped at their 0.5 and 99.5 percentiles,
less their mean, by their deviation), everything else by each volume's own mean and deviation. Then z is cut off at ±4,
and (z + 4) / 8 is kept: with `--normalisation unit` a network sees z / 4.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, FiniteFloat

CUT = 4.0  # deviations
_MASKED = 0.75  # where fewer voxels than this differ from 0, those are the body, and the rest is none
_SAMPLED = 10_000  # voxels a volume, as in nnU-Net

_Number = Annotated[FiniteFloat, Field(strict=True)]
Kind = Literal["ct", "mr", "window"]


@dataclass(frozen=True)
class Intensity:
    """How a channel is read.

    Attributes:
        kind: `ct`: clipped to low..high, then less `mean`, by `deviation`; `mr`: by each volume's own mean and
            deviation, of the voxels that are not 0 where a quarter or more are; `window`: low and high become 0 and 1.
    """

    kind: Kind
    low: _Number = 0.0
    high: _Number = 0.0
    mean: _Number = 0.0
    deviation: _Number = 1.0

    @property
    def in_words(self) -> str:
        """As `--intensity` takes it; what CT is learned from has no say."""
        middle, width = (self.low + self.high) / 2, self.high - self.low
        return f"window:{middle:g}/{width:g}" if self.kind == "window" else self.kind

    def unit(self, voxels: np.ndarray) -> np.ndarray:
        """Return a channel [D, H, W] as float32 in [0, 1]."""
        values = voxels.astype(np.float32)
        if self.kind == "window":
            return np.clip((values - self.low) / (self.high - self.low), 0, 1)
        ct = self.kind == "ct"
        z = (np.clip(values, self.low, self.high) - self.mean) / self.deviation if ct else _own(values)
        return ((np.clip(z, -CUT, CUT) + CUT) / (2 * CUT)).astype(np.float32)


def of_foreground(samples: Iterable[np.ndarray]) -> Intensity:
    """Return how CT is read, of the voxels, one or more, that `sampled` took of each volume of Train."""
    voxels = np.concatenate([np.zeros(0), *samples])
    low, high = np.percentile(voxels, [0.5, 99.5]).tolist()
    deviation = float(voxels.std())
    return Intensity("ct", low, high if high > low else low + 1, float(voxels.mean()), max(deviation, 1e-8))


def sampled(voxels: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """Return up to 10,000 voxels of the foreground (bool, of the shape of `voxels`), evenly spaced."""
    found = voxels[foreground]
    if len(found) > _SAMPLED:
        found = found[np.linspace(0, len(found) - 1, _SAMPLED).round().astype(np.int64)]
    return found.astype(np.float64)


def _own(values: np.ndarray) -> np.ndarray:
    """Return values less their mean, by their deviation; behind a mask of zeros (a skull stripped) z is 0."""
    body = values != 0
    if not 0 < body.mean() < _MASKED:
        return (values - values.mean(dtype=np.float64)) / max(float(values.std(dtype=np.float64)), 1e-8)
    inside = values[body].astype(np.float64)
    return np.where(body, (values - inside.mean()) / max(float(inside.std()), 1e-8), 0.0)

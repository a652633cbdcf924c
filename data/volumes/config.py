"""The settings of preparing volumes."""

import math
from dataclasses import dataclass

from core.errors import UserError
from data.volumes.geometry import Spacing
from data.volumes.intensity import Intensity


@dataclass(frozen=True)
class VolumeConfig:
    """How volumes come to one spacing and one scale of intensities."""

    spacing: str = "auto"
    """Volumes: millimetres between voxels, depth x height x width, such as 1x1x1 or 3x0.8x0.8; auto: the median of
    Train; own: each keeps its own."""
    intensity: str = "auto"
    """Volumes: ct (clipped and scaled by what the classes look like in all of Train), mr (each volume by its own mean
    and deviation), both as nnU-Net; window:40/400 (centre / width); auto: ct where the data say that they are."""
    trust_shapes: bool = False
    """Volumes: go on where a mask has the shape of its volume but says another spacing or place."""

    def __post_init__(self) -> None:
        self.fixed_spacing()
        self.fixed_intensity()

    def fixed_spacing(self) -> Spacing | None:
        """Return the spacing that is asked for; None for auto and own.

        Raises:
            UserError: it is none of these.
        """
        if self.spacing in ("auto", "own"):
            return None
        try:
            depth, height, width = map(float, self.spacing.lower().split("x"))
        except ValueError:
            depth = height = width = math.nan
        if not all(0 < side < 1000 for side in (depth, height, width)):
            raise UserError(f"spacing {self.spacing!r}: give auto, own, or millimetres such as 1x1x1 (depth first)")
        return depth, height, width

    def fixed_intensity(self) -> Intensity | None:
        """Return the window that is asked for, or `mr`; None for auto and ct.

        Raises:
            UserError: it is none of these.
        """
        if self.intensity in ("auto", "ct"):
            return None
        if self.intensity == "mr":
            return Intensity("mr")
        kind, _, numbers = self.intensity.partition(":")
        try:
            centre, width = map(float, numbers.split("/"))
        except ValueError:
            centre = width = math.nan
        if kind != "window" or not (math.isfinite(centre) and 0 < width < math.inf):
            raise UserError(f"intensity {self.intensity!r}: give auto, ct, mr, or window:40/400 (centre / width)")
        return Intensity("window", centre - width / 2, centre + width / 2)

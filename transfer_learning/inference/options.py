"""How pictures go through a network: the same settings for evaluation and prediction."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from core.errors import UserError
from core.sides import MAX_SIZE, sides_of
from core.train_config import Amp

Backend = Literal["auto", "torch", "onnxruntime", "openvino"]

# Beyond these a picture is a few pixels, or takes a hundred times the memory; with more overlap it takes for ever.
SMALLEST_SCALE, LARGEST_SCALE = 0.1, 4.0
LARGEST_OVERLAP = 0.9


@dataclass(frozen=True)
class ReadoutOptions:
    """Which views of a picture the network gets, and what computes them."""

    bare_flags: ClassVar[dict[str, str]] = {"amp": "auto"}

    tta: bool = False
    """Test-time augmentation: average the class probabilities over --tta_scales, each also mirrored left to right."""
    tta_scales: tuple[float, ...] = (0.75, 1.0, 1.25)
    """With --tta: the sizes at which the picture is seen, as shares of the usual one, 0.1 to 4."""
    tile: bool = False
    """Go over a picture that is larger than --size in overlapping windows of that size, instead of shrinking it whole.
    Worth it where what is looked for is about as large in pixels as it was in training."""
    tile_scale: float = 1.0
    """With --tile: resize the picture by this factor first. 0.5 halves its sides, so that a window holds more of it.
    0.1 to 4."""
    tile_overlap: float = 0.5
    """With --tile: share of a window's side that its neighbour covers too, at least. 0 to 0.9."""
    backend: Backend = "auto"
    """What computes: torch (weights), onnxruntime or openvino (what `ae-pretrained export` wrote); auto goes by the
    file."""
    amp: Amp = "off"
    """Precision: off (fp32), bf16, fp16 (a GPU's), or auto: what the hardware computes natively. Scores may differ in
    the third digit."""
    size: int | str | None = None
    """What the network sees: 128 is a square, 360x480 is height x width. Left out: that of the training, which the
    weights name."""

    def __post_init__(self) -> None:
        if not self.tta_scales:
            raise UserError("tta_scales is empty: 0.75 1 1.25 sees three sizes, 1 only mirrors")
        for scale in (*self.tta_scales, self.tile_scale):
            if not SMALLEST_SCALE <= scale <= LARGEST_SCALE:  # catches NaN as well
                raise UserError(
                    f"a scale of {scale:g} is out of range: tta_scales and tile_scale are {SMALLEST_SCALE:g} to "
                    f"{LARGEST_SCALE:g} times the usual size"
                )
        if not 0 <= self.tile_overlap <= LARGEST_OVERLAP:
            raise UserError(
                f"tile_overlap {self.tile_overlap} is outside [0, {LARGEST_OVERLAP}]: 0.5 covers half of each window "
                "twice"
            )
        if not self.tile and self.tile_scale != 1:
            raise UserError(f"tile_scale {self.tile_scale} does nothing without --tile")
        sides = (1,) if self.size is None else sides_of(self.size)
        if not 1 <= min(sides) <= max(sides) <= MAX_SIZE:
            raise UserError(f"size {self.size} is outside 1 to {MAX_SIZE} pixels")

    def idle(self) -> dict[str, str]:
        """Return the settings that have no say beside the others, and why."""
        found = {} if self.tta else {"tta_scales": "without --tta"}
        return found if self.tile else {**found, "tile_overlap": "without --tile"}

    @property
    def views(self) -> dict[str, Any]:
        """The settings of how a picture is seen, for JSON."""
        return {name: getattr(self, name) for name in ("tta", "tta_scales", "tile", "tile_scale", "tile_overlap")}

    @property
    def views_in_words(self) -> str:
        """How a picture is seen, for tables: `whole` unless something was asked for."""
        words = f"in windows, {self.tile_overlap:g} overlapping" if self.tile else "whole"
        words += f", at {self.tile_scale:g} of their size" if self.tile_scale != 1 else ""
        scales = " ".join(f"{scale:g}" for scale in self.tta_scales)
        return f"{words}, also mirrored, at scales {scales}" if self.tta else words

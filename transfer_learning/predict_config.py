"""The settings of `python -m transfer_learning.predict` and of `transfer_learning.inference.segmenter.Segmenter`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from core.errors import UserError
from core.filing.kinds import PREDICTION
from core.sides import MAX_SIZE, sides_of
from data.geometry import ResizeMode

# Beyond these a picture is a few pixels, or takes a hundred times the memory; with more overlap it takes for ever.
SMALLEST_SCALE, LARGEST_SCALE = 0.1, 4.0
LARGEST_OVERLAP = 0.9


@dataclass(frozen=True)
class InferenceOptions:
    """How a picture goes through the network and its scores come back."""

    batch_size: int = 8
    """Pictures at a time, with --tile windows at a time. On a CPU more is slower, on a GPU faster."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""
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
    size: int | str | None = None
    """What the network sees: 128 is a square, 360x480 is height x width. Left out: that of the training, which the
    weights name."""
    resize_mode: ResizeMode | None = None
    """letterbox or stretch. Left out: as in training, which the weights name."""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UserError(f"batch_size {self.batch_size} must be at least 1")
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


@dataclass(frozen=True)
class PredictConfig(InferenceOptions):
    """What to segment, with which weights, and where the results go."""

    writes: ClassVar[dict[str, str]] = {"output_dir": PREDICTION}

    model_path: Path | None = None
    """Weights of phase 2: a run's best_model.safetensors. Must be given."""
    input: tuple[str, ...] = ()
    """Pictures, folders (with all subfolders) or patterns such as 'photos/**/*.jpg'; several may follow each other."""
    output_dir: Path = Path("predictions")
    """Where masks, overlays, figures and the tables go."""
    figures: bool = True
    """Draw an overlay and a figure picture | mask | overlay of each picture. --no_figures: masks and tables alone."""

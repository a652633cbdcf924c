"""The settings of augmentation."""

from dataclasses import dataclass

from core.errors import UserError
from core.sides import MAX_SIZE, sides_of

# The switches, each with its largest value.
LARGEST = {
    "flip": 1.0,
    "scale": 1.0,
    "shift": 0.5,
    "rotation": 180.0,
    "crop": 0.95,
    "crop_least": 0.95,
    "brightness": 1.0,
    "contrast": 1.0,
    "saturation": 1.0,
    "hue": 0.5,
    "blur": 1.0,
    "noise": 1.0,
    "cutout": 1.0,
    "cutout_size": 1.0,
}


@dataclass(frozen=True)
class AugmentConfig:
    """What changes a training picture, and how much. Each setting is a switch of its own: 0 turns it off."""

    flip: float = 0.5
    """Probability of a left-right flip."""
    scale: float = 0.2
    """Zoom about the picture's centre, drawn log-uniformly from 1 / (1 + scale) to 1 + scale."""
    shift: float = 0.1
    """Largest shift along each axis, as a share of the side along it."""
    rotation: float = 15.0
    """Largest rotation either way, in degrees."""
    crop: float = 0.0
    """Random resized crop: the largest share of the picture's area that is cut away (0.5 keeps from 50 to 100 %)."""
    crop_least: float = 0.0
    """The least share that --crop cuts away: as much as --crop, and all windows have one size."""
    brightness: float = 0.2
    """Largest relative change of brightness (0.2: factors from 0.8 to 1.2)."""
    contrast: float = 0.2
    """Largest relative change of contrast about the picture's mean grey."""
    saturation: float = 0.2
    """Largest relative change of saturation (of colour pictures)."""
    hue: float = 0.02
    """Largest rotation of hue either way, as a fraction of the colour circle (of colour pictures)."""
    blur: float = 0.1
    """Probability of a Gaussian blur (of the network's input alone, never of the reconstruction's target)."""
    noise: float = 0.02
    """Largest standard deviation of pixel noise, with values in [0, 1] (input alone)."""
    cutout: float = 0.0
    """Probability of blanking out one square (input alone; labels remain: segmenting through it is intended)."""
    cutout_size: float = 0.25
    """Side of the cut-out square, as a share of the picture's shorter side."""

    train_crop: int | str | None = None
    """Train on windows of this size in pixels (128, or 256x256: height x width) instead of whole pictures. A window
    holds the share of the picture's area that --crop leaves (the largest that fits at --crop 0), anywhere in it, and
    is resized to this size: at --crop 0 things look smaller than in evaluation by as much as the picture is larger,
    and about as large where --crop_least and --crop leave as many pixels as it has. Validation and evaluation see whole
    pictures."""

    @property
    def window(self) -> tuple[int, int] | None:
        """Height and width of the windows to train on; None for whole pictures."""
        return None if self.train_crop is None else sides_of(self.train_crop)

    def idle(self) -> dict[str, str]:
        """Return the settings that have no say beside the others, and why."""
        return {} if self.cutout else {"cutout_size": "without --cutout"}

    def __post_init__(self) -> None:
        if self.window and not 1 <= min(self.window) <= max(self.window) <= MAX_SIZE:
            raise UserError(f"train_crop {self.train_crop}: a side has 1 to {MAX_SIZE} pixels")
        for name, largest in LARGEST.items():  # not `fields(self)`: the phases' settings inherit from this class
            value = getattr(self, name)
            if not 0 <= value <= largest:  # catches NaN as well
                raise UserError(f"{name}: {value} is out of range; give 0 (off) to {largest:g}")
        if self.crop_least > self.crop:
            raise UserError(
                f"crop_least {self.crop_least:g} is more than --crop {self.crop:g}: give --crop as much or more"
            )

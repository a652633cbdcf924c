"""Steps on the intensities of a picture, the same where data are prepared and where trained weights read a file."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from core.errors import UserError
from data.pictures import Ground, ValueRange, look_at, read_picture, scaled
from data.preprocessing.steps import Step, parse_steps

DEVIATIONS = 4.0  # of a z-score, to either side, that the 256 steps of 8 bits hold: 1/32 of a deviation each

Range = tuple[float, float]


def _windowed(values: np.ndarray, centre: float, width: float) -> Range:
    return centre - width / 2, centre + width / 2


def _between_percentiles(values: np.ndarray, low: float, high: float) -> Range:
    least, most = map(float, np.percentile(values, (low, high)))
    if least == most:  # nearly all of it is of one value
        least, most = float(values.min()), float(values.max())
    return _apart(least, most)


def _around_mean(values: np.ndarray) -> Range:
    mean, deviation = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    return _apart(mean - DEVIATIONS * deviation, mean + DEVIATIONS * deviation)


def _apart(least: float, most: float) -> Range:
    """Return a range; of a picture of one value one about it."""
    return (least, most) if least < most else (least - 0.5, most + 0.5)


# What of a picture becomes 0 and 255, by its values (all channels together, so that hues stay); beyond is cut off.
RANGES: dict[str, Callable[..., Range]] = {
    "window": _windowed,
    "percentile": _between_percentiles,
    "zscore": _around_mean,
}


@dataclass(frozen=True)
class Preprocessing:
    """Steps in their order; without any, nothing is done."""

    steps: tuple[Step, ...] = ()

    @classmethod
    def of(cls, text: str | None) -> Self:
        """Return the steps that a text names, none for None. Raises UserError as `parse_steps`."""
        return cls() if text is None else cls(parse_steps(text))

    def __str__(self) -> str:
        return ", ".join(map(str, self.steps))

    @property
    def takes_green(self) -> bool:
        """Whether colour pictures become grey here."""
        return any(step.name == "green" for step in self.steps)

    def require_channels(self, channels: int) -> None:
        """Raise UserError where the green of pictures of one channel is asked for."""
        if self.takes_green and channels == 1:
            raise UserError(f"--preprocess {self}: these pictures are grey and have no green: leave green out")

    def channels_after(self, channels: int) -> int:
        """Return the channels of pictures that had so many, 1 or 3."""
        return 1 if self.takes_green else channels

    def channels_before(self, channels: int) -> int:
        """Return the channels of pictures that come to have so many."""
        return 3 if self.takes_green else channels

    @property
    def of_depth(self) -> ValueRange:
        """What brings a picture deeper than 8 bits to those: the first step with a range; None without such a step."""
        first = next((step for step in self.steps if step.name in RANGES), None)
        if first is None:
            return None
        names = [step.name for step in self.steps]
        green = "green" in names[: self.steps.index(first)]
        return partial(_range_of, first, green)

    def __call__(self, image: np.ndarray, ranged: bool = False) -> np.ndarray:
        """Return what the steps make of an image [H, W] or [H, W, 3] uint8.

        Args:
            image: the picture.
            ranged: whether `of_depth` brought it to 8 bits, so that this step is done.
        """
        for step in self.steps:
            if step.name == "green":
                image = np.ascontiguousarray(image[..., 1])
            elif step.name == "clahe":
                image = _equalised(image, *step.numbers)
            elif ranged:
                ranged = False
            else:
                image = scaled(image, RANGES[step.name](image, *step.numbers))
        return image


NOTHING = Preprocessing()


def read_preprocessed(
    path: Path, preprocessing: Preprocessing, channels: int, value_range: Range | None, ground: Ground | None
) -> tuple[np.ndarray, list[str]]:
    """Read a picture as `read_picture` does, and take the steps.

    A picture deeper than 8 bits comes to those by the first step that has a range, of the values that are stored.

    Args:
        path, value_range, ground: as of `read_picture`.
        preprocessing: the steps.
        channels: before the steps.

    Raises:
        PictureError: as `read_picture`.
    """
    deep = preprocessing.of_depth is not None and look_at(path).bits > 8
    image, notes = read_picture(path, channels, preprocessing.of_depth if deep else value_range, ground)
    return preprocessing(image, ranged=deep), notes


def _range_of(step: Step, green: bool, values: np.ndarray) -> Range:
    """Return the range of stored values [H, W] or [H, W, 3]; those that are not finite have no say."""
    if green and values.ndim == 3:
        values = values[..., 1]
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    return RANGES[step.name](values, *step.numbers) if values.size else (0.0, 1.0)


def _equalised(image: np.ndarray, clip: float, tiles: float) -> np.ndarray:
    """Contrast-limited adaptive histogram equalisation: of a grey picture, or of the lightness of a coloured one.

    Zuiderveld, "Contrast Limited Adaptive Histogram Equalization", Graphics Gems IV 1994.
    """
    equaliser = cv2.createCLAHE(clip, (int(tiles), int(tiles)))
    if image.ndim == 2:
        return equaliser.apply(image)
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    lab[..., 0] = equaliser.apply(np.ascontiguousarray(lab[..., 0]))
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)

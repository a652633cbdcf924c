"""Tables of a report: cells that know how they are shown and how they are sorted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LABELS = {
    "mean_iou": "mean IoU",
    "iou": "IoU",
    "dice": "Dice",
    "mean_foreground_dice": "mean foreground Dice",
    "foreground_iou": "foreground IoU",
    "mse": "MSE",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "perceptual": "perceptual distance",
    "target_error": "squared error in the target",
    "foreground_iou_border_as_object": "foreground IoU, border as object",
    "boundary_iou": "boundary IoU",
    "boundary_distance_pixels": "boundary distance (pixels)",
    "mean_case_dice": "mean Dice of a case",
    "auc": "AUC",
    "hausdorff_95": "95 % Hausdorff distance",
    "v_rand": "V-Rand",
    "v_rand_at": "V-Rand",
    "ece": "expected calibration error",
    "num_images": "images",
    "num_samples": "images",
}
ABBREVIATIONS = {"iou": "IoU", "pca": "PCA", "tsne": "t-SNE", "knn": "k-NN", "k_nn": "k-NN", "psnr": "PSNR", "px": "px"}
PLACES = {"psnr": 2}
MINUS = "\u2212"


@dataclass(frozen=True)
class Cell:
    """One cell.

    Args:
        text: what is shown.
        sort: what a click on the column's head sorts by; None (nothing to show) comes last.
        note: shown small below the text.
        exact: shown when the pointer rests on the cell.
        swatch: a class's colour, `#rrggbb`, that stands before the text.
        whisker: low, value and high of an interval, and 0, drawn on an axis that the column shares.
        strong: whether it stands out.
    """

    text: str
    sort: float | str | None = None
    note: str = ""
    exact: str = ""
    swatch: str = ""
    whisker: tuple[float, float, float, float] | None = None
    strong: bool = False

    @property
    def is_number(self) -> bool:
        """Whether it is set like a number."""
        return isinstance(self.sort, float | int) or (self.sort is None and self.text == "–")


@dataclass(frozen=True)
class PageTable:
    """Heads and rows; `sortable` where another order helps to read it, `caption` says what is shown."""

    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    sortable: bool = False

    def numbers(self, column: int) -> bool:
        """Return whether a column holds numbers."""
        return bool(self.rows) and all(row[column].is_number for row in self.rows)


def label(key: str) -> str:
    """Return what a reader calls a key of the JSON."""
    words = [ABBREVIATIONS.get(word, word) for word in key.split("_")]
    return LABELS.get(key) or " ".join(words)


def text(value: str) -> Cell:
    """Return a cell of words, sorted by them."""
    return Cell(value, sort=value.lower())


def count(value: int) -> Cell:
    """Return a cell with a whole number."""
    return Cell(f"{value:,}".replace(",", "\u202f"), sort=value)


def score(value: Any, key: str = "", interval: Sequence[float] | None = None, signed: bool = False) -> Cell:
    """Return a cell with a score and, below it, its interval; "–" where there was nothing to score."""
    if not is_number(value):
        return Cell("–")
    if isinstance(value, int):
        return count(value)
    low_high = isinstance(interval, Sequence) and len(interval) == 2 and all(map(is_number, interval))
    note = f"{number(interval[0], key, signed)} to {number(interval[1], key, signed)}" if low_high and interval else ""
    return Cell(number(value, key, signed), sort=value, note=note, exact=repr(value))


def number(value: float, key: str = "", signed: bool = False) -> str:
    """Return a number with three places (dB with two; small ones with two digits that count), and a true minus."""
    places = PLACES.get(key.split(".")[-1], 3)
    if value and abs(value) < 0.01 and places == 3:
        places = min(8, 1 - math.floor(math.log10(abs(value))))
    return f"{value:{'+' if signed else ''}.{places}f}".replace("-", MINUS)


def is_number(value: Any) -> bool:
    """Return whether a value of a JSON is a number that can be shown."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

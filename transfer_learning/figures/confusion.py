"""The figure of a confusion matrix: a table of numbers, or of many classes a map with the pairs most confused."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.evaluation import MANY_CLASSES
from core.figures.style import save, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DOTS_PER_INCH = 150
# With more classes the counts beside the shares have no room.
MOST_COUNTED = 5
PAIRS = 15


def save_confusion(path: Path, matrix: np.ndarray, class_names: Sequence[str]) -> None:
    """Save a confusion matrix as counts of pixels (of few classes) and as shares of each true class.

    Args:
        path: of the PNG.
        matrix: [C, C] counts, rows truth, columns prediction.
        class_names: the C names.
    """
    from matplotlib.figure import Figure

    matrix = np.asarray(matrix)
    totals = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, totals, out=np.full(matrix.shape, np.nan), where=totals > 0)
    classes = len(matrix)
    names = [shortened(name, 16) for name in class_names]
    if classes > MANY_CLASSES:
        figure = Figure(figsize=(10.4, 6.4), layout="constrained", dpi=DOTS_PER_INCH)
        panel, beside = figure.subplots(1, 2, width_ratios=(1.6, 1))
        _map(panel, shares, totals[:, 0])
        _pairs(beside, matrix, shares, class_names)
    elif classes > MOST_COUNTED:
        side = 1.8 + 0.46 * classes
        figure = Figure(figsize=(side, side), layout="constrained", dpi=DOTS_PER_INCH)
        percent = [["-" if np.isnan(share) else _whole(share) for share in row] for row in shares]
        _table(figure.subplots(), shares, percent, names, "per cent of each true class (diagonal: recall)", size=8)
    else:
        figure = Figure(figsize=(3.6 + 1.6 * classes, 1.8 + 0.8 * classes), layout="constrained", dpi=DOTS_PER_INCH)
        left, right = figure.subplots(1, 2)
        counts = [[short_count(count) for count in row] for row in matrix.tolist()]
        percent = [["-" if np.isnan(share) else percentage(share) for share in row] for row in shares]
        _table(left, matrix / max(1, matrix.max()), counts, names, "pixels (k: thousand, M: million)")
        _table(right, shares, percent, names, "per cent of each true class (diagonal: recall)")
    figure.suptitle("Confusion matrix", fontsize=11)
    save(figure, path)


def _table(
    axis: "Axes", shades: np.ndarray, cells: Sequence[Sequence[str]], names: Sequence[str], title: str, size: float = 11
) -> None:
    axis.imshow(np.nan_to_num(shades), vmin=0, vmax=1, cmap="Blues")
    for row, column in np.ndindex(shades.shape):
        colour = "white" if shades[row, column] > 0.5 else "black"
        axis.text(column, row, cells[row][column], ha="center", va="center", color=colour, fontsize=size)
    few = len(names) <= MOST_COUNTED
    axis.set_xticks(range(len(names)), names, rotation=0 if few else 90, parse_math=False)
    axis.set_yticks(range(len(names)), names, rotation=90 if few else 0, va="center", parse_math=False)
    axis.tick_params(length=0)
    axis.set(xlabel="predicted class", ylabel="true class")
    axis.set_title(title, fontsize=10)


def _map(axis: "Axes", shares: np.ndarray, totals: np.ndarray) -> None:
    """Draw shares without numbers, classes by their pixels, so that what is frequent lies in one corner."""
    order = np.argsort(-totals, kind="stable")
    order = order[totals[order] > 0]
    drawn = axis.imshow(shares[np.ix_(order, order)], vmin=0, vmax=1, cmap="Blues", interpolation="nearest")
    axis.figure.colorbar(drawn, ax=axis, shrink=0.6, label="share of the true class (diagonal: recall)")
    without = len(totals) - len(order)
    note = f", {without} without pixels left out" if without else ""
    axis.set(xlabel="predicted class", ylabel="true class")
    axis.set_title(f"{len(order)} classes, those with most pixels first{note}", fontsize=10)


def _pairs(axis: "Axes", matrix: np.ndarray, shares: np.ndarray, names: Sequence[str]) -> None:
    """Name the pairs of classes that are confused in most pixels."""
    wrong = matrix - np.diag(np.diag(matrix))
    places = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    pairs = [
        (true, said) for true, said in zip(*np.unravel_index(places, wrong.shape), strict=True) if wrong[true, said]
    ]
    axis.axis("off")
    axis.set_title("Confused in most pixels: true → predicted", fontsize=10)
    for line, (true, said) in enumerate(pairs):
        text = f"{shortened(names[true], 20)} → {shortened(names[said], 20)}"
        count = short_count(int(wrong[true, said]))
        height = 1 - (line + 0.5) / PAIRS
        axis.text(0, height + 0.012, text, fontsize=9, va="center", parse_math=False, transform=axis.transAxes)
        note = f"{percentage(shares[true, said])} of it, {count} pixels"
        axis.text(0, height - 0.02, note, fontsize=7.5, color="dimgrey", va="center", transform=axis.transAxes)


def short_count(count: int) -> str:
    """Return a number of pixels in few letters."""
    from matplotlib.ticker import EngFormatter

    return str(count) if count < 1000 else EngFormatter(places=1)(count)


def percentage(share: float) -> str:
    """Return a share as per cent with one place; what is there, though little, is not called nothing."""
    return "< 0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


def _whole(share: float) -> str:
    return "<1" if 0 < share < 0.005 else f"{100 * share:.0f}"

"""Figures of the segmentation scores over all pictures: confusion, class shares, calibration, breeds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.figures.style import CLASS_COLOURS, LINE_COLOURS, UNSCORED_COLOUR, save
from data.manifest import CLASS_NAMES
from transfer_learning.scores.per_image import TRUE_CLASSES

DOTS_PER_INCH = 150
# Breeds with fewer pictures are drawn pale: their score is mostly chance.
FEW, PALE = 5, 0.4
UNKNOWN = "species not known"
BLUE, RED = LINE_COLOURS[:2]


def save_confusion(path: Path, matrix: np.ndarray, class_names: Sequence[str]) -> None:
    """Save a confusion matrix as counts of pixels and as shares of each true class.

    Args:
        path: of the PNG.
        matrix: [C, C] counts, rows truth, columns prediction.
        class_names: the C names.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    matrix = np.asarray(matrix)
    totals = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, totals, out=np.full(matrix.shape, np.nan), where=totals > 0)
    short = EngFormatter(places=1)
    counts = [[str(count) if count < 1000 else short(count) for count in row] for row in matrix.tolist()]
    percent = [["-" if np.isnan(share) else _percent(share) for share in row] for row in shares]
    figure = Figure(figsize=(8.4, 4.2), layout="constrained", dpi=DOTS_PER_INCH)
    figure.suptitle("Confusion matrix", fontsize=11)
    panels = figure.subplots(1, 2)
    _table(panels[0], matrix / max(1, matrix.max()), counts, class_names, "pixels (k: thousand, M: million)")
    _table(panels[1], shares, percent, class_names, "per cent of each true class (diagonal: recall)")
    save(figure, path)


def _table(axis: Any, shades: np.ndarray, cells: Sequence[Sequence[str]], names: Sequence[str], title: str) -> None:
    axis.imshow(np.nan_to_num(shades), vmin=0, vmax=1, cmap="Blues")
    for row, column in np.ndindex(shades.shape):
        colour = "white" if shades[row, column] > 0.5 else "black"
        axis.text(column, row, cells[row][column], ha="center", va="center", color=colour, fontsize=11)
    axis.set_xticks(range(len(names)), names)
    axis.set_yticks(range(len(names)), names, rotation=90, va="center")
    axis.tick_params(length=0)
    axis.set(xlabel="predicted class", ylabel="true class")
    axis.set_title(title, fontsize=10)


def save_distribution(path: Path, matrix: np.ndarray, class_names: Sequence[str]) -> None:
    """Save the share of each class in truth and in prediction as pairs of bars.

    Args:
        path: of the PNG.
        matrix: [C, C] counts, rows truth, columns prediction.
        class_names: the C names.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    matrix = np.asarray(matrix)
    figure = Figure(figsize=(6.4, 3.8), layout="constrained", dpi=DOTS_PER_INCH)
    axis = figure.subplots()
    # Told apart by hatching: the colours are the classes'.
    for place, (counts, hatch) in enumerate(((matrix.sum(axis=1), None), (matrix.sum(axis=0), "////"))):
        shares = counts / max(1, matrix.sum())
        positions = np.arange(len(counts)) + (place - 0.5) * 0.4
        colours = CLASS_COLOURS[: len(counts)]
        axis.bar(positions, shares, 0.38, color=colours, hatch=hatch, edgecolor="white", linewidth=0)
        for position, share in zip(positions, shares, strict=True):
            label = _percent(share) if matrix.any() else "-"
            axis.annotate(label, (position, share), (0, 2), textcoords="offset points", ha="center", fontsize=9)
    axis.set_xticks(range(len(class_names)), class_names)
    _share_axis(axis.yaxis)
    axis.set_ylim(0, 1.12 * axis.get_ylim()[1])
    axis.set_ylabel("share of scored pixels")
    axis.set_title("Classes in truth and prediction", fontsize=11)
    grey = {"facecolor": "grey", "edgecolor": "white"}
    axis.legend(handles=[Patch(**grey, label="truth"), Patch(**grey, hatch="////", label="prediction")], fontsize=9)
    save(figure, path)


def save_reliability(path: Path, bins: Mapping[str, Any]) -> None:
    """Save a reliability diagram (DeGroot & Fienberg 1983; Guo et al. 2017) over a histogram of confidence.

    Args:
        path: of the PNG.
        bins: of B equal parts of [0, 1], arrays [B]: `count` of pixels whose highest probability lies there, their
            mean `confidence` and their `accuracy`, both NaN or None where there are none; `ece`, the expected
            calibration error, or None.
    """
    from matplotlib.figure import Figure

    count, confidence, accuracy = (np.array(bins[key], float) for key in ("count", "confidence", "accuracy"))
    width = 1 / len(count)
    middles = (np.arange(len(count)) + 0.5) * width
    figure = Figure(figsize=(5.2, 5.6), layout="constrained", dpi=DOTS_PER_INCH)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.bar(middles, accuracy, width, color=BLUE, edgecolor="white", label="accuracy")
    gap = {"color": "none", "edgecolor": RED, "hatch": "////", "label": "gap to the confidence"}
    upper.bar(middles, confidence - accuracy, 0.92 * width, bottom=accuracy, **gap)
    upper.plot([0, 1], [0, 1], color="black", linestyle="--", linewidth=1, label="perfectly calibrated")
    upper.set(ylabel="accuracy (share of pixels that are right)", ylim=(0, 1), xlim=(0, 1))
    upper.legend(loc="upper left", fontsize=9)
    ece = bins["ece"]
    upper.set_title("Reliability: " + ("no scored pixels" if ece is None else f"ECE {ece:.4f}"), fontsize=11)
    lower.bar(middles, count / max(1, count.sum()), width, color="grey", edgecolor="white")
    lower.set(xlabel="confidence (highest probability of a pixel)", ylabel="share of pixels")
    _share_axis(lower.yaxis)
    save(figure, path)


def save_breeds(path: Path, per_breed: Mapping[str, Mapping[str, Any]]) -> None:
    """Save the mean IoU of each breed as horizontal bars, the best on top, those without a score at the bottom.

    Args:
        path: of the PNG.
        per_breed: breed -> `num_images`, `mean_iou_true_classes` in [0, 1] or None, and `species` ("cat" or "dog", for
            the colour; grey where None or not given).
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    colours = {**dict(zip(CLASS_NAMES[1:], CLASS_COLOURS[1:], strict=True)), UNKNOWN: UNSCORED_COLOUR}
    known = {breed: scores[TRUE_CLASSES] for breed, scores in per_breed.items()}
    order = sorted(per_breed, key=lambda breed: (known[breed] is None, -(known[breed] or 0), breed))
    species = [per_breed[breed].get("species") or UNKNOWN for breed in order]
    figure = Figure(figsize=(7.0, 1.3 + 0.24 * len(order)), layout="constrained", dpi=DOTS_PER_INCH)
    axis = figure.subplots()
    for row, (breed, one) in enumerate(zip(order, species, strict=True)):
        score, count = known[breed], per_breed[breed]["num_images"]
        axis.barh(row, score or 0, 0.75, color=colours[one], alpha=PALE if count < FEW else 1)
        label = "-" if score is None else f"{score:.3f}"
        axis.annotate(label, (score or 0, row), (3, 0), textcoords="offset points", va="center", fontsize=8.5)
    names = [f"{breed.replace('_', ' ')} (n = {per_breed[breed]['num_images']})" for breed in order]
    axis.set_yticks(range(len(order)), names, fontsize=8.5, parse_math=False)
    axis.set(xlim=(0, 1.08), ylim=(len(order) - 0.4, -0.6), xlabel="mean IoU of the breed's pictures")
    axis.set_title("Mean IoU by breed", fontsize=11)
    axis.spines[["top", "right"]].set_visible(False)
    patches = [Patch(color=colour, label=name) for name, colour in colours.items() if name in species]
    if any(scores["num_images"] < FEW for scores in per_breed.values()):
        patches.append(Patch(color="grey", alpha=PALE, label=f"pale: fewer than {FEW} pictures"))
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), fontsize=9)
    save(figure, path)


def _percent(share: float) -> str:
    """Return a share as per cent with one place; what is there, though little, is not called nothing."""
    return "< 0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


def _share_axis(axis: Any) -> None:
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))

"""Figures of the segmentation scores over all pictures: class shares, calibration, tags."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.classes import ClassSet
from core.evaluation import MANY_CLASSES, best_and_worst
from core.figures.style import LINE_COLOURS, class_colours, save, shortened
from transfer_learning.figures.confusion import DOTS_PER_INCH, percentage
from transfer_learning.scores.per_image import TRUE_CLASSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# With more classes bars lie, sorted, with their names beside them.
MOST_STANDING = 6
# Values of a tag with fewer pictures are drawn pale: their score is mostly chance.
FEW, PALE = 5, 0.4
MOST_VALUES = 42
BLUE, RED = LINE_COLOURS[:2]
HATCH = "////"


def save_distribution(path: Path, matrix: np.ndarray, class_set: ClassSet) -> None:
    """Save the share of each class in truth and in prediction as pairs of bars; many classes sorted, the rest as one.

    Args:
        path: of the PNG.
        matrix: [C, C] counts, rows truth, columns prediction.
        class_set: the C classes.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    matrix = np.asarray(matrix)
    shares = np.stack([matrix.sum(axis=1), matrix.sum(axis=0)]) / max(1, matrix.sum())
    labels = [[percentage(share) if matrix.any() else "-" for share in row] for row in shares]
    if len(class_set) <= MOST_STANDING:
        figure = Figure(figsize=(6.4, 3.8), layout="constrained", dpi=DOTS_PER_INCH)
        axis = figure.subplots()
        _standing(axis, shares, labels, class_set)
    else:
        rows = min(len(class_set), MANY_CLASSES)
        figure = Figure(figsize=(7.0, 1.4 + 0.3 * rows), layout="constrained", dpi=DOTS_PER_INCH)
        axis = figure.subplots()
        _lying(axis, shares, class_set)
    axis.set_title("Classes in truth and prediction", fontsize=11)
    kinds = (("truth", None), ("prediction", HATCH))
    handles = [Patch(facecolor="grey", edgecolor="white", hatch=hatch, label=label) for label, hatch in kinds]
    axis.legend(handles=handles, fontsize=9)
    save(figure, path)


def _standing(axis: "Axes", shares: np.ndarray, labels: Sequence[Sequence[str]], class_set: ClassSet) -> None:
    # Told apart by hatching: the colours are the classes'.
    for place, hatch in enumerate((None, HATCH)):
        positions = np.arange(len(class_set)) + (place - 0.5) * 0.4
        colours = class_colours(class_set)
        axis.bar(positions, shares[place], 0.38, color=colours, hatch=hatch, edgecolor="white", linewidth=0)
        size = 9 if len(class_set) < 4 else 7
        for position, share, label in zip(positions, shares[place], labels[place], strict=True):
            axis.annotate(label, (position, share), (0, 2), textcoords="offset points", ha="center", fontsize=size)
    axis.set_xticks(range(len(class_set)), [shortened(name, 14) for name in class_set.names], parse_math=False)
    _share_axis(axis.yaxis)
    axis.set_ylim(0, 1.12 * axis.get_ylim()[1])
    axis.set_ylabel("share of scored pixels")


def _lying(axis: "Axes", shares: np.ndarray, class_set: ClassSet) -> None:
    order = np.argsort(-shares.max(axis=0), kind="stable")
    kept, folded = (order, order[:0]) if len(order) <= MANY_CLASSES else np.split(order, [MANY_CLASSES - 1])
    names = [shortened(class_set.names[c]) for c in kept]
    colours = [class_colours(class_set)[c] for c in kept]
    parts = shares[:, kept], shares[:, folded].sum(axis=1, keepdims=True)[:, : len(folded)]
    if len(folded):
        names.append(f"the other {len(folded)} classes")
        colours.append((0.6, 0.6, 0.6))
    for place, (drawn, hatch) in enumerate(zip(np.concatenate(parts, axis=1), (None, HATCH), strict=True)):
        positions = np.arange(len(names)) + (place - 0.5) * 0.4
        axis.barh(positions, drawn, 0.38, color=colours, hatch=hatch, edgecolor="white", linewidth=0)
        for position, share in zip(positions, drawn, strict=True):
            label, where = percentage(share), (share, position)
            axis.annotate(label, where, (2, 0), textcoords="offset points", va="center", fontsize=6.5)
    axis.set_yticks(range(len(names)), names, fontsize=8.5, parse_math=False)
    _share_axis(axis.xaxis)
    axis.set_xlim(0, 1.12 * axis.get_xlim()[1])
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set_xlabel("share of scored pixels")
    axis.spines[["top", "right"]].set_visible(False)


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


def save_tag(path: Path, tag: str, values: Mapping[str, Mapping[str, Any]], class_set: ClassSet) -> None:
    """Save the mean IoU of each value of a tag as horizontal bars, the best on top, those without a score below.

    Of more than 42 values the best and the worst are drawn.

    Args:
        path: of the PNG.
        tag: its name.
        values: value -> `num_images` and `mean_iou_true_classes` in [0, 1] or None.
        class_set: a value that is called like a class has that one's colour.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    names = sorted(values)
    chosen = best_and_worst([values[name][TRUE_CLASSES] for name in names], MOST_VALUES)
    order = [names[place] for place in chosen]
    figure = Figure(figsize=(7.0, 1.3 + 0.24 * max(4, len(order))), layout="constrained", dpi=DOTS_PER_INCH)
    axis = figure.subplots()
    colours = dict(zip(class_set.names, class_colours(class_set), strict=True))
    for row, name in enumerate(order):
        score, count = values[name][TRUE_CLASSES], values[name]["num_images"]
        axis.barh(row, score or 0, 0.75, color=colours.get(name, BLUE), alpha=PALE if count < FEW else 1)
        label = "-" if score is None else f"{score:.3f}"
        axis.annotate(label, (score or 0, row), (3, 0), textcoords="offset points", va="center", fontsize=8.5)
    ticks = [f"{shortened(name.replace('_', ' '), 40)} (n = {values[name]['num_images']})" for name in order]
    axis.set_yticks(range(len(order)), ticks, fontsize=8.5, parse_math=False)
    short = shortened(tag)
    axis.set_xlabel(f"mean IoU of the pictures of a {short}", parse_math=False)
    axis.set(xlim=(0, 1.08), ylim=(len(order) - 0.4, -0.6))
    left_out = f": the best and the worst {len(order) // 2} of {len(values)}" if len(order) < len(values) else ""
    axis.set_title(f"Mean IoU by {short}{left_out}", fontsize=11, parse_math=False)
    axis.spines[["top", "right"]].set_visible(False)
    if len(order) < len(values):
        axis.axhline((len(order) - 1) / 2, color="grey", linestyle=":")
    if any(values[name]["num_images"] < FEW for name in order):
        pale = Patch(color="grey", alpha=PALE, label=f"pale: fewer than {FEW} pictures")
        figure.legend(handles=[pale], loc="outside lower center", fontsize=9)
    save(figure, path)


def _share_axis(axis: Any) -> None:
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))

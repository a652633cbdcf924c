"""Pictures of the latent space: trained and random encoder side by side, small panels where there are many groups.

Groups have colours that colour-blind readers tell apart, of which there are six.
"""

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.classes import SAFE_COLOURS
from core.figures.style import UNSCORED_COLOUR, Colour, save, shortened
from reconstruction.latent.space import Projection

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS: tuple[Colour, ...] = tuple((red / 255, green / 255, blue / 255) for red, green, blue in SAFE_COLOURS)
UNKNOWN = "not known"
OTHERS = "all other pictures"
FAINT = (0.86, 0.86, 0.86)
MOST_PANELS = 42
PANELS_A_ROW = 7


def few(labels: Sequence[str | None]) -> bool:
    """Say whether there is a colour for every group."""
    return len(set(labels) - {None}) <= len(COLOURS)


def save_scatter(path: Path, projections: Mapping[str, Projection], labels: Sequence[str | None]) -> None:
    """Save PCA (above) and t-SNE (below) of each encoder, a point a picture, coloured by group.

    Args:
        path: of the PNG.
        projections: title of the encoder -> its projection.
        labels: [N] the group of each picture, None (grey) where it is not known; six groups at most.
    """
    from matplotlib.figure import Figure

    palette = _palette(labels)
    legend = {f"{name} ({count})": palette[name] for name, count in _counts(labels).items()}
    if unknown := sum(label is None for label in labels):
        legend[f"{UNKNOWN} ({unknown})"] = UNSCORED_COLOUR
    colours = _colours(labels, palette, UNSCORED_COLOUR)
    figure = Figure(figsize=(4.4 * len(projections), 8.6), layout="constrained")
    axes = figure.subplots(2, len(projections), squeeze=False)
    for column, (title, projection) in enumerate(projections.items()):
        share = f"{projection.variance[:2].sum():.1%} of the variance" if len(projection.variance) else "no variance"
        _scatter(axes[0, column], projection.pca, colours)
        axes[0, column].set_title(f"{title}: PCA, {share}", fontsize=10)
        for name, set_label, explained in zip("12", _labels(axes[0, column]), projection.variance, strict=False):
            set_label(f"component {name} ({explained:.1%})", fontsize=9)
        _scatter(axes[1, column], projection.tsne, colours)
        axes[1, column].set_title(f"{title}: t-SNE", fontsize=10)
    save(figure, path, legend)


def save_panels(
    path: Path, title: str, points: np.ndarray, labels: Sequence[str | None], kinds: Sequence[str | None]
) -> None:
    """Save a small panel for each group: its pictures in colour over all others in grey.

    Dozens of colours in one plot cannot be told apart, and labels of clusters that overlap cannot be read.

    Args:
        path: of the PNG.
        title: above the whole.
        points: [N, 2].
        labels: [N] the group of each picture, None where it is not known. The 42 largest are drawn.
        kinds: [N] what colours the pictures; one colour for all where these are more than six.
    """
    from matplotlib.figure import Figure

    counts = _counts(labels)
    drawn = sorted(name for name, _ in Counter(counts).most_common(MOST_PANELS))
    columns = min(PANELS_A_ROW, len(drawn))
    rows = -(-len(drawn) // columns)
    figure = Figure(figsize=(max(6, 1.55 * columns), 1.75 * rows + 0.9), layout="constrained")
    figure.suptitle(title, fontsize=11, parse_math=False)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    of_picture = np.array([label or "" for label in labels])
    palette = _palette(kinds) if few(kinds) else {}
    colours = _colours(kinds, palette, COLOURS[0])
    for axis, name in zip(axes, drawn, strict=False):
        own = of_picture == name
        axis.scatter(*points[~own].T, s=1, color=FAINT, linewidths=0, rasterized=True)
        axis.scatter(*points[own].T, s=6, c=colours[own], edgecolors="black", linewidths=0.15)
        heading = f"{shortened(name).replace('_', ' ')} ({counts[name]})"
        axis.set_title(textwrap.fill(heading, 21), fontsize=7, parse_math=False)
        axis.set(xticks=[], yticks=[])
    for axis in axes[len(drawn) :]:
        axis.set_axis_off()
    save(figure, path, {**palette, OTHERS: FAINT})


def _palette(labels: Sequence[str | None]) -> dict[str, Colour]:
    return dict(zip(_counts(labels), COLOURS, strict=False))


def _colours(labels: Sequence[str | None], palette: Mapping[str, Colour], otherwise: Colour) -> np.ndarray:
    return np.array([otherwise if label is None else palette.get(label, otherwise) for label in labels])


def _counts(labels: Sequence[str | None]) -> dict[str, int]:
    """Return how many pictures each group holds, sorted by its name."""
    return dict(sorted(Counter(label for label in labels if label is not None).items()))


def _scatter(axis: "Axes", points: np.ndarray | None, colours: np.ndarray) -> None:
    axis.set(xticks=[], yticks=[])
    if points is None:
        axis.text(0.5, 0.5, "too few or equal pictures", ha="center", va="center", transform=axis.transAxes)
        return
    # In a drawn order, so that no group lies on top of the others only since it comes last.
    order = np.random.default_rng(0).permutation(len(points))
    across, up = points[order].T
    axis.scatter(across, up, s=7, c=colours[order], alpha=0.75, linewidths=0)


def _labels(axis: "Axes") -> tuple:
    return axis.set_xlabel, axis.set_ylabel

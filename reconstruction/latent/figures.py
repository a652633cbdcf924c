"""Pictures of the latent space: trained and random encoder side by side by species, and a small panel a breed."""

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from core.figures.style import CLASS_COLOURS, UNSCORED_COLOUR, save
from data.manifest import CLASS_NAMES
from reconstruction.latent.space import Projection

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPECIES_COLOURS = dict(zip(CLASS_NAMES[1:], CLASS_COLOURS[1:], strict=False))
UNKNOWN = "not known"
FAINT = (0.86, 0.86, 0.86)
MOST_PANELS = 42
PANELS_A_ROW = 7


def save_species(path: Path, projections: Mapping[str, Projection], species: Sequence[str | None]) -> None:
    """Save PCA (above) and t-SNE (below) of each encoder, a point a picture, coloured by species.

    Args:
        path: of the PNG.
        projections: title of the encoder -> its projection.
        species: [N], None (grey) where it is not known.
    """
    from matplotlib.figure import Figure

    counts = Counter(name or UNKNOWN for name in species)
    legend = {
        f"{name} ({counts[name]})": colour
        for name, colour in {**SPECIES_COLOURS, UNKNOWN: UNSCORED_COLOUR}.items()
        if counts[name]
    }
    colours = np.array([SPECIES_COLOURS.get(name, UNSCORED_COLOUR) for name in species])
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


def save_breeds(
    path: Path, title: str, points: np.ndarray, breeds: Sequence[str | None], species: Sequence[str | None]
) -> None:
    """Save a small panel for each breed: its pictures in their species' colour over all others in grey.

    Dozens of colours in one plot cannot be told apart, and labels of clusters that overlap cannot be read.

    Args:
        path: of the PNG.
        title: above the whole.
        points: [N, 2].
        breeds, species: [N], None where not known. The 42 most frequent breeds are drawn.
    """
    from matplotlib.figure import Figure

    counts = Counter(breed for breed in breeds if breed is not None)
    drawn = sorted(breed for breed, _ in counts.most_common(MOST_PANELS))
    columns = min(PANELS_A_ROW, len(drawn))
    rows = -(-len(drawn) // columns)
    figure = Figure(figsize=(max(6, 1.55 * columns), 1.75 * rows + 0.9), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    of_breed = np.array([breed or "" for breed in breeds])
    colours = np.array([SPECIES_COLOURS.get(name, CLASS_COLOURS[0]) for name in species])
    for axis, breed in zip(axes, drawn, strict=False):
        own = of_breed == breed
        axis.scatter(*points[~own].T, s=1, color=FAINT, linewidths=0, rasterized=True)
        axis.scatter(*points[own].T, s=6, c=colours[own], edgecolors="black", linewidths=0.15)
        axis.set_title(textwrap.fill(f"{breed.replace('_', ' ')} ({counts[breed]})", 21), fontsize=7, parse_math=False)
        axis.set(xticks=[], yticks=[])
    for axis in axes[len(drawn) :]:
        axis.set_axis_off()
    present = {name: colour for name, colour in SPECIES_COLOURS.items() if name in species}
    save(figure, path, {**present, "all other pictures": FAINT})


def _scatter(axis: "Axes", points: np.ndarray | None, colours: np.ndarray) -> None:
    axis.set(xticks=[], yticks=[])
    if points is None:
        axis.text(0.5, 0.5, "too few or equal pictures", ha="center", va="center", transform=axis.transAxes)
        return
    # In a drawn order, so that no class lies on top of the others only since it comes last.
    order = np.random.default_rng(0).permutation(len(points))
    axis.scatter(*points[order].T, s=7, c=colours[order], alpha=0.75, linewidths=0)


def _labels(axis: "Axes") -> tuple:
    return axis.set_xlabel, axis.set_ylabel

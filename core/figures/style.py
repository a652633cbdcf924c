"""The style that all figures share."""

import csv
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Background, then classes, from the colour-blind-safe palette of Okabe & Ito; the same in every figure.
CLASS_COLOURS = ((0.13, 0.13, 0.13), (0.90, 0.62, 0.0), (0.34, 0.71, 0.91))
UNSCORED_COLOUR = (0.75, 0.75, 0.75)
# For lines: Okabe & Ito again, dark enough for a white ground.
LINE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def curves(path: Path, log: Path, panels: Mapping[str, Sequence[str]], best: int | None = None) -> None:
    """Save columns of a `training_log.csv` against the epoch, as PNG and, beside it, as SVG.

    Args:
        path: of the PNG.
        log: the CSV file.
        panels: title -> columns drawn together; cells left empty are gaps.
        best: epoch that was kept, marked with a line.
    """
    from matplotlib.figure import Figure

    with log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    figure = Figure(figsize=(4.2 * len(panels), 3.2), layout="constrained")
    for axis, (title, names) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for name, colour in zip(names, itertools.cycle(LINE_COLOURS), strict=False):
            values = [float(row[name] or "nan") for row in rows]
            axis.plot([int(row["epoch"]) for row in rows], values, label=name, color=colour, marker=".")
        if best is not None:
            axis.axvline(best, color="grey", linestyle=":", label="kept")
        axis.set(title=title, xlabel="epoch (row of the log)")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.legend(fontsize=7)
    save(figure, path)
    save(figure, path.with_suffix(".svg"))


def drawable(log: Path, panels: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return those panels, and of each those columns, of which a training log has values: none without the log."""
    if not log.is_file():
        return {}
    with log.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("epoch")]
    found = {title: [name for name in names if any(row.get(name) for row in rows)] for title, names in panels.items()}
    return {title: names for title, names in found.items() if names}


def save(figure: "Figure", path: Path, legend: Mapping[str, tuple[float, float, float]] | None = None) -> None:
    """Save a figure whole or not at all, as its path's suffix says (.png or .svg), with a legend of colours below.

    Equal figures give equal bytes: no dates, no random names.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.patches import Patch

    if legend:
        patches = [Patch(facecolor=colour, edgecolor="black", label=name) for name, colour in legend.items()]
        figure.legend(
            handles=patches, loc="outside lower center", ncols=legend_columns(figure.get_figwidth(), legend), fontsize=9
        )
    with atomic_path(path) as temporary:
        if path.suffix == ".svg":
            with matplotlib.rc_context({"svg.hashsalt": "ae_pretrained"}):
                FigureCanvasSVG(figure).print_svg(temporary, metadata={"Date": None})
        else:
            FigureCanvasAgg(figure).print_png(temporary)


def legend_columns(width: float, legend: Mapping[str, tuple[float, float, float]]) -> int:
    """Return how many of a legend's entries stand side by side below a figure of `width` inches."""
    entry = 0.6 + 0.07 * max(map(len, legend))  # inches
    return max(1, min(len(legend), int(width / entry)))

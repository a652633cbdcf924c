"""The style that all figures share."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.classes import ClassSet
from core.files import atomic_path
from core.filing.training_log import read_log

if TYPE_CHECKING:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

Colour = tuple[float, float, float]  # red, green, blue in [0, 1]

UNSCORED_COLOUR: Colour = (0.75, 0.75, 0.75)
# For lines: Okabe & Ito (2008), dark enough for a white ground.
LINE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def drawn(path: Path, save_figure: Callable[..., None], *arguments: Any, then: str = "the rest goes on") -> bool:
    """Draw a figure by `save_figure(path, *arguments)`; one that fails is a note, which says what happens `then`.

    Returns:
        Whether it is there. One of an earlier call is gone where it is not.
    """
    try:
        path.unlink(missing_ok=True)
        save_figure(path, *arguments)
    except Exception as error:
        reason = " ".join(str(error).split()) or "no reason given"
        print(f"note: {path.name} could not be drawn ({type(error).__name__}: {reason}); {then}")
        return False
    return True


def class_colours(class_set: ClassSet) -> tuple[Colour, ...]:
    """Return the colours of the classes for matplotlib."""
    return tuple((red / 255, green / 255, blue / 255) for red, green, blue in class_set.palette)


def shortened(name: str, most: int = 24) -> str:
    """Return a name of at most so many letters, the middle of a longer one left out."""
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[: most - 1 - half]}…{name[-half:]}"


def curves(path: Path, log: Path, panels: Mapping[str, Sequence[str]], best: int | None = None) -> None:
    """Save columns of a `training_log.csv` against the epoch, as PNG and, beside it, as SVG.

    Args:
        path: of the PNG.
        log: the CSV file.
        panels: title -> columns drawn together; cells left empty are gaps.
        best: epoch that was kept, marked with a line.
    """
    from matplotlib.figure import Figure

    rows = read_log(log)
    figure = Figure(figsize=(4.2 * len(panels), 3.2), layout="constrained")
    for axis, (title, names) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for name, colour in zip(names, itertools.cycle(LINE_COLOURS), strict=False):
            values = [row.get(name, math.nan) for row in rows]
            axis.plot([row["epoch"] for row in rows], values, label=name, color=colour, marker=".")
        if best is not None:
            axis.axvline(best, color="grey", linestyle=":", label="kept")
        axis.set(title=title, xlabel="epoch (row of the log)")
        axis.xaxis.get_major_locator().set_params(integer=True)
        as_written(axis.legend(fontsize=7))
    save(figure, path)
    figure.set_layout_engine("none")  # everything has its place by now, for which the layout took as long as drawing
    save(figure, path.with_suffix(".svg"))


def drawable(log: Path, panels: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return those panels, and of each those columns, of which a training log has values: none without the log.

    A column with a * stands for all that fit it (`dice_*`), for none where those are too many for lines.
    """
    if not log.is_file():
        return {}
    rows = read_log(log)
    known = list(dict.fromkeys(itertools.chain.from_iterable(rows)))
    found = {title: _columns(names, known) for title, names in panels.items()}
    return {title: names for title, names in found.items() if names}


def _columns(wanted: Sequence[str], known: Sequence[str]) -> list[str]:
    columns: dict[str, None] = {}
    for name in wanted:
        fitting = [column for column in known if column == name or ("*" in name and fnmatchcase(column, name))]
        if len(fitting) < len(LINE_COLOURS):
            columns |= dict.fromkeys(fitting)
    return list(columns)


def as_written(legend: "Legend") -> None:
    """Show the names of a legend as they are, even those that look like formulas."""
    for text in legend.get_texts():
        text.set_parse_math(False)


def save(figure: "Figure", path: Path, legend: Mapping[str, Colour] | None = None) -> None:
    """Save a figure whole or not at all, as its path's suffix says (.png or .svg), with a legend of colours below.

    Equal figures give equal bytes: no dates, no random names.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.patches import Patch

    if legend:
        # matplotlib leaves out what begins with a _.
        names = [f" {name}" if name.startswith("_") else name for name in legend]
        patches = [
            Patch(facecolor=colour, edgecolor="black", label=name)
            for name, colour in zip(names, legend.values(), strict=True)
        ]
        columns = legend_columns(figure.get_figwidth(), legend)
        as_written(figure.legend(handles=patches, loc="outside lower center", ncols=columns, fontsize=9))
    with atomic_path(path) as temporary:
        if path.suffix == ".svg":
            with matplotlib.rc_context({"svg.hashsalt": "ae_pretrained"}):
                FigureCanvasSVG(figure).print_svg(temporary, metadata={"Date": None})
        else:
            print_png(FigureCanvasAgg(figure), temporary)


def print_png(canvas: "FigureCanvasAgg", path: Path) -> None:
    """Draw a figure and save it as a PNG."""
    canvas.draw()
    save_drawn(canvas, path)


def save_drawn(canvas: "FigureCanvasAgg", path: Path) -> None:
    """Save what a canvas holds as a PNG, without the transparency that no figure has: as small as matplotlib's own.

    At this level that takes a third of the time, which was half of what a figure of photographs costs.
    """
    from PIL import Image

    dpi = canvas.figure.dpi
    drawn = np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])
    Image.fromarray(drawn).save(path, "png", compress_level=3, dpi=(dpi, dpi))


def legend_columns(width: float, legend: Mapping[str, Colour]) -> int:
    """Return how many of a legend's entries stand side by side below a figure of `width` inches."""
    entry = 0.6 + 0.07 * max(map(len, legend))  # inches
    return max(1, min(len(legend), int(width / entry)))

"""Grids of pictures: a row an image, a column for each thing shown.

Every part has its place in inches, so that pictures of any shape fill their cells, text keeps its size whatever the
number of rows, and nothing overlaps.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.figures.style import Colour, legend_columns, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches. At 9 inches a figure keeps its text readable when it is shrunk to the width of a page.
WIDTH, LARGEST_CELL, MARGIN, GAP, BLOCK_GAP = 9.0, 2.1, 0.1, 0.06, 0.3
TITLE, HEADING, LABEL, BAR, LEGEND_LINE = 0.36, 0.26, 0.21, 0.8, 0.25
# Pictures beside each other, at most: rows go side by side in blocks while there is room for it.
COLUMNS = 8
# Height of a row, its label included, over the width of a square picture.
ROW_SHAPE = 1.15
# Height over width of a cell: pictures beyond it are drawn whole, with white beside them.
SHAPES = 0.4, 1.5
DOTS_PER_INCH = 150
NAME_SIZE = 8.5  # points


@dataclass(frozen=True)
class Scale:
    """One scale from 0 to `largest` for all maps of a figure, with one bar of colours.

    Attributes:
        label: what is measured, beside the bar.
        colours: name of a matplotlib colour map.
        ends: what stands at the bar's lower and upper end; None for numbers.
    """

    label: str
    largest: float = 1.0
    colours: str = "viridis"
    ends: tuple[str, str] | None = None


def picture_grid(
    path: Path,
    title: str,
    names: Sequence[str],
    columns: Mapping[str, Sequence[np.ndarray | None]],
    legend: Mapping[str, Colour] | None = None,
    scale: Scale | None = None,
) -> None:
    """Save a grid of pictures as one PNG.

    Args:
        path: of the PNG.
        title: what the figure shows, in few words.
        names: label above each row; a line break (before a score, say) becomes a comma.
        columns: heading -> one array a row: [H, W, 3] in [0, 1] is a picture; [H, W] is a map, drawn with `scale`;
            None leaves the cell empty and says "not present". A heading too long for its column is shortened.
        legend: name -> colour, shown below.
        scale: of all maps, with a bar at the right.
    """
    figure, *_ = grid_figure(title, names, columns, legend, scale)
    save(figure, path, legend)


def grid_figure(
    title: str,
    names: Sequence[str],
    columns: Mapping[str, Sequence[np.ndarray | None]],
    legend: Mapping[str, Colour] | None = None,
    scale: Scale | None = None,
) -> tuple["Figure", "Axes", float]:
    """Return the figure of `picture_grid`, without its legend.

    With it come the axes that hold everything but the bar, and the inches that a row's label may take. The first texts
    of these axes are the title, a heading, and the label of the first row.
    """
    from matplotlib.figure import Figure

    assert len(names), "a figure needs a row"
    blocks = _blocks(len(names), len(columns))
    layout = _Layout(len(columns), blocks, _shapes(columns, -(-len(names) // blocks)), legend, bool(scale))
    figure = Figure(figsize=(layout.width, layout.height), dpi=DOTS_PER_INCH)
    # One pair of axes for everything, in inches: a pair a picture takes several times as long.
    page = figure.add_axes((0, 0, 1, 1), xlim=(0, layout.width), ylim=(0, layout.height), autoscale_on=False)
    page.axis("off")
    size = min(9.5, 8.5 * layout.side)
    centred: dict[str, Any] = {"ha": "center", "parse_math": False}
    page.text(layout.width / 2, layout.height - TITLE / 2, title, fontsize=11, va="center", **centred)
    for column, (heading, arrays) in enumerate(columns.items()):
        for row, array in enumerate(arrays):
            x, y, width, height = layout.cell(row, column)
            _draw(page, (x, y, width, height), array, scale)
            if row % layout.rows == 0:
                shown = _fitted(heading, width, size, "bold")
                page.text(x + width / 2, layout.top + 0.05, shown, fontsize=size, weight="bold", **centred)
            if column == 0:
                name = label(names[row], layout.block_width)
                page.text(x, y + height + 0.05, name, fontsize=NAME_SIZE, parse_math=False)
    if scale:
        _bar(figure, layout, scale)
    return figure, page, layout.block_width


def _blocks(rows: int, columns: int) -> int:
    """Return how many blocks side by side bring the figure nearest to a square."""
    choices = range(1, max(1, COLUMNS // columns) + 1)
    return min(choices, key=lambda blocks: abs(math.log(-(-rows // blocks) * ROW_SHAPE / (blocks * columns))))


@dataclass(frozen=True)
class _Layout:
    """Where the parts of a figure lie, in inches from its lower left corner.

    Attributes:
        columns: of each block.
        blocks: side by side; the first rows fill the first one.
        shapes: height over width of each row of cells.
    """

    columns: int
    blocks: int
    shapes: Sequence[float]
    legend: Mapping[str, Colour] | None
    bar: bool

    @property
    def rows(self) -> int:
        return len(self.shapes)

    @property
    def side(self) -> float:
        """Width of a cell."""
        return min(LARGEST_CELL, (WIDTH - self._beside) / (self.blocks * self.columns))

    @property
    def _beside(self) -> float:
        gaps = self.blocks * (self.columns - 1) * GAP + (self.blocks - 1) * BLOCK_GAP
        return 2 * MARGIN + gaps + (BAR if self.bar else 0)

    @property
    def width(self) -> float:
        return self.blocks * self.columns * self.side + self._beside

    @property
    def block_width(self) -> float:
        return self.columns * (self.side + GAP) - GAP

    @property
    def below(self) -> float:
        """Where the lowest cells end."""
        lines = -(-len(self.legend) // legend_columns(self.width, self.legend)) if self.legend else 0
        return MARGIN + lines * LEGEND_LINE + (0.1 if lines else 0)

    @property
    def top(self) -> float:
        """Where the headings begin."""
        return self.below + self._down_to(self.rows)

    @property
    def height(self) -> float:
        return self.top + HEADING + TITLE

    def _down_to(self, row: int) -> float:
        return sum(LABEL + GAP + self.side * shape for shape in self.shapes[:row])

    def cell(self, index: int, column: int) -> tuple[float, float, float, float]:
        """Return a picture's cell: left, bottom, width, height."""
        block, row = divmod(index, self.rows)
        left = MARGIN + block * (self.block_width + BLOCK_GAP) + column * (self.side + GAP)
        height = self.side * self.shapes[row]
        return left, self.top - self._down_to(row) - LABEL - height, self.side, height


def _shapes(columns: Mapping[str, Sequence[np.ndarray | None]], rows: int) -> list[float]:
    """Return height over width of each row of cells, as its pictures (one a block) need it."""
    pictures = [next(array for array in arrays if array is not None) for arrays in zip(*columns.values(), strict=True)]
    needed = [picture.shape[0] / picture.shape[1] for picture in pictures]
    return [float(np.clip(max(needed[row::rows]), *SHAPES)) for row in range(rows)]


def label(name: str, width: float) -> str:
    """Return what stands above a row of so many inches."""
    return _fitted(name.replace("\n", ", "), width)


def _fitted(name: str, width: float, size: float = NAME_SIZE, weight: str = "normal") -> str:
    """Return the name, its middle left out where it is longer than `width` inches at a size in points."""
    kept, shown = len(name), name
    while kept and (needed := _text_width(shown, size, weight)) > width:
        kept = min(kept - 1, int(kept * width / needed))
        start = kept - kept // 2
        shown = f"{name[:start]}…{name[len(name) - kept // 2 :]}"
    return shown


def _text_width(text: str, size: float, weight: str) -> float:
    """Return the width of a text in inches, with a little more for letters that are moved to whole pixels."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size, weight=weight)
    return text_to_path.get_text_width_height_descent(text, font, False)[0] * 1.01 / 72


def _draw(page: "Axes", cell: tuple[float, float, float, float], array: np.ndarray | None, scale: Scale | None) -> None:
    """Draw a picture or a map as large as its cell allows, or say that there is none."""
    from matplotlib.patches import Rectangle

    left, bottom, width, height = cell
    x, y = left + width / 2, bottom + height / 2
    if array is None:
        page.text(x, y, "not present", fontsize=8.5, color="grey", ha="center", va="center")
    else:
        assert scale or array.ndim == 3, "maps need a scale"
        shape = array.shape[0] / array.shape[1]
        width, height = min(width, height / shape), min(height, width * shape)
        colours: dict[str, Any] = {"vmin": 0, "vmax": scale.largest, "cmap": scale.colours} if scale else {}
        extent = x - width / 2, x + width / 2, y - height / 2, y + height / 2
        page.imshow(array, extent=extent, aspect="auto", **colours)
    frame = Rectangle((x - width / 2, y - height / 2), width, height, fill=False, linewidth=0.5, edgecolor="grey")
    page.add_patch(frame)


def _bar(figure: "Figure", layout: _Layout, scale: Scale) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    top = layout.top - LABEL
    length = min(3.0, top - layout.below - GAP)
    left, bottom, width, height = layout.width - BAR + 0.08, top - length, 0.12, length
    place = (left / layout.width, bottom / layout.height, width / layout.width, height / layout.height)
    axis = figure.add_axes(place)
    bar = figure.colorbar(ScalarMappable(Normalize(0, scale.largest), scale.colours), cax=axis)
    if scale.ends:
        bar.set_ticks([0, scale.largest], labels=scale.ends)
    else:
        # There is room for three digits: no steps of 0.025, and small numbers share a power of ten.
        bar.locator = MaxNLocator(6, steps=[1, 2, 5, 10])
        assert isinstance(bar.formatter, ScalarFormatter)
        bar.formatter.set_powerlimits((-2, 3))
        axis.yaxis.get_offset_text().set(fontsize=8, ha="left")
        axis.yaxis.OFFSETTEXTPAD = 7  # points; clear of the number at the bar's very end
    axis.tick_params(labelsize=8)
    bar.set_label(scale.label, fontsize=8.5)

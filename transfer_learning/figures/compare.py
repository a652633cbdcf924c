"""The figure of what each step of a reading adds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.figures.style import LINE_COLOURS, save, shortened


def save_gains(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Save what each reading adds in mean IoU to the one before it, a dot with its interval a row, as PNG.

    Args:
        path: of the PNG.
        rows: of `transfer_learning.scores.compare.rows_of`, the plain reading first.
    """
    from matplotlib.figure import Figure

    steps = [row for row in rows if row["gain"] is not None]
    figure = Figure(figsize=(6.4, 1.3 + 0.35 * len(steps)), layout="constrained", dpi=120)
    axis = figure.subplots()
    for place, row in enumerate(steps):
        axis.plot(row["gain_interval"], [place, place], color=LINE_COLOURS[0])
        axis.plot(row["gain"], place, "o", color=LINE_COLOURS[0])
    axis.axvline(0, color="grey", linewidth=1)
    names = [shortened(row["title"], 40) for row in steps]
    axis.set_yticks(range(len(steps)), names, parse_math=False)
    axis.set_ylim(len(steps) - 0.5, -0.5)
    axis.set_xlabel(f"added to the mean IoU, one after another (plain: {rows[0]['mean_iou'] or 0:.3f})")
    save(figure, path)

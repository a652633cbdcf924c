"""Rows of pictures, each as a figure of its own: what they have in common is drawn once."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from core.figures.picture_grid import Scale, grid_figure, label
from core.figures.style import save_drawn
from core.files import atomic_path


def picture_rows(
    paths: Sequence[Path],
    titles: Sequence[str],
    names: Sequence[str],
    columns: Mapping[str, Sequence[np.ndarray]],
    scale: Scale | None = None,
) -> None:
    """Save each row of a grid as `picture_grid` would save it alone, at a third of the cost.

    Args:
        paths, titles, names: one a row.
        columns: heading -> one array a row, as of `picture_grid`, all of one height and width.
        scale: of all maps, with a bar at the right.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    assert len({array.shape[:2] for arrays in columns.values() for array in arrays}) == 1, "one layout holds for all"
    first = {heading: arrays[:1] for heading, arrays in columns.items()}
    figure, page, width = grid_figure(titles[0], names[:1], first, None, scale)
    title, _, name = page.texts[:3]
    changing = [*page.images, *page.patches, title, name]  # what lies above comes after what lies below
    for artist in changing:
        artist.set_animated(True)  # left out of what is drawn once
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    common = canvas.copy_from_bbox(figure.bbox)
    for path, words, row_name, *arrays in zip(paths, titles, names, *columns.values(), strict=True):
        canvas.restore_region(common)
        title.set_text(words)
        name.set_text(label(row_name, width))
        for image, array in zip(page.images, arrays, strict=True):
            image.set_data(array)
        for artist in changing:
            page.draw_artist(artist)
        with atomic_path(path) as temporary:
            save_drawn(canvas, temporary)

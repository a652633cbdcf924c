"""What can be asked of any matplotlib figure: which texts it shows, and whether they can be read."""

import itertools
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg

import core.figures.style


def kept_figures(monkeypatch, *modules):
    """Return the list to which calls of the modules' `save` add their figures; their PNG files stay empty."""
    kept = []

    def keeping(save):
        def keep(figure, path, legend=None):
            kept.append(figure)
            save(figure, path, legend)

        return keep

    def print_nothing(canvas, path):
        if canvas.figure.get_layout_engine():
            canvas.draw()  # lays it out, as saving does
        Path(path).touch()

    # Drawing takes most of the time, and who looks at a figure draws it again.
    monkeypatch.setattr(core.figures.style, "print_png", print_nothing)
    for module in modules:
        monkeypatch.setattr(module, "save", keeping(module.save))
    return kept


def texts(figure):
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def written(figure):
    """All text that can be seen; matplotlib keeps labels of ticks beyond the axes' limits, which cannot."""
    yield from figure.texts
    for legend in figure.legends:
        yield from legend.get_texts()
    for axis in figure.axes:
        yield from (*axis.texts, axis.title)
        if not axis.axison:
            continue
        for line, place in ((axis.xaxis, 0), (axis.yaxis, 1)):
            low, high = sorted(line.get_view_interval())
            yield from (line.label, line.get_offset_text())
            yield from (label for label in line.get_ticklabels() if low <= label.get_position()[place] <= high)


def assert_readable(figure):
    """No text sticks out, or lies on another or on a picture."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in written(figure) if text.get_text().strip()]
    assert len(boxes) >= 3
    for name, box in boxes:
        assert min(box.x0, box.y0) >= 0, name
        assert box.x1 <= figure.bbox.x1, name
        assert box.y1 <= figure.bbox.y1, name
    for (one, first), (other, second) in itertools.combinations(boxes, 2):
        assert not first.overlaps(second), (one, other)
    if not figure.axes[0].axison:
        pictures = [image.get_window_extent(renderer) for image in figure.axes[0].images]
        for (name, box), picture in itertools.product(boxes, pictures):
            assert not box.overlaps(picture), name
        for first, second in itertools.combinations(pictures, 2):
            assert not first.overlaps(second)

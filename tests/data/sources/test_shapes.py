import numpy as np
import pytest
from scipy import ndimage

from core.errors import UserError
from data.prepare_config import PrepareConfig
from data.sources.shapes import CLASSES, draw
from data.sources.table import open_source


def config(**settings) -> PrepareConfig:
    return PrepareConfig(**{"dataset": "shapes", "size": 64, "num_images": 40, **settings})


def test_a_picture_depends_on_seed_index_and_size_alone():
    first, again = draw(1, 2, 48, 80), draw(1, 2, 48, 80)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.label, again.label)
    assert first.image.shape == (48, 80, 3)
    assert first.label.shape == (48, 80)
    for other in (draw(1, 3, 48, 80), draw(2, 2, 48, 80)):
        assert (other.image != first.image).mean() > 0.9


def test_the_same_scene_at_another_size():
    for index in range(5):
        small, large = draw(7, index, 64, 96), draw(7, index, 192, 288)
        assert (small.label == large.label[1::3, 1::3]).mean() > 0.98  # where pixel centres coincide


@pytest.mark.parametrize(("kind", "filling"), [("circle", np.pi / 4), ("square", 1.0), ("triangle", 3**0.5 / 4)])
def test_a_shape_is_what_it_is_called(kind, filling):
    """Its area over the square of its width across the flattest direction, of shapes that stand free."""
    found = []
    for index in range(60):
        label = draw(3, index, 128, 128).label
        pieces, count = ndimage.label(label > 0)
        for piece in range(1, count + 1):
            place = pieces == piece
            at_the_edge = place[[0, -1]].any() or place[:, [0, -1]].any()
            if place.sum() > 50 and not at_the_edge and set(np.unique(label[place])) == {CLASSES.names.index(kind)}:
                found.append(_filling(place))
    assert len(found) > 10
    # Two of a kind may touch: the median does not mind.
    assert np.median(found) == pytest.approx(filling, rel=0.08)


def _filling(place: np.ndarray) -> float:
    rows, columns = np.nonzero(place)
    angles = np.linspace(0, np.pi, 90, endpoint=False)[:, None]
    across = np.cos(angles) * columns + np.sin(angles) * rows
    widths = across.max(axis=1) - across.min(axis=1) + 1
    # A circle and a square have their side as the least width, a triangle its height: its side is 2 / sqrt(3) of that.
    side = widths.min() * (2 / 3**0.5 if _is_pointed(place) else 1)
    return float(place.sum() / side**2)


def _is_pointed(place: np.ndarray) -> bool:
    rows, columns = np.nonzero(place)
    reach = np.hypot(rows - rows.mean(), columns - columns.mean()).max()
    return place.sum() / (np.pi * reach**2) < 0.5  # of the circle around it a triangle fills 0.41, a square 0.64


def test_triangles_stand_on_a_side():
    label = draw(3, 4, 128, 128).label  # a pure function: the picture that has free triangles stays the same
    pieces, count = ndimage.label(label == CLASSES.names.index("triangle"))
    assert count
    for piece in range(1, count + 1):
        widths = (pieces == piece).sum(axis=1)
        rows = np.flatnonzero(widths)
        assert widths[rows[: len(rows) // 2]].sum() < widths[rows[len(rows) // 2 :]].sum()


def test_colours_do_not_tell_the_shapes_apart():
    means = {number: [] for number in range(1, len(CLASSES))}
    for index in range(80):
        drawing = draw(5, index, 48, 48)
        for number in set(np.unique(drawing.label)) - {0}:
            means[number].append(drawing.image[drawing.label == number].mean(axis=0))
    centres = np.array([np.mean(colours, axis=0) for colours in means.values()])
    spread = np.mean([np.std(colours, axis=0).mean() for colours in means.values()])
    assert np.ptp(centres, axis=0).max() < spread  # the kinds' mean colours lie well within each kind's spread


def test_shapes_stand_out_from_what_is_behind():
    contrasts = []
    for index in range(30):
        drawing = draw(9, index, 96, 96)
        inside = ndimage.binary_erosion(drawing.label > 0, iterations=2)
        around = ndimage.binary_dilation(drawing.label > 0, iterations=6) & (drawing.label == 0)
        contrasts.append(np.abs(drawing.image[inside].mean(0) - drawing.image[around].mean(0)).max())
    assert np.median(contrasts) > 20


def test_splits_labels_and_variants():
    for variant, labels in (("classes", {0, 1, 2, 3}), ("binary", {0, 1}), (None, {0, 1, 2, 3})):
        source = open_source(config(variant=variant, labelled_fraction=0.5))
        samples = list(source.samples)
        assert len(samples) == len(source.samples) == 40
        assert len(source.classes) == len(labels)
        assert [sum(sample.split == split for sample in samples) for split in ("Train", "Val", "Test")] == [26, 6, 8]
        assert sum(sample.label is not None for sample in samples) in (20, 21)
        assert set().union(*(np.unique(sample.label()).tolist() for sample in samples if sample.label)) == labels
        assert samples[3].image()[0].shape == (64, 64, 3)
    few, many = (list(open_source(config(labelled_fraction=share)).samples) for share in (0.2, 0.7))
    assert {one.name for one in few if one.label} < {one.name for one in many if one.label}
    longer = list(open_source(config(num_images=60)).samples)
    np.testing.assert_array_equal(longer[3].image()[0], few[3].image()[0])


def test_too_small_a_size_is_refused():
    with pytest.raises(UserError, match="size 20x400 is too small to draw shapes: give --size 32 or more"):
        open_source(config(size="20x400"))
    assert next(iter(open_source(config(size="32x40")).samples)).image()[0].shape == (32, 40, 3)

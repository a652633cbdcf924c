import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UserError
from data.geometry import fit

sides = st.integers(1, 90)
modes = st.sampled_from(["letterbox", "stretch"])


def random_label(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice(np.array([0, 1, 2, 255], np.uint8), (height, width))


def is_nearest(taken: np.ndarray, count: int) -> bool:
    """Independent statement: output pixel i takes an input pixel, of `count`, that its centre lies in (or borders)."""
    centres = (np.arange(len(taken)) + 0.5) * count / len(taken)
    return bool((np.abs(taken + 0.5 - centres) <= 0.5 + 1e-9).all())


@given(sides, sides, sides, sides, modes)
def test_rectangle_lies_inside_and_only_bars_are_255(height, width, tall, wide, mode):
    geometry = fit(height, width, tall, wide, mode)
    top, left, bottom, right = geometry.rectangle
    assert 0 <= top < bottom <= tall
    assert 0 <= left < right <= wide
    label = geometry.label(np.ones((height, width), np.uint8))
    expected = np.full((tall, wide), 255, np.uint8)
    expected[top:bottom, left:right] = 1
    np.testing.assert_array_equal(label, expected)


@given(sides, sides, sides, sides)
def test_letterbox_keeps_the_aspect_and_centres(height, width, tall, wide):
    geometry = fit(height, width, tall, wide, "letterbox")
    scale = min(tall / height, wide / width)
    assert geometry.content_height == tall or geometry.content_width == wide
    for content, side in ((geometry.content_height, height), (geometry.content_width, width)):
        assert content == 1 or abs(content - side * scale) <= 0.5 + 1e-9
    top, left, bottom, right = geometry.rectangle
    assert abs(top - (tall - bottom)) <= 1
    assert abs(left - (wide - right)) <= 1


@given(sides, sides, sides, sides)
def test_stretch_has_no_bars(height, width, tall, wide):
    assert fit(height, width, tall, wide, "stretch").rectangle == (0, 0, tall, wide)


@settings(max_examples=200)
@given(sides, sides, sides, sides, modes)
def test_labels_go_by_the_nearest_pixel_centre_both_ways(height, width, tall, wide, mode):
    geometry = fit(height, width, tall, wide, mode)
    top, left, bottom, right = geometry.rectangle
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    assert is_nearest(geometry.label(rows)[top:bottom, left].astype(int), height)
    assert is_nearest(geometry.label(columns)[top, left:right].astype(int), width)
    rows, columns = np.mgrid[:tall, :wide].astype(np.uint8)
    assert is_nearest(geometry.restore_label(rows)[:, 0].astype(int) - top, bottom - top)
    assert is_nearest(geometry.restore_label(columns)[0].astype(int) - left, right - left)


@given(sides, sides, st.integers(1, 3), modes)
def test_nothing_is_lost_where_every_pixel_has_room(height, width, factor, mode):
    label = random_label(height, width)
    geometry = fit(height, width, factor * height + 3, factor * width + 1, mode)
    np.testing.assert_array_equal(geometry.restore_label(geometry.label(label)), label)


@given(sides, sides, sides, sides, modes)
def test_bars_have_no_say_in_restored_scores(height, width, tall, wide, mode):
    geometry = fit(height, width, tall, wide, mode)
    top, left, bottom, right = geometry.rectangle
    scores = np.full((3, tall, wide), 1e9, np.float32)
    scores[:, top:bottom, left:right] = np.array([-1.0, 0.5, 2.0], np.float32)[:, None, None]
    restored = geometry.restore_scores(scores)
    assert restored.shape == (3, height, width)
    np.testing.assert_allclose(restored, np.broadcast_to([[[-1.0]], [[0.5]], [[2.0]]], restored.shape), rtol=1e-5)


@pytest.mark.parametrize("mode", ["letterbox", "stretch"])
@pytest.mark.parametrize(("height", "width"), [(120, 80), (31, 64), (300, 200)])
def test_restored_scores_stand_where_restored_labels_stand(height, width, mode):
    geometry = fit(height, width, 96, 80, mode)
    row, column = np.mgrid[:height, :width]
    disc = ((row - height / 2) ** 2 + (column - width / 3) ** 2 < (min(height, width) / 4) ** 2).astype(np.uint8)
    square = geometry.label(disc)
    scores = np.stack([square == 0, square == 1]).astype(np.float32)
    restored = geometry.restore_scores(scores).argmax(0)
    centre = [np.argwhere(found == 1).mean(0) for found in (restored, disc)]
    assert (restored != disc).mean() < 0.02
    np.testing.assert_allclose(*centre, atol=0.5)


def test_a_ramp_of_scores_is_not_shifted():
    ramp = np.broadcast_to(np.arange(8, dtype=np.float32) + 0.5, (1, 8, 8))
    restored = fit(16, 16, 8, 8, "stretch").restore_scores(ramp)
    np.testing.assert_allclose(restored[0, :, 1:-1] * 2, np.broadcast_to(np.arange(1, 15) + 0.5, (16, 14)))


@given(sides, sides, sides, sides, modes)
def test_an_image_keeps_its_colour_and_gets_black_bars(height, width, tall, wide, mode):
    geometry = fit(height, width, tall, wide, mode)
    top, left, bottom, right = geometry.rectangle
    square = geometry.image(np.full((height, width, 3), (10, 120, 250), np.uint8))
    assert (square[top:bottom, left:right] == (10, 120, 250)).all()
    square[top:bottom, left:right] = 0
    assert not square.any()


def test_shrinking_averages_over_area():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    blocks = image.reshape(8, 4, 8, 4, 3).mean((1, 3))
    assert np.abs(fit(32, 32, 8, 8, "stretch").image(image) - blocks).max() <= 0.51


def test_shrinking_one_side_alone_averages_too():
    stripes = np.tile(np.array([0, 200], np.uint8)[None, :, None], (4, 32, 3))
    assert (fit(4, 64, 16, 16, "stretch").image(stripes) == 100).all()


@pytest.mark.parametrize("sizes", [(0, 5, 5, 5), (5, -1, 5, 5), (5, 5, 0, 5), (5, 5, 5, 0)])
def test_sides_must_be_positive(sizes):
    with pytest.raises(UserError, match="1 or more"):
        fit(*sizes, "letterbox")


def test_unknown_mode_names_the_known_ones():
    with pytest.raises(UserError, match="letterbox or stretch"):
        fit(5, 5, 5, 5, "crop")


def test_an_array_of_another_picture_is_refused():
    with pytest.raises(ValueError, match=r"\(5, 6\).*\(6, 5\)"):
        fit(5, 6, 8, 8, "letterbox").label(np.zeros((6, 5), np.uint8))

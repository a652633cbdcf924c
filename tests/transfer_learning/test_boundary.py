"""Outline scores against hand-made masks and scipy's distances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from transfer_learning.scores.boundary import boundary_distance, boundary_iou


def square(size: int, top: int, left: int, side: int) -> np.ndarray:
    mask = np.zeros((size, size), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_squares_one_within_the_other():
    outer, inner = square(20, 5, 5, 10), square(20, 6, 6, 8)
    # 2 % of the diagonal of 20 x 20 rounds to one pixel: rims of 36 and 28 pixels that don't meet.
    assert boundary_iou(outer, inner) == 0
    # Every inner outline pixel is 1 away; so is every outer one but the four corners, which are sqrt(2) away.
    assert boundary_distance(outer, inner) == pytest.approx((28 + 32 + 4 * np.sqrt(2)) / 64)


def test_the_region_is_two_percent_of_the_diagonal():
    whole, cut = square(200, 50, 50, 100), square(200, 50, 50, 100)
    cut[:, 140:] = False  # 100 x 90 remain
    width = round(0.02 * np.hypot(200, 200))  # 6
    rim = [100 * 100 - (100 - 2 * width) ** 2, 100 * 90 - (100 - 2 * width) * (90 - 2 * width)]
    common = rim[1] - (100 - 2 * width) * width  # all of the cut one's rim but its new edge
    assert boundary_iou(whole, cut) == pytest.approx(common / (sum(rim) - common))


def test_a_mask_up_to_the_images_edge_ends_there():
    whole = np.ones((30, 40), bool)
    assert boundary_iou(whole, whole) == 1
    assert boundary_distance(whole, whole) == 0
    inner = np.pad(np.ones((28, 38), bool), 1)
    assert 0 < boundary_distance(whole, inner) < np.sqrt(2)


def test_without_an_animal_there_is_no_outline():
    empty, full = np.zeros((30, 30), bool), square(30, 3, 3, 9)
    assert np.isnan(boundary_iou(empty, empty))
    assert boundary_iou(empty, full) == 0
    assert np.isnan(boundary_distance(empty, empty))
    assert boundary_distance(empty, full) == boundary_distance(full, empty) == pytest.approx(np.hypot(30, 30))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), height=st.integers(5, 40), width=st.integers(5, 40))
def test_distances_are_scipys(seed, height, width):
    generator = np.random.default_rng(seed)
    one, other = (ndimage.binary_opening(generator.random((height, width)) < 0.8) for _ in range(2))
    rims = [mask & ~ndimage.binary_erosion(mask, np.ones((3, 3))) for mask in (one, other)]
    if not (rims[0].any() and rims[1].any()):
        assert np.isnan(boundary_distance(one, other)) == (not rims[0].any() and not rims[1].any())
        return
    to = [ndimage.distance_transform_edt(~rim) for rim in rims]
    expected = np.concatenate([to[1][rims[0]], to[0][rims[1]]]).mean()
    assert boundary_distance(one, other) == pytest.approx(expected, rel=1e-5)
    assert boundary_distance(other, one) == pytest.approx(expected, rel=1e-5)

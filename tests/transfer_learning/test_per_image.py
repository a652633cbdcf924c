"""Scores of single images and breeds, by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from transfer_learning.scores.per_image import TRUE_CLASSES, breed_scores, image_rows
from transfer_learning.scores.split import SplitScores

NAMES = ("background", "cat", "dog")


@pytest.fixture
def split():
    sizes = [SimpleNamespace(height=4, width=5)] * 3
    return SimpleNamespace(
        names=["a", "b", "c"], breeds=["Abyssinian", "Abyssinian", None], species=["cat", "cat", None], geometries=sizes
    )


@pytest.fixture
def scores():
    matrices = np.array(
        [
            [[8, 0, 2], [0, 10, 0], [0, 0, 0]],  # a cat, and stray pixels of dog
            [[10, 0, 0], [5, 5, 0], [0, 0, 0]],  # half a cat
            [[0, 0, 0], [0, 0, 0], [0, 0, 0]],  # nothing but border
        ]
    )
    boundaries = np.array([[0.5, 1.0], [0.25, 2.0], [np.nan, np.nan]])
    return SplitScores(np.arange(3), matrices, None, boundaries, np.zeros((3, 15, 3)))


def test_rows_hold_scores_and_counts(split, scores):
    rows = image_rows(split, scores, NAMES)
    assert [row["name"] for row in rows] == ["a", "b", "c"]
    assert rows[0]["iou_dog"] == 0  # predicted without being there
    assert rows[0][TRUE_CLASSES] == pytest.approx((0.8 + 1) / 2)  # but no class of this image
    assert rows[1][TRUE_CLASSES] == pytest.approx((10 / 15 + 0.5) / 2)
    assert rows[1]["iou_dog"] is None
    assert rows[1]["count_cat_as_background"] == 5
    assert rows[0]["count_background_as_dog"] == 2
    scored = [name for name in rows[2] if name.startswith(("iou", "mean", "foreground", "boundary"))]
    assert len(scored) == 7
    assert all(rows[2][name] is None for name in scored)


def test_a_breed_is_scored_from_its_summed_counts(split, scores):
    found = breed_scores(split, scores, NAMES)
    assert list(found) == ["Abyssinian"]  # what has no breed is in none
    breed = found["Abyssinian"]
    assert (breed["num_images"], breed["species"]) == (2, "cat")
    assert breed["iou"] == {"background": pytest.approx(18 / 25), "cat": pytest.approx(15 / 20), "dog": 0}
    assert breed[TRUE_CLASSES] == pytest.approx((18 / 25 + 15 / 20) / 2)

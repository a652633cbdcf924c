"""Scores of single images and of tags, by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from core.classes import ClassSet
from transfer_learning.scores.confusion import counts_of
from transfer_learning.scores.per_image import OF_CLASSES, TRUE_CLASSES, image_rows, tag_scores
from transfer_learning.scores.split import SplitScores

PETS = ClassSet(("background", "cat", "dog"), ignored_is="border")
MATRICES = np.array(
    [
        [[8, 0, 2], [0, 10, 0], [0, 0, 0]],  # a cat, and stray pixels of dog
        [[10, 0, 0], [5, 5, 0], [0, 0, 0]],  # half a cat
        [[0, 0, 0], [0, 0, 0], [0, 0, 0]],  # nothing but border
    ]
)


@pytest.fixture
def split():
    sizes = [SimpleNamespace(height=4, width=5)] * 3
    tags = {"breed": ["Abyssinian", "Abyssinian", "=pug"], "species": ["cat", "cat", None]}
    return SimpleNamespace(names=["a", "-b", "c"], tags=tags, geometries=sizes)


def scores_of(class_set=PETS, boundaries=((0.5, 1.0), (0.25, 2.0), (np.nan, np.nan))):
    boundaries = None if boundaries is None else np.array(boundaries)
    counts = counts_of(MATRICES)
    return SplitScores(np.arange(3), class_set, MATRICES.sum(axis=0), counts, np.zeros((3, 15, 3)), boundaries)


def test_rows_hold_scores_and_counts(split):
    rows = image_rows(split, scores_of())
    assert [row["name"] for row in rows] == ["a", "-b", "c"]
    assert [row["tag_breed"] for row in rows] == ["Abyssinian", "Abyssinian", "=pug"]
    assert rows[2]["tag_species"] is None
    assert rows[0]["iou_dog"] == 0  # predicted without being there
    assert rows[0][TRUE_CLASSES] == pytest.approx((0.8 + 1) / 2)  # but no class of this image
    assert rows[1][TRUE_CLASSES] == pytest.approx((10 / 15 + 0.5) / 2)
    assert rows[1]["iou_dog"] is None
    assert [rows[1][f"{kind}_cat"] for kind in ("hit", "truth", "said")] == [5, 10, 5]
    assert [rows[0][f"{kind}_dog"] for kind in ("hit", "truth", "said")] == [0, 0, 2]
    assert rows[1]["foreground_iou"] == pytest.approx(5 / 10)
    assert [rows[0][f"{kind}_cat"] for kind in ("dice", "recall", "specificity", "balanced_accuracy")] == [1] * 4
    assert rows[0]["precision_dog"] == rows[0]["dice_dog"] == 0
    assert rows[0]["recall_dog"] is rows[0]["balanced_accuracy_dog"] is None
    assert rows[0]["mean_foreground_dice"] == 0.5
    assert "dice_background" not in rows[0]
    scored = [name for name in rows[2] if name.startswith(("iou", "mean", "foreground", "boundary", *OF_CLASSES))]
    assert len(scored) == 18
    assert all(rows[2][name] is None for name in scored)


def test_without_a_background_there_are_no_columns_of_the_foreground(split):
    rows = image_rows(split, scores_of(ClassSet(("road", "car", "sky"), background=None), None))
    assert not {name for name in rows[0] if name.startswith(("foreground", "boundary"))}
    assert rows[0]["iou_car"] == 1


def test_a_tag_is_scored_from_its_summed_counts(split):
    found = tag_scores(split, scores_of())
    assert list(found) == ["breed"]  # species has one value alone
    assert list(found["breed"]) == ["=pug", "Abyssinian"]
    breed = found["breed"]["Abyssinian"]
    assert breed["num_images"] == 2
    assert breed["iou"] == {"background": pytest.approx(18 / 25), "cat": pytest.approx(15 / 20), "dog": 0}
    assert breed[TRUE_CLASSES] == pytest.approx((18 / 25 + 15 / 20) / 2)
    assert breed["foreground_iou"] == pytest.approx(15 / 22)
    assert found["breed"]["=pug"]["iou"] == dict.fromkeys(PETS.names)


def test_a_tag_that_no_two_images_share_says_nothing(split):
    split.tags["breed"] = ["a", "b", "c"]
    assert tag_scores(split, scores_of()) == {}

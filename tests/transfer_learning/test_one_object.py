"""Scores of pictures that hold one foreground class each, against predictions that were painted over."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import jaccard_score

from core.classes import IGNORED, ClassSet
from transfer_learning.scores.confusion import array_confusion_matrix, counts_of, scores_of_counts
from transfer_learning.scores.one_object import one_object_intervals, one_object_scores

PETS = ClassSet(("background", "cat", "dog"), ignored_is="border")
NOTHING = {"class_accuracy": None, "outline_mean_iou": None}


def counts_for(truths, predictions, classes=PETS):
    """Return the counts [N, C, 3] of labels [N, H, W] against predictions."""
    pairs = zip(predictions, truths, strict=True)
    return counts_of(np.stack([array_confusion_matrix(said, truth, len(classes)) for said, truth in pairs]))


def pictures(seed, count, foreground, background):
    """Return labels with one foreground class each, the last with none, and predictions that hold any class."""
    generator = np.random.default_rng(seed)
    classes = [background, *foreground]
    objects = generator.choice(foreground, count)
    truths = np.where(generator.random((count, 6, 5)) < 0.5, objects[:, None, None], background)
    truths[:, 0, 0], truths[-1] = objects, background
    truths[generator.random(truths.shape) < 0.1] = IGNORED
    truths[:-1, 0, 0] = objects[:-1]
    predictions = generator.choice(classes, truths.shape)
    return objects, truths.astype(np.uint8), predictions.astype(np.uint8)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.sampled_from([(0, 3), (1, 3), (2, 5), (1, 2)]))
def test_outlines_are_those_of_painted_predictions(seed, count, kind):
    background, number = kind
    classes = ClassSet(tuple("abcde"[:number]), background=background)
    objects, truths, predictions = pictures(seed, count, [*classes.foreground], background)
    painted = np.where(predictions == background, background, objects[:, None, None])
    painted[-1] = predictions[-1]  # it holds no class to paint
    judged = truths != IGNORED
    held = np.union1d(truths[judged], painted[judged])
    ious = jaccard_score(truths[judged], painted[judged], average=None, labels=held)
    found = one_object_scores(counts_for(truths, predictions, classes), classes)
    assert found["outline_mean_iou"] == pytest.approx(np.mean(ious))
    judged_predictions = np.where(judged, predictions, background)
    votes = np.stack([(judged_predictions == c).sum(axis=(1, 2)) for c in classes.foreground])[:, :-1]
    true = objects[:-1] == np.array(classes.foreground)[:, None]
    told = [votes[mine].item() > votes[~mine].max(initial=0) for votes, mine in zip(votes.T, true.T, strict=True)]
    assert found["class_accuracy"] == (pytest.approx(np.mean(told)) if number > 2 else None)


def test_the_class_is_told_by_most_pixels():
    truth = np.zeros((4, 6, 6), np.uint8)
    truth[:, :3] = 1
    said = np.zeros_like(truth)
    said[0, 0, :3], said[0, 1, :2] = 1, 2  # more cat than dog
    said[1, 4, :3], said[1, 1, :2] = 2, 1  # more dog, though beside it
    said[2, 0, :2], said[2, 1, :2] = 1, 2  # as much of both: not told
    counts = counts_for(truth, said)  # and the last is background throughout
    assert one_object_scores(counts, PETS)["class_accuracy"] == 0.25
    assert one_object_scores(counts[:1], PETS)["class_accuracy"] == 1


def test_a_single_foreground_class_leaves_the_mean_iou():
    lesions = ClassSet(("background", "lesion"))
    _, truths, predictions = pictures(0, 5, [1], 0)
    counts = counts_for(truths, predictions, lesions)
    plain = scores_of_counts(counts.sum(axis=0)[None], lesions)["mean_iou"][0]
    assert one_object_scores(counts, lesions) == {"class_accuracy": None, "outline_mean_iou": pytest.approx(plain)}
    assert one_object_intervals(counts, lesions)["class_accuracy"] is None


def test_intervals_hold_the_scores():
    _, truths, predictions = pictures(1, 12, [1, 2], 0)
    predictions[:6] = np.where(truths[:6] == IGNORED, 0, truths[:6])
    counts = counts_for(truths, predictions)
    found, intervals = one_object_scores(counts, PETS), one_object_intervals(counts, PETS)
    for name, value in found.items():
        low, high = intervals[name]
        assert low < value < high


def test_nothing_is_said_of_other_pictures():
    _, truths, predictions = pictures(2, 4, [1, 2], 0)
    without = ClassSet(PETS.names, background=None)
    for counts, classes in (
        (counts_for(truths, predictions), without),
        (counts_for(np.zeros_like(truths), predictions), PETS),  # no object anywhere
    ):
        assert one_object_scores(counts, classes) == one_object_intervals(counts, classes) == NOTHING
    truths[1, 0, :2] = 1, 2  # a cat and a dog
    counts = counts_for(truths, predictions)
    assert one_object_scores(counts, PETS) == one_object_intervals(counts, PETS) == NOTHING

import json
import math
import tracemalloc

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.metrics import structural_similarity
from sklearn.metrics import balanced_accuracy_score
from torchmetrics.functional import classification
from torchmetrics.functional.classification import (
    multiclass_f1_score,
    multiclass_jaccard_index,
    multiclass_precision,
    multiclass_recall,
    multiclass_specificity,
)
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from core.classes import ClassSet
from core.errors import RunError
from core.machine.processes import merged
from reconstruction.metrics import MAX_PSNR, mean_scores, restoration_scores, score_sums
from transfer_learning.scores.confusion import (
    array_confusion_matrix,
    confusion_matrix,
    counts_of,
    likeliest,
    score_intervals,
    scores_of_counts,
    segmentation_scores,
)

NAMES = ["background", "cat", "dog"]
PETS = ClassSet(tuple(NAMES), ignored_is="border")
RECTANGLES = torch.tensor([[0, 0, 48, 40], [5, 3, 30, 40], [0, 0, 48, 40], [10, 0, 21, 11], [0, 8, 10, 40]])

predictions = arrays(np.uint8, (2, 5, 4), elements=st.integers(0, 2))
labels = arrays(np.uint8, (2, 5, 4), elements=st.sampled_from([0, 1, 2, 255]))


@pytest.fixture
def pictures():
    generator = torch.Generator().manual_seed(0)
    target = F.avg_pool2d(torch.rand(5, 3, 48, 40, generator=generator), 5, 1, 2)
    return (target + 0.1 * torch.randn(target.shape, generator=generator)).clamp(0, 1), target


def score(prediction, label):
    return segmentation_scores(confusion_matrix(prediction, label, 3), PETS)


def test_restoration_scores_are_those_of_the_crops(pictures):
    scores = restoration_scores(*pictures, RECTANGLES)
    for index, (top, left, bottom, right) in enumerate(RECTANGLES.tolist()):
        restored, target = (images[index : index + 1, :, top:bottom, left:right] for images in pictures)
        assert scores["mse"][index].item() == pytest.approx(F.mse_loss(restored, target).item(), rel=1e-5)
        psnr = peak_signal_noise_ratio(restored, target, data_range=1.0).item()
        assert scores["psnr"][index].item() == pytest.approx(psnr, rel=1e-5)
        if bottom - top < 11:
            assert math.isnan(scores["ssim"][index])
            continue
        settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
        pair = restored[0].numpy(), target[0].numpy()
        _, every = structural_similarity(*pair, channel_axis=0, full=True, **settings)
        assert scores["ssim"][index].item() == pytest.approx(every[:, 5:-5, 5:-5].mean(), abs=1e-5)


def test_restoration_scores_agree_with_torchmetrics(pictures):
    scores = restoration_scores(*pictures, RECTANGLES[:1].repeat(5, 1))
    # Theirs mirrors the picture beyond its edges; where the window lies wholly inside, the two are the same.
    _, theirs = structural_similarity_index_measure(*pictures, data_range=1.0, return_full_image=True)
    torch.testing.assert_close(scores["ssim"], theirs[..., 5:-5, 5:-5].mean((1, 2, 3)), atol=1e-5, rtol=0)


def test_what_lies_outside_the_rectangle_has_no_score(pictures):
    restored, target = pictures
    changed = torch.full_like(restored, torch.nan)
    for index, (top, left, bottom, right) in enumerate(RECTANGLES.tolist()):
        changed[index, :, top:bottom, left:right] = restored[index, :, top:bottom, left:right]
    expected = restoration_scores(restored, target, RECTANGLES)
    torch.testing.assert_close(restoration_scores(changed, target, RECTANGLES), expected, equal_nan=True)


def test_an_exact_copy_scores_the_largest_psnr(pictures):
    scores = restoration_scores(pictures[1], pictures[1], RECTANGLES[:1].repeat(5, 1))
    assert scores["mse"].eq(0).all()
    assert scores["psnr"].eq(MAX_PSNR).all()
    assert scores["ssim"].eq(1).all()


def test_a_mean_over_batches_leaves_out_images_without_a_score():
    batches = [{"mse": torch.tensor([0.25, 0.5]), "ssim": torch.tensor([0.5, torch.nan])}]
    batches.append({"mse": torch.tensor([0.75]), "ssim": torch.tensor([torch.nan])})
    first, second = (score_sums(batch) for batch in batches)
    assert mean_scores(merged(merged({}, first), second)) == {"mse": 0.5, "ssim": 0.5}
    assert mean_scores(second) == {"mse": 0.75, "ssim": None}


def test_a_picture_that_is_not_finite_is_no_missing_score(pictures):
    restored, target = pictures
    restored[3, 0, 12, 5] = torch.nan
    with pytest.raises(RunError, match="mean mse of the restored pictures is nan"):
        mean_scores(score_sums(restoration_scores(restored, target, RECTANGLES)))


def test_half_precision_is_scored_in_full(pictures):
    restored, target = pictures[0].half(), pictures[1].half()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = restoration_scores(restored, target, RECTANGLES)
    expected = restoration_scores(restored.float(), target.float(), RECTANGLES)
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


def test_segmentation_scores_agree_with_torchmetrics():
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(0, 4, (3, 20, 20), generator=generator)
    label = label.masked_fill(label == 3, 255)
    prediction = torch.randint(0, 3, label.shape, generator=generator).where(torch.rand(label.shape) < 0.4, label % 255)
    scores = score(prediction, label)
    references = {
        "dice": multiclass_f1_score,
        "iou": multiclass_jaccard_index,
        "precision": multiclass_precision,
        "recall": multiclass_recall,
        "specificity": multiclass_specificity,
    }
    by_class = scores["classes"]
    for key, reference in references.items():
        expected = reference(prediction, label, 3, average="none", ignore_index=255)
        assert [by_class[name][key] for name in NAMES] == pytest.approx(expected.tolist(), rel=1e-5)
    assert scores["mean_iou"] == pytest.approx(sum(by_class[name]["iou"] for name in NAMES) / 3)
    assert scores["mean_foreground_dice"] == pytest.approx((by_class["cat"]["dice"] + by_class["dog"]["dice"]) / 2)
    scored = label != 255
    assert scores["pixel_accuracy"] == pytest.approx((prediction == label)[scored].float().mean().item())
    held = sorted(set(label[scored].tolist()))  # macro recall of torchmetrics counts what was predicted alone as 0
    recall = multiclass_recall(prediction, label, 3, average="none", ignore_index=255)
    assert scores["mean_accuracy"] == pytest.approx(recall[held].mean().item())
    animals = multiclass_jaccard_index(
        (prediction > 0).long(), label.where(~scored, (label > 0).long()), 2, average="none", ignore_index=255
    )
    assert scores["foreground_iou"] == pytest.approx(animals[1].item())
    pair = (prediction > 0).long()[scored], (label > 0).long()[scored]
    names = {"recall": "recall", "specificity": "specificity", "precision": "precision", "f1_score": "dice"}
    for name, ours in names.items():
        reference = getattr(classification, f"binary_{name}")(*pair)
        assert scores["foreground"][ours] == pytest.approx(reference.item(), rel=1e-5)
    for of_class in (scores["foreground"], *by_class.values()):
        assert of_class["balanced_accuracy"] == pytest.approx((of_class["recall"] + of_class["specificity"]) / 2)
    assert scores["foreground"]["iou"] == scores["foreground_iou"]
    assert scores["foreground"]["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(pair[1], pair[0]))


def test_confusion_matrix_by_hand():
    label = torch.tensor([[0, 0, 1], [2, 255, 2]])
    prediction = torch.tensor([[0, 1, 1], [0, 2, 2]])
    matrix = confusion_matrix(prediction, label, 3)
    assert matrix.dtype == torch.int64
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
    headlines = ["pixel_accuracy", "mean_accuracy", "mean_iou", "mean_foreground_dice", "foreground_iou"]
    assert list(segmentation_scores(matrix, PETS)) == [*headlines, "foreground", "classes", "confusion_matrix"]
    assert counts_of(matrix.numpy()).tolist() == [[1, 2, 2], [1, 1, 2], [1, 2, 1]]


@settings(deadline=None)
@given(predictions, labels)
def test_matrices_of_images_add_up_and_scores_are_json(prediction, label):
    whole = confusion_matrix(prediction, label, 3)
    parts = sum(confusion_matrix(*pair, 3) for pair in zip(prediction, label, strict=True))
    assert torch.equal(whole, parts)
    assert whole.sum() == (label != 255).sum()
    scores = segmentation_scores(whole, PETS)
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores


@settings(deadline=None)
@given(labels)
def test_the_truth_scores_one_and_what_is_not_there_nothing(label):
    scores = score(np.where(label == 255, 1, label), label)
    for value, name in enumerate(NAMES):
        of_class = scores["classes"][name]
        specificity = None if set(label.flat) <= {value, 255} else 1
        assert of_class.pop("specificity") == specificity
        assert of_class.pop("balanced_accuracy") == (specificity if value in label else None)
        assert set(of_class.values()) == ({1.0} if value in label else {None})
    assert scores["mean_iou"] == (1.0 if (label != 255).any() else None)
    assert scores["pixel_accuracy"] == scores["mean_iou"]
    assert scores["mean_foreground_dice"] == (1.0 if {1, 2} & set(label.flat) else None)


@settings(deadline=None)
@given(predictions, labels, st.permutations(range(3)))
def test_renaming_the_classes_renames_the_scores(prediction, label, order):
    renaming = np.array([*order, *[255] * 253], dtype=np.uint8)
    before, after = score(prediction, label), score(renaming[prediction], renaming[label])
    renamed = [after["classes"][NAMES[order[index]]] for index in range(3)]
    assert renamed == [before["classes"][name] for name in NAMES]
    assert after["mean_iou"] == (None if before["mean_iou"] is None else pytest.approx(before["mean_iou"]))


@settings(deadline=None)
@given(predictions, labels)
def test_who_never_says_cat_scores_zero_for_it(prediction, label):
    label[0, 0, 0] = 1
    cat = score(np.where(prediction == 1, 2, prediction), label)["classes"]["cat"]
    assert cat.pop("specificity") in (None, 1)
    assert cat.pop("balanced_accuracy") in (None, 0.5)
    assert cat == {"dice": 0.0, "iou": 0.0, "precision": None, "recall": 0.0}


def test_a_class_invented_by_the_prediction_counts_against_it():
    scores = score(torch.tensor([0, 0, 1]), torch.tensor([0, 0, 0]))
    missing = pytest.approx(2 / 3)
    expected = {"dice": 0.0, "iou": 0.0, "precision": 0.0, "recall": None, "specificity": missing}
    expected["balanced_accuracy"] = None
    assert scores["classes"]["cat"] == expected
    nothing = dict.fromkeys(("dice", "iou", "precision", "recall", "balanced_accuracy"))
    assert scores["classes"]["dog"] == {**nothing, "specificity": 1}
    assert scores["mean_iou"] == pytest.approx(((2 / 3) + 0) / 2)


@pytest.mark.parametrize(("prediction", "label"), [(3, 0), (-1, 0), (0, 3), (0, 254)])
def test_a_class_outside_the_set_is_a_fault(prediction, label):
    with pytest.raises(AssertionError, match="outside the set"):
        confusion_matrix(torch.tensor([prediction]), torch.tensor([label]), 3)


def test_scores_of_many_matrices_are_those_of_each():
    generator = np.random.default_rng(0)
    matrices = generator.integers(0, 50, (6, 3, 3))
    matrices[0, 1], matrices[0, :, 1] = 0, 0  # a class that is nowhere
    matrices[1] = 0
    together = scores_of_counts(counts_of(matrices), PETS)
    for place, matrix in enumerate(matrices):
        alone = segmentation_scores(matrix, PETS)
        for name in ("mean_iou", "pixel_accuracy", "mean_accuracy", "mean_foreground_dice", "foreground_iou"):
            expected = np.nan if alone[name] is None else alone[name]
            assert together[name][place] == pytest.approx(expected, nan_ok=True)
    assert segmentation_scores(matrices[1], PETS)["mean_iou"] is None


def test_intervals_hold_the_score_and_shrink_with_more_images():
    generator = np.random.default_rng(0)

    def images(count: int) -> np.ndarray:
        return np.stack([np.diag(row) + 5 for row in generator.integers(0, 60, (count, 3))])

    few, many = images(20), images(500)
    for matrices in (few, many):
        low, high = score_intervals(counts_of(matrices), PETS)["mean_iou"]
        assert low < segmentation_scores(matrices.sum(axis=0), PETS)["mean_iou"] < high
    found = [score_intervals(counts_of(matrices), PETS)["classes"] for matrices in (few, many)]
    widths = [np.ptp(of_classes["cat"]["iou"]) for of_classes in found]
    assert widths[1] < widths[0] / 3
    only_background = counts_of(np.array([[[9, 0, 0], [0, 0, 0], [0, 0, 0]]] * 4))
    assert score_intervals(only_background, PETS)["classes"]["dog"]["iou"] is None
    assert score_intervals(only_background, PETS)["mean_iou"] == [1, 1]
    assert score_intervals(only_background, PETS)["mean_foreground_dice"] is None


@pytest.mark.parametrize("background", [None, 0, 2])
def test_the_foreground_is_all_but_the_background(background):
    matrix = np.random.default_rng(0).integers(0, 50, (4, 4))
    scores = segmentation_scores(matrix, ClassSet(("a", "b", "c", "d"), background))
    if background is None:
        assert scores["foreground_iou"] is None
        assert scores["mean_foreground_dice"] is None
        assert set(scores["foreground"].values()) == {None}
        return
    others = [c for c in range(4) if c != background]
    both = matrix[np.ix_(others, others)].sum()
    assert scores["foreground_iou"] == pytest.approx(both / (matrix.sum() - matrix[background, background]))
    dice = [2 * matrix[c, c] / (matrix[c].sum() + matrix[:, c].sum()) for c in others]
    assert scores["mean_foreground_dice"] == pytest.approx(np.mean(dice))


def test_memory_of_the_bootstrap_grows_with_the_classes_and_not_with_their_square():
    counts = np.random.default_rng(0).integers(0, 900, (500, 150, 3))
    class_set = ClassSet(tuple(map(str, range(150))))
    tracemalloc.start()
    score_intervals(counts, class_set)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * 2**20


def test_the_likeliest_class_is_the_first_with_the_highest_score():
    scores = np.random.default_rng(0).integers(-2, 3, (4, 30, 40)).astype(np.float32)  # ties abound
    kept = scores.copy()
    classes, highest = likeliest(scores)
    assert classes.dtype == np.uint8
    assert np.array_equal(classes, scores.argmax(axis=0))
    assert np.array_equal(highest, scores.max(axis=0))
    assert np.array_equal(scores, kept)


def test_the_matrix_of_arrays_is_that_of_tensors():
    generator = np.random.default_rng(1)
    prediction, label = (generator.integers(0, 3, (20, 30)).astype(np.uint8) for _ in range(2))
    label[generator.random((20, 30)) < 0.2] = 255
    assert np.array_equal(array_confusion_matrix(prediction, label, 3), confusion_matrix(prediction, label, 3).numpy())
    assert not array_confusion_matrix(prediction, np.full_like(label, 255), 3).any()
    for wrong in ((prediction, np.full_like(label, 3)), (prediction + 1, label)):
        with pytest.raises(AssertionError, match="outside the set"):
            array_confusion_matrix(*wrong, 3)

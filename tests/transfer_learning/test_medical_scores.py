"""Scores of medicine against MONAI, scikit-learn, scikit-image and hands."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.metrics import adapted_rand_error
from sklearn.metrics import roc_auc_score

from core.classes import ClassSet
from core.errors import UserError
from transfer_learning.scores.cases import case_counts, case_results, cases_of
from transfer_learning.scores.confusion import counts_of
from transfer_learning.scores.options import ScoreOptions
from transfer_learning.scores.rand import THRESHOLDS, pair_sums, rand_results, rand_sums, thinned, v_rand
from transfer_learning.scores.roc import BINS, RocSums, area_under_roc, auc_error, bins_of, roc_counts
from transfer_learning.scores.surface import class_distances, distance_results, surface_distances

ORGAN = ClassSet(("outside", "liver", "tumour"))


def softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=0))
    return (raised / raised.sum(axis=0)).astype(np.float32)


def blobs(generator: np.random.Generator, sides: tuple[int, ...]) -> np.ndarray:
    return ndimage.gaussian_filter(generator.standard_normal(sides), 2) > 0.02


# The area under the ROC curve


@pytest.mark.parametrize(("scale", "off"), [(0.1, 1e-3), (3.0, 1e-4), (40.0, 0.05)])  # the last: nearly all 0 or 1
def test_the_area_is_scikit_learns_within_the_bound(scale, off):
    generator = np.random.default_rng(0)
    truth = generator.choice([0, 1, 2, 255], (60, 50)).astype(np.uint8)
    one_hot = (truth == np.arange(3)[:, None, None]).astype(np.float32)
    probabilities = softmax(scale * (one_hot + generator.standard_normal((3, 60, 50))))
    counts = roc_counts(probabilities, truth)
    scored = truth != 255
    assert counts.sum(axis=(1, 2)).tolist() == [scored.sum()] * 3
    for number in range(3):
        expected = roc_auc_score(truth[scored] == number, probabilities[number][scored])
        assert abs(area_under_roc(counts)[number] - expected) <= min(auc_error(counts)[number] + 1e-12, off)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=50))
def test_bins_rise_with_the_probability_and_mirror(values):
    probabilities = np.sort(np.array(values, np.float32))
    found = bins_of(probabilities)
    assert (np.diff(found) >= 0).all()
    assert 0 <= found.min() <= found.max() < BINS
    assert bins_of(np.array([0, 1], np.float32)).tolist() == [0, BINS - 1]


def test_areas_by_hand_and_where_there_is_none():
    truth = np.array([[0, 0, 1, 255]], np.uint8)
    own = np.array([[0.1, 0.8, 0.8, 0.0]], np.float32)  # one pair right, one tied
    counts = roc_counts(np.stack([1 - own, own, 0 * own]), truth)
    assert area_under_roc(counts)[:2].tolist() == [0.75, 0.75]
    assert np.isnan([area_under_roc(counts)[2], auc_error(counts)[2]]).all()  # no pixel of the third class


def test_sums_over_images_are_those_of_one_large_image_and_memory_stays():
    generator = np.random.default_rng(1)
    truth = generator.integers(0, 2, (40, 8, 30)).astype(np.uint8)
    likely = softmax(generator.standard_normal((2, 40, 8, 30)) + np.stack([truth == 0, truth == 1]))
    sums = RocSums(2)
    for place in range(40):
        sums.add(roc_counts(likely[:, place], truth[place]))
    whole = roc_counts(likely, truth)  # of three dimensions
    assert np.array_equal(sums.counts, whole)
    drawn = sums.areas_of_draws()
    area = sums.areas()
    assert (np.quantile(drawn, 0.025, axis=0) < area).all()
    assert (area < np.quantile(drawn, 0.975, axis=0)).all()
    # As wide as the bootstrap over images says that draws them one by one.
    places = generator.integers(0, 40, (200, 40))
    by_hand = [roc_auc_score(truth[drawn].ravel(), likely[1][drawn].ravel()) for drawn in places]
    assert drawn[:, 1].std() == pytest.approx(np.std(by_hand), rel=0.25)
    tracemalloc.start()
    for place in range(40):
        sums.add(roc_counts(likely[:, place], truth[place]))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 200_000


# Cases


def counts_for(*pairs: tuple[int, int, int]) -> np.ndarray:
    """[C, 3] of two foreground classes, each (hit, truth, said), on 100 pixels."""
    (hit, true, said), (hit2, true2, said2) = pairs
    wrong = true + true2 - hit - hit2
    return np.array([[100 - true - true2 - wrong, 100 - true - true2, 100 - said - said2], *pairs])


def test_mean_case_dice_by_hand():
    both = counts_for((5, 10, 10), (10, 10, 10))  # Dice 0.5 and 1
    one = counts_for((0, 4, 0), (0, 0, 0))  # Dice 0, and nothing to score
    none = counts_for((0, 0, 0), (0, 0, 0))
    found, intervals = case_results(np.stack([both, one, none]), ORGAN, None)
    assert found["mean_case_dice"] == pytest.approx((0.75 + 0) / 2)
    low, high = intervals["mean_case_dice"]
    assert 0 <= low <= found["mean_case_dice"] <= high <= 0.75
    cases = found["cases"]
    assert (cases["by"], cases["num_cases"], cases["num_scored"]) == ("image", 3, 2)
    assert cases["classes"]["liver"] == {"dice": 0.25, "num_scored": 2}
    assert cases["classes"]["tumour"] == {"dice": 1, "num_scored": 1}
    without, _ = case_results(np.stack([none]), ORGAN, None)
    assert without["mean_case_dice"] is None
    assert case_results(np.stack([both]), ClassSet(ORGAN.names, background=None), None)[0]["mean_case_dice"] is None


def test_pictures_of_one_patient_are_one_case():
    cases = cases_of(["ann", None, "bob", "ann", "", "1"])
    assert cases.tolist() == [0, 1, 2, 0, 3, 4]  # who is not known is alone, whatever others are called
    counts = np.arange(6 * 3 * 3).reshape(6, 3, 3)
    found = case_counts(counts, cases)
    assert np.array_equal(found[0], counts[0] + counts[3])
    assert np.array_equal(found[1:], counts[[1, 2, 4, 5]])


# Distances


def test_distances_by_hand():
    one, other = np.zeros((2, 9, 9), bool)
    one[2:5, 2:5], other[2:5, 4:7] = True, True  # two pixels to the right
    # Surfaces of 8 pixels: 2 columns are 2 and 1 away, the common one 0; the middle pixel of the others is off.
    there = [2, 2, 2, 1, 1, 0, 0, 0]
    hausdorff, mean = surface_distances(one, other)
    assert mean == pytest.approx(np.mean(there))
    assert hausdorff == pytest.approx(np.percentile(there, 95))
    assert surface_distances(one, other, (1, 0.5))[1] == pytest.approx(np.mean(there) / 2)
    assert surface_distances(one, one) == (0, 0)
    for pair in ((one, one & False), (one & False, one), (one & False, one & False)):
        assert np.isnan(surface_distances(*pair)).all()


@pytest.mark.parametrize(
    ("sides", "spacing"),
    [((40, 31), None), ((40, 31), (0.5, 2.0)), ((12, 16, 14), None), ((12, 16, 14), (3.0, 0.7, 0.7))],
)
def test_distances_are_monais(sides, spacing):
    metrics = pytest.importorskip("monai.metrics")
    generator = np.random.default_rng(len(sides))
    one, other = blobs(generator, sides), blobs(generator, sides)
    pair = [np.stack([~mask, mask])[None].astype(np.float32) for mask in (one, other)]
    asked = {"include_background": False, "spacing": None if spacing is None else list(spacing)}
    expected = (
        metrics.compute_hausdorff_distance(*pair, percentile=95, **asked).item(),
        metrics.compute_average_surface_distance(*pair, symmetric=True, **asked).item(),
    )
    assert surface_distances(one, other, spacing) == pytest.approx(expected, rel=1e-4)
    assert surface_distances(other, one, spacing) == pytest.approx(expected, rel=1e-4)


def test_what_is_missed_or_invented_has_no_distance_and_is_counted():
    truth = np.array([[0, 1, 1, 255], [0, 0, 0, 0]], np.uint8)
    predictions = [
        np.array([[0, 0, 0, 1], [0, 0, 0, 0]], np.uint8),  # where nothing is judged
        np.array([[0, 1, 1, 0], [0, 0, 0, 2]], np.uint8),
    ]
    distances = np.stack([class_distances(prediction, truth, ORGAN) for prediction in predictions])
    assert np.isnan(distances[:, 0]).all()  # of the background
    matrices = np.zeros((2, 3, 3), int)
    for place, prediction in enumerate(predictions):
        np.add.at(matrices[place], (truth[truth < 3], prediction[truth < 3]), 1)
    found, intervals = distance_results(distances, counts_of(matrices), ORGAN, "pixels")
    numbers = {"num_scored": 1, "missed": 1, "invented": 0}
    assert found["classes"]["liver"] == {"hausdorff_95": 0, "surface_distance": 0, **numbers}
    nothing = {"hausdorff_95": None, "surface_distance": None, "num_scored": 0, "missed": 0, "invented": 1}
    assert found["classes"]["tumour"] == nothing
    assert intervals["classes"]["tumour"] == {"hausdorff_95": None, "surface_distance": None}
    assert list(found["classes"]) == ["liver", "tumour"]
    assert found["unit"] == "pixels"


# V-Rand


def test_pairs_are_those_of_scikit_image():
    generator = np.random.default_rng(2)
    true, found = generator.integers(0, 6, (30, 40)), generator.integers(1, 5, (30, 40))
    both, in_truth, in_found = pair_sums(found, true)
    alone = np.count_nonzero(true)  # theirs leaves out a pixel's pair with itself
    expected, *_ = adapted_rand_error(true, found, ignore_labels=(0,))
    assert 1 - 2 * (both - alone) / (in_truth + in_found - 2 * alone) == pytest.approx(expected)
    unfound = pair_sums(found * (found > 1), true)  # each pixel of no object is one: as numbers of their own
    apart = np.where(found > 1, found, 100 + np.arange(found.size).reshape(found.shape))
    assert unfound == pair_sums(apart, true)


MEMBRANE = np.zeros((1, 9), np.uint8)
MEMBRANE[0, 4] = 1  # two cells of four pixels


@pytest.mark.parametrize(
    ("separating", "score"),
    [
        (np.where(MEMBRANE, 0.95, 0.05), 1.0),
        (np.where([[0, 0, 0, 1, 1, 1, 0, 0, 0]], 0.95, 0.05), 1.0),  # a thick border costs nothing
        (np.full((1, 9), 0.05), 2 * 32 / (32 + 64)),  # one cell: all that is true is together, and as much is not
        (np.full((1, 9), 0.95), 2 * 8 / (32 + 8)),  # no object: each pixel is alone
        (np.where([[0, 1, 0, 0, 1, 0, 0, 0, 0]], 0.95, 0.05), 2 * (16 + 4 + 4) / (32 + 24)),
    ],
)
def test_v_rand_by_hand(separating, score):
    sums = rand_sums(separating.astype(np.float32), MEMBRANE, 1)
    assert v_rand(sums) == pytest.approx([score] * len(THRESHOLDS))
    volume = np.repeat(separating.astype(np.float32)[None], 3, axis=0)
    assert v_rand(rand_sums(volume, np.repeat(MEMBRANE[None], 3, axis=0), 1))[0] <= score + 1e-12


def test_v_rand_takes_the_best_threshold_of_all_pictures():
    faint, strong = (np.where(MEMBRANE, value, 0.05).astype(np.float32) for value in (0.35, 0.95))
    noisy = np.where([[0, 0.55, 0, 0, 0.95, 0, 0, 0, 0]], [[0, 0.55, 0, 0, 0.95, 0, 0, 0, 0]], 0.05).astype(np.float32)
    sums = np.stack([rand_sums(one, MEMBRANE, 1) for one in (faint, strong, noisy)])
    found, intervals = rand_results(sums, "membrane")
    by_hand = [2 * both / (true + said) for both, true, said in sums.sum(axis=0)]
    assert found["v_rand"] == pytest.approx(max(by_hand))
    at = found["v_rand_at"]
    assert by_hand[THRESHOLDS.index(at["threshold"])] == max(by_hand)
    assert found["v_rand"] == pytest.approx(2 / (1 / at["split"] + 1 / at["merge"]))
    low, high = intervals["v_rand"]
    assert low <= found["v_rand"] <= high
    nothing, between = rand_results(np.stack([rand_sums(faint, np.full_like(MEMBRANE, 255), 1)]), "membrane")
    assert nothing["v_rand"] is nothing["v_rand_at"]["threshold"] is between["v_rand"] is None
    json.dumps([found, nothing], allow_nan=False)


def test_what_separates_goes_to_the_nearest_object():
    assert thinned(np.array([[0, 1, 0, 0, 0, 2]])).tolist() == [
        [1, 1, 1, thinned(np.array([[1, 0, 0, 0, 2]]))[0, 2], 2, 2]
    ]
    assert not thinned(np.zeros((2, 2), int)).any()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"v_rand": "membrana"}, r"v_rand 'membrana': there is no such class.*membrane"),
        ({"case_by": "patients"}, r"case_by 'patients': there is no such tag.*patient"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(options, said):
    with pytest.raises(UserError, match=said):
        ScoreOptions(**options).require_fit(ClassSet(("cell", "membrane")), ("patient",))
    with pytest.raises(UserError, match="these data have no tag"):
        ScoreOptions(case_by="patient").require_fit(ORGAN, ())

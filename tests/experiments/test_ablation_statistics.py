"""Paired differences over images and seeds, against a loop over the same draws and by hand."""

import numpy as np
import pytest
from ablation_samples import CLASSES, arm, counts_of, plan, write
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from core.statistics import two_sided_p
from experiments.ablation.differences import SEED_STREAM, mean_over_drawn_seeds, p_over_seeds, widening
from experiments.ablation.results import read_ablation
from experiments.ablation.statistics import analysed
from experiments.ablation.tables.scores import main_table
from transfer_learning.scores.confusion import segmentation_scores


def folder_of(folder, scratch, other, **flags):
    """A results folder of two variants at one fraction; matrices by seed."""
    arms = [arm(matrices, variant="scratch", seed=seed) for seed, matrices in scratch.items()]
    arms += [arm(matrices, variant="denoise", seed=seed) for seed, matrices in other.items()]
    return write(folder, plan({"scratch": {}, "denoise": flags}), arms)


def difference_of(folder, resamples=2000):
    return analysed(read_ablation(folder), resamples).get(1.0, "denoise").difference


def mean_iou(matrix) -> float:
    return segmentation_scores(matrix, CLASSES)["mean_iou"]


def test_the_interval_is_that_of_a_loop_over_the_same_draws(tmp_path):
    images, seeds, resamples = 9, (1, 2, 5), 40
    scratch = {seed: counts_of(0.5 + 0.02 * seed, seed, images) for seed in seeds}
    other = {seed: counts_of(0.6 - 0.03 * seed, 10 + seed, images) for seed in seeds}
    found = difference_of(folder_of(tmp_path, scratch, other), resamples)
    # Images lie in the order of their names, as the draws meet them.
    order = np.argsort([f"Pet_{number}" for number in range(images)])
    pictures, of_seeds = np.random.default_rng(0), np.random.default_rng(SEED_STREAM)
    drawn = []
    for _ in range(resamples):
        times = pictures.multinomial(images, np.full(images, 1 / images))
        chosen = of_seeds.multinomial(len(seeds), np.full(len(seeds), 1 / len(seeds)))
        gains = {}
        for seed in seeds:
            sums = [
                sum(t * arms[seed][image] for t, image in zip(times, order, strict=True)) for arms in (scratch, other)
            ]
            gains[seed] = mean_iou(sums[1]) - mean_iou(sums[0])
        whole = np.mean(list(gains.values()))
        of_draw = sum(t * gain for t, gain in zip(chosen, gains.values(), strict=True)) / len(seeds)
        # 4.3027: Student's t with two degrees of freedom at 97.5 %, from a printed table; 1.95996 is the normal's.
        drawn.append(whole + np.sqrt(3 / 2) * 4.302653 / 1.959964 * (of_draw - whole))
    assert found.interval == pytest.approx(np.quantile(drawn, [0.025, 0.975]))
    gains = [mean_iou(other[seed].sum(axis=0)) - mean_iou(scratch[seed].sum(axis=0)) for seed in seeds]
    assert found.value == pytest.approx(np.mean(gains))
    assert found.seeds == seeds


def test_one_seed_leaves_scipys_paired_bootstrap_over_images(tmp_path):
    scratch, other = counts_of(0.5, 1, 60), counts_of(0.55, 2, 60)
    found = difference_of(folder_of(tmp_path, {1: scratch}, {1: other}))

    def gain(rows):
        return mean_iou(other[rows].sum(axis=0)) - mean_iou(scratch[rows].sum(axis=0))

    reference = stats.bootstrap(
        (np.arange(60),), gain, n_resamples=2000, method="percentile", vectorized=False, rng=3
    ).confidence_interval
    width = reference.high - reference.low
    assert found.interval == pytest.approx([reference.low, reference.high], abs=0.15 * width)
    assert found.remark == "the interval is over images only"
    assert found.verdict == "one seed"  # no verdict, wherever the interval lies


def test_equal_images_leave_the_seeds_alone(tmp_path):
    """Each image is the same, so only seeds are drawn: gains 0 and g, of which a quarter of the draws is all one.

    The interval is then that of Student's t with one degree of freedom about g / 2, whose standard error is g / 2.
    """
    same = np.array([[[80, 10, 10], [10, 80, 10], [10, 10, 80]]] * 5)
    better = np.array([[[90, 5, 5], [5, 90, 5], [5, 5, 90]]] * 5)
    found = difference_of(folder_of(tmp_path, {1: same, 2: same}, {1: same, 2: better}))
    gain = 90 / 110 - 80 / 120
    assert found.value == pytest.approx(gain / 2)
    half = stats.t.ppf(0.975, 1) * gain / 2 * np.sqrt(2) / stats.norm.ppf(0.975)
    assert found.interval == pytest.approx([gain / 2 - half, gain / 2 + half])
    assert found.verdict == "not told apart"


@settings(max_examples=15, deadline=None)
@given(quality=st.floats(0.2, 0.9), seeds=st.integers(1, 4), images=st.integers(1, 12))
def test_equal_arms_differ_by_nothing_and_changed_sides_change_the_sign(tmp_path_factory, quality, seeds, images):
    first = {seed: counts_of(quality, seed, images) for seed in range(seeds)}
    second = {seed: counts_of(0.5, 50 + seed, images) for seed in range(seeds)}
    folder = tmp_path_factory.mktemp("arms")
    same = difference_of(folder_of(folder / "same", first, first), 100)
    assert same.value == 0
    assert same.interval == ((0, 0) if images > 1 else None)
    there, back = (
        difference_of(folder_of(folder / name, *sides), 100)
        for name, sides in (("there", (first, second)), ("back", (second, first)))
    )
    assert there.value == pytest.approx(-back.value)
    if images == 1:
        assert there.interval is back.interval is None
        assert "one image has no interval" in there.verdict
    else:
        assert there.interval == pytest.approx([-back.interval[1], -back.interval[0]])


@given(shift=st.floats(-0.5, 0.5), seeds=st.integers(1, 6))
def test_a_gain_of_all_seeds_alike_passes_through(shift, seeds):
    values = np.random.default_rng(0).normal(size=(50, seeds))
    assert mean_over_drawn_seeds(values + shift) == pytest.approx(mean_over_drawn_seeds(values) + shift)
    assert mean_over_drawn_seeds(np.full((50, seeds), shift)) == pytest.approx(np.full(50, shift))


def test_a_row_without_a_score_gives_none():
    values = mean_over_drawn_seeds(np.array([[np.nan, 1.0], [1.0, 1.0]]))
    assert np.isnan(values[0])
    assert values[1] == 1


@pytest.mark.parametrize(("seeds", "images_part"), [(2, 0.0), (3, 0.0), (3, 1.0), (5, 0.0), (5, 1.0), (10, 0.5)])
def test_intervals_of_few_seeds_hold_the_truth_as_often_as_they_say(seeds, images_part):
    """Simulated gains with a known mean of 0; the seeds' mean varies by 1, the images' share by `images_part`."""
    generator = np.random.default_rng(seeds)
    rounds, resamples = 1500, 400
    gains = generator.normal(0, np.sqrt(seeds), (rounds, 1, seeds)) + generator.normal(0, images_part, (rounds, 1, 1))
    drawn = gains + generator.normal(0, images_part, (rounds, resamples, 1))

    def coverage(resampled):
        low, high = np.quantile(resampled, [0.025, 0.975], axis=1)
        return np.mean((low <= 0) & (high >= 0))

    widened = np.stack([mean_over_drawn_seeds(rows) for rows in drawn])
    plain = drawn.mean(axis=2) + (widened - drawn.mean(axis=2)) / widening(seeds)
    assert 0.92 < coverage(widened) < 0.985
    assert abs(coverage(widened) - 0.95) < abs(coverage(plain) - 0.95)


@pytest.mark.parametrize("gains", [(1.7, 2.7, 3.7), (0.047, 0.065, 0.004), (0.3, 0.1, 0.2, 0.35, 0.15)])
def test_p_of_few_seeds_is_near_that_of_students_t(gains):
    """Images add nothing, so that a t test of the seeds is due; one widening for all levels says .001, .001, .001."""
    expected = stats.ttest_1samp(gains, 0).pvalue
    found = p_over_seeds(np.tile(gains, (2000, 1)))
    assert expected / 2 < found < 2 * expected
    assert two_sided_p(mean_over_drawn_seeds(np.tile(gains, (2000, 1)))) < expected / 2 or found > 0.1


def test_p_of_nothing_and_of_what_never_varies():
    assert p_over_seeds(np.zeros((200, 3))) == 1
    assert p_over_seeds(np.ones((199, 3))) == pytest.approx(2 / 200, abs=1e-5)
    assert p_over_seeds(np.full((9, 2), np.nan)) is None


@pytest.mark.parametrize(("seeds", "images_part"), [(2, 0.5), (3, 0.5), (5, 1.0)])
def test_p_values_are_as_rare_as_they_say_at_small_levels_too(seeds, images_part):
    """Simulated gains with a mean of 0; a p value that held at .05 alone would be below .01 far too often."""
    generator = np.random.default_rng(seeds)
    spread = images_part / np.sqrt(seeds)
    found = []
    for _ in range(400):
        values = generator.normal(0, 1, seeds) + generator.normal(0, spread) + generator.normal(0, spread, (400, 1))
        found.append(p_over_seeds(values))
    assert np.mean(np.array(found) <= 0.05) < 0.065
    assert np.mean(np.array(found) <= 0.01) < 0.017


@given(st.integers(0, 10**6), st.integers(2, 6))
def test_p_is_below_a_level_where_the_interval_of_it_leaves_0_out(seed, seeds):
    values = np.random.default_rng(seed).normal(0.4, 1, (200, seeds))
    low, high = np.quantile(mean_over_drawn_seeds(values), [0.02, 0.98])
    if p_over_seeds(values) > 0.06:
        assert low <= 0 <= high
    low, high = np.quantile(mean_over_drawn_seeds(values), [0.03, 0.97])
    if p_over_seeds(values) < 0.04:
        assert low > 0 or high < 0


def test_only_common_seeds_are_compared(tmp_path):
    arms = {seed: counts_of(0.5, seed, 8) for seed in (1, 2, 3)}
    other = {seed: counts_of(0.6, 10 + seed, 8) for seed in (2, 3, 4)}
    found = difference_of(folder_of(tmp_path / "some", arms, other))
    pairs = [mean_iou(other[seed].sum(axis=0)) - mean_iou(arms[seed].sum(axis=0)) for seed in (2, 3)]
    assert found.value == pytest.approx(np.mean(pairs))
    assert found.remark == "only seeds 2, 3: 1, 4 not in both"
    none = difference_of(folder_of(tmp_path / "none", {1: arms[1]}, {2: other[2]}))
    assert (none.value, none.interval, none.verdict) == (None, None, "no seed that scratch has too")
    alone = difference_of(folder_of(tmp_path / "alone", {}, other))
    assert alone.verdict == "no arm of scratch at this fraction"


@pytest.mark.parametrize(
    ("labels", "seeds", "descriptive"), [(5, 5, True), (26, 3, True), (26, 5, False), (52, 3, False), (9, 6, True)]
)
def test_few_labels_are_descriptive_only(tmp_path, labels, seeds, descriptive):
    arms = [arm(counts_of(0.5, seed, 3), variant="scratch", seed=seed, num_labels=labels) for seed in range(seeds)]
    group = analysed(read_ablation(write(tmp_path, plan({"scratch": {}}), arms)), 10).groups[0]
    assert group.descriptive_only == descriptive


def test_the_best_is_chosen_on_val_among_what_may_win(tmp_path):
    matrices = counts_of(0.5, 1, 4)
    variants = {
        "scratch": {},
        "good_on_test": {},
        "good_on_val": {},
        "outside": {"outside_weights": True},
        "random_frozen": {"autoencoder": False},
        "lite0": {"autoencoder": False},
        "lite0_denoise": {"baseline": "lite0"},
    }
    val = dict(zip(variants, (0.5, 0.5, 0.6, 0.9, 0.9, 0.9, 0.95), strict=True))
    arms = [
        arm(counts_of(0.9, 2, 4) if name == "good_on_test" else matrices, variant=name, val_mean_iou=val[name])
        for name in variants
    ]
    analysis = analysed(read_ablation(write(tmp_path, plan(variants), arms)), 50)
    assert analysis.best(1.0).variant == "good_on_val"
    # A variant with another network is compared with that network from scratch.
    assert analysis.get(1.0, "lite0_denoise").difference.baseline == "lite0"
    assert analysis.get(1.0, "scratch").difference is None


def test_arms_of_before_have_the_scores_of_one_object_from_their_counts(tmp_path):
    """By hand, of two cats and a dog: rows truth, columns prediction."""
    first = np.array(
        [[[8, 2, 0], [0, 3, 5], [0, 0, 0]], [[9, 0, 1], [2, 6, 0], [0, 0, 0]], [[9, 1, 0], [0, 0, 0], [8, 0, 0]]]
    )
    second = np.array(
        [[[8, 2, 0], [0, 5, 3], [0, 0, 0]], [[9, 0, 1], [2, 6, 0], [0, 0, 0]], [[9, 1, 0], [0, 0, 0], [0, 0, 8]]]
    )
    arms = [arm(matrices, variant="scratch", seed=seed) for seed, matrices in enumerate((first, second), 1)]
    write(tmp_path, plan({"scratch": {}}), arms)
    (group,) = analysed(read_ablation(tmp_path), 10).groups
    # Cat: 8 of 10 said and 6 of 7, of 16 true; dog: nothing of 1 said and all of 9, of 8.
    background = np.array([26 / (30 + 36 - 26), 26 / (30 + 28 - 26)])
    cat = 14 / (16 + 17 - 14)
    dog = np.array([0, 8 / 9])
    assert group.one_object.class_accuracy == pytest.approx((1 / 3 + 1) / 2)
    assert group.one_object.outline_mean_iou == pytest.approx(np.mean((background + cat + dog) / 3))
    assert "one_object" not in arms[0]


def test_pictures_with_a_cat_and_a_dog_have_no_such_scores(tmp_path):
    matrices = counts_of(0.5, 1, 4)
    matrices[0, 1:, 0] = 1
    write(tmp_path, plan({"scratch": {}}), [arm(matrices, variant="scratch")])
    (group,) = analysed(read_ablation(tmp_path), 10).groups
    assert group.one_object.class_accuracy is group.one_object.outline_mean_iou is None
    assert "class told" not in main_table(analysed(read_ablation(tmp_path), 10), 1.0).columns

"""Paired differences between runs, against draws one by one and by hand."""

import json

import numpy as np
import pytest
from report_samples import CLASSES, matrices, page_of, words, write_reconstruction, write_segmentation

from core.statistics import RESAMPLES
from experiments import paired
from experiments.runs import find_runs
from transfer_learning.scores.confusion import segmentation_scores


def test_paired_difference_against_a_loop_over_draws(tmp_path):
    for seed, name in ((1, "scratch"), (2, "pretrained")):
        write_segmentation(tmp_path / name, seed)
    found = paired.differences(*find_runs([tmp_path / "scratch", tmp_path / "pretrained"]))[0]
    counts = [matrices(seed) for seed in (1, 2)]

    def scores(chosen) -> float:
        sums = [part[chosen].sum(axis=0) for part in counts]
        first, second = (segmentation_scores(matrix, CLASSES)["mean_iou"] for matrix in sums)
        return second - first

    assert found.value == pytest.approx(scores(np.arange(30)))
    generator = np.random.default_rng(5)
    drawn = [scores(generator.integers(0, 30, 30)) for _ in range(RESAMPLES)]
    # Two sets of 2,000 draws: their quantiles agree to a fraction of the interval's width.
    assert found.interval == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.15 * np.std(drawn) * 4)
    assert found.images == 30


def test_equal_runs_show_no_difference_and_a_better_one_is_named(tmp_path):
    for name, psnr in (("a", [20.0, 21.0, 25.0, ""]), ("b", [20.0, 21.0, 25.0, 30.0]), ("c", [21.0, 22.5, 26.0, ""])):
        write_reconstruction(tmp_path / name, psnr)
    runs = find_runs([tmp_path / name for name in "abc"])
    same, better = paired.differences(runs[0], runs[1])[0], paired.differences(runs[0], runs[2])[0]
    assert (same.value, same.interval, same.images) == (0, [0, 0], 3)
    assert not same.is_clear
    assert better.value == pytest.approx((1 + 1.5 + 1) / 3)
    assert better.is_clear
    page = words(page_of(*(tmp_path / name for name in "abc")))
    assert "c scored higher than a on 3 images: PSNR (dB) +1.17 (95 % interval over images +1.00 to +1.50" in page


def test_other_masks_and_other_resolutions_are_not_compared(tmp_path):
    write_segmentation(tmp_path / "a", 1)
    result = write_segmentation(tmp_path / "b", 2)
    rows = (tmp_path / "b/per_image.csv").read_text().splitlines()
    cells = [row.split(",") for row in rows]
    cells[1][4], cells[2][4] = str(int(cells[1][4]) + 5), str(int(cells[2][4]) - 5)  # the sum stays
    (tmp_path / "b/per_image.csv").write_text("\n".join(map(",".join, cells)))
    assert paired.differences(*find_runs([tmp_path / "a", tmp_path / "b"]))[0].problem.startswith("they were scored ag")
    write_reconstruction(tmp_path / "c", [20.0])
    small = write_reconstruction(tmp_path / "d", [20.0])
    small["provenance"]["resolution"] = 32
    (tmp_path / "d/reconstruction_metrics.json").write_text(json.dumps(small))
    assert "different resolutions" in paired.differences(*find_runs([tmp_path / "c", tmp_path / "d"]))[0].problem
    assert result["num_images"] == 30


def test_five_runs_are_compared_with_the_first(tmp_path):
    for number_of_run in range(5):
        write_reconstruction(tmp_path / f"run{number_of_run}", [20.0 + number_of_run, 21.0])
    found = paired.all_differences(find_runs([tmp_path]))
    assert {entry.first for entry in found} == {"run0"}
    assert len(paired.all_differences(find_runs([tmp_path])[:4])) == 6 * 2  # pairs of four, two scores

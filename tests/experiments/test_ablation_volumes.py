"""The tables of an ablation on volumes: the mean Dice of a case beside mean IoU, in words of volumes."""

import csv
import json
import re

import numpy as np
import pytest
from ablation_grid import Here, run
from ablation_samples import arm_of_today, counts_of, plan, write
from sample_task import write_task
from sample_volumes import write_volumes

from ae_pretrained.__main__ import main as program
from core.classes import ClassSet
from experiments.ablation.case_dice import case_dice as case_dice_of_arm
from experiments.ablation.results import read_ablation
from experiments.ablation.statistics import analysed
from experiments.grid.runners import local
from experiments.tables import main

CLASSES = ClassSet(("background", "front", "back"))
QUALITY = {"scratch": 0.5, "mask": 0.6}


def matrices_of(variant: str, seed: int) -> np.ndarray:
    matrices = counts_of(QUALITY[variant], seed, 6)
    matrices[0] = 0
    matrices[0, 0, 0] = 5000  # a volume without foreground, in which none was found: no case
    return matrices


def grid(folder, classes=CLASSES, resolution=(20, 30, 20)):
    arms = [
        arm_of_today(matrices_of(name, seed), classes, variant=name, seed=seed, resolution=list(resolution))
        for name in QUALITY
        for seed in (1, 2, 3)
    ]
    return write(folder, plan({"scratch": {}, "mask": {}}), arms)


def case_dice(matrices: np.ndarray) -> np.ndarray:
    """The mean Dice of front and back of each volume, by loops over its pixels' definition."""
    found = []
    for matrix in matrices:
        sizes = [matrix[c].sum() + matrix[:, c].sum() for c in (1, 2)]
        scores = [2 * matrix[c, c] / size for c, size in zip((1, 2), sizes, strict=True) if size]
        found.append(np.mean(scores) if scores else np.nan)
    return np.array(found)


def test_tables_have_the_mean_dice_of_a_case_and_speak_of_volumes(tmp_path):
    folder = grid(tmp_path)
    assert main(["--results", str(folder)]) == 0
    with (folder / "tables.csv").open() as file:
        rows = {row["variant"]: row for row in csv.DictReader(file)}
    wanted = {name: np.mean([np.nanmean(case_dice(matrices_of(name, seed))) for seed in (1, 2, 3)]) for name in QUALITY}
    for name, value in wanted.items():
        assert float(rows[name]["case_dice"]) == pytest.approx(value)
    assert float(rows["mask"]["case_dice_difference"]) == pytest.approx(wanted["mask"] - wanted["scratch"])
    assert not rows["scratch"]["case_dice_difference"]
    text = (folder / "tables.md").read_text()
    assert "6 arms on volumes of up to 20x30x20 voxels, each scored on the same 6 test volumes" in text
    assert "(522 volumes)" in text
    assert f"{wanted['mask']:.3f} (" in text.split("## Mean Dice of a case")[1].split("## ")[0]
    (entry,) = json.loads((folder / "summary.json").read_text())
    assert entry["variants"] == []
    assert " px" not in text.split("## The variants")[1].split("## Public")[0]


def test_the_interval_is_that_of_drawing_cases_in_pairs(tmp_path):
    analysis = analysed(read_ablation(grid(tmp_path)), 4000)
    difference = analysis.get(1.0, "mask").by_case.difference
    gains = np.mean([case_dice(matrices_of("mask", s)) - case_dice(matrices_of("scratch", s)) for s in (1, 2, 3)], 0)
    drawn = np.random.default_rng(5).choice(gains[1:], (4000, 5)).mean(axis=1)
    low, high = difference.interval
    assert low < np.quantile(drawn, 0.025) < difference.value < np.quantile(drawn, 0.975) < high  # seeds vary too
    assert difference.verdict == "ahead"


@pytest.mark.parametrize(
    ("classes", "resolution"),
    [(CLASSES, (20, 30)), (ClassSet(("road", "front", "back"), background=None), (20, 20, 20))],
)
def test_pictures_and_classes_without_a_background_have_none(tmp_path, classes, resolution):
    analysis = analysed(read_ablation(grid(tmp_path, classes, resolution)), 20)
    assert all(group.by_case is None for group in analysis.groups)
    assert analysis.measure == "mean IoU"


def test_a_grid_on_volumes_by_numbers_of_labels(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(local, "Worker", Here)
    data = write_volumes(tmp_path / "data", (5, 2, 2))
    small = {"patch": 8, "width": 2, "batch_size": 2, "max_steps": 2, "val_every": 1, "amp": "off", "device": "cpu"}
    content = {
        "seeds": [1],
        "fractions": [2, 1.0],
        "learning_rates": [0.003],
        "tuned_at": [2],
        "pretraining_common": {**small, "perceptual_weight": 0.0, "ssim_weight": 0.0, "mask_patch": 4},
        "pretraining": {"mask": {"pretext": "mask", "target": "normalised"}},
        "common": {**small, "select": "mean_foreground_dice"},
        "variants": {"scratch": {}, "mask": {"pretraining": "mask", "transfer": "all"}},
    }
    assert run(tmp_path / "grid", data, content) == 0, capsys.readouterr()
    ablation = read_ablation(tmp_path / "grid" / "results")
    assert [(arm.name.variant, arm.content.num_labels) for arm in ablation.arms] == [
        *[("scratch", 2), ("mask", 2)],
        *[("scratch", 4), ("mask", 4)],
    ]
    assert ablation.plan.fractions == (0.5, 1.0)
    for arm in ablation.arms:  # what evaluation says of the same weights
        run_folder = f"{arm.name.variant}__{arm.name.fraction:g}__seed_1__lr_0.003"
        path = tmp_path / "grid" / "runs" / "runs" / run_folder / "results" / "evaluation_results.json"
        assert case_dice_of_arm(arm) == pytest.approx(json.loads(path.read_text())["mean_case_dice"])
    begun = len(Here.begun)
    assert run(tmp_path / "grid", data, {**content, "fractions": [0.5, 4], "tuned_at": [0.5]}) == 0
    assert len(Here.begun) == begun  # the same grid in other words


@pytest.mark.all
def test_the_recipe_of_few_cases_runs_quickly(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(local, "Worker", Here)
    task, here = write_task(tmp_path / "task", 12), tmp_path / "here"
    words = ["recipe", "medical_hippocampus_cases", "--quick", "--archives", str(task), "--output_dir", str(here)]
    assert program(words) == 0, capsys.readouterr()
    text = (here / "results" / "tables.md").read_text()
    assert re.search(r"\(3 \+ \d+ volumes\)", text)
    assert "## Mean Dice of a case" in text
    arms = read_ablation(here / "results").arms
    assert {arm.name.variant for arm in arms} == {"scratch", "pretrained"}
    assert all(arm.content.settings["select"] == "mean_foreground_dice" for arm in arms)

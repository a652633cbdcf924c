"""What budgets ask of a grid before anything trains, and how many masks of Val chose."""

import json

import pytest
from ablation_grid import change, grid, one_variant, read, run

from experiments.grid.budgets import total_passes
from experiments.grid.config import AblationConfig
from experiments.grid.planning.plan import build_plan
from experiments.grid.planning.prepared import read_data
from experiments.grid.to_do import all_works

# Every training of the small grid takes 6 steps of 4 pictures, each forward and back: 6 * 4 * 3 = 72 passes.
LONG = {"long": {"max_steps": 12, "control": True}}


def totals(content, folder):
    names = ("variants", "pretraining", "pretraining_common", "common")
    config = AblationConfig(**{name: content[name] for name in names}, fractions=(1.0,), seeds=(1,), data_dir=folder)
    plan, data = build_plan(config), read_data(folder, (1.0,), (1,), (1.0,))
    arms = [work for work in all_works(plan, data) if work.file.parent.name == "arms"]
    return {arm.variant.name: total_passes(arm) for arm in arms}, data


def test_the_passes_of_an_arm_and_of_its_phase_1_by_hand(pets):
    content = change(grid(), variants=LONG, pretraining={"denoise": {"pretext": "denoise", "max_steps": 10}})
    found, _ = totals(content, pets)
    assert found == {"scratch": 72, "plain_frozen": 144, "denoise_all": 192, "long": 144}


def test_a_phase_1_by_epochs_counts_its_pictures(pets):
    content = change(grid(), pretraining={"denoise": {"pretext": "denoise", "max_steps": None, "epochs": 5}})
    found, data = totals(content, pets)
    assert found["denoise_all"] == 72 + 3 * 5 * data.train_images
    content["pretraining"]["denoise"]["pictures"] = "species=cat"
    found, data = totals(content, pets)
    assert found["denoise_all"] == 72 + 3 * 5 * data.pool_size("species=cat") < 72 + 3 * 5 * data.train_images


def test_what_pupil_and_teacher_both_need_counts_once(pets):
    taught = {"unlabelled": "self_training", "unlabelled_batch": 4, "control": True, "pretraining": "denoise"}
    variants = {"pupil": {"taught_by": "denoise_all", "transfer": "all", **taught}}
    found, _ = totals(change(grid(), variants=variants), pets)
    # Phase 1 and the teacher take 72 each, the pupil's 6 steps 4 times 3 + 4 passes.
    assert found["denoise_all"] == 144
    assert found["pupil"] == 144 + 6 * (3 * 4 + 4 * 4)


@pytest.mark.parametrize(
    ("budgets", "message"),
    [
        ([71], "budgets: no arm of the grid meets 71, the cheapest (scratch) takes 72 picture passes"),
        (
            [5, 71, 144],
            "no arm of the grid meets 5 or 71, the cheapest (scratch) takes 72 picture passes, its phase 1 ",
        ),
        ([144, 72], "budgets 144, 72: give numbers above 0, each above the last"),
        ([72, 72], "budgets 72, 72: give numbers above 0, each above the last"),
        ([0, 72], "budgets 0, 72: give numbers above 0, each above the last"),
    ],
)
def test_a_budget_that_no_arm_meets_is_refused(pets, tmp_path, here, capsys, budgets, message):
    assert run(tmp_path, pets, grid(budgets=budgets)) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert here == []
    assert not (tmp_path / "results").exists()


def test_a_budget_is_one_of_the_whole_grid(pets, tmp_path, capsys):
    for variants in (["scratch"], ["denoise_all"]):
        assert run(tmp_path, pets, grid(budgets=[72, 1000]), "--list", "--variants", *variants) == 0
    assert "error" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"common": {"amp": "auto"}},
            "ablation.variants.scratch: amp auto, but with budgets precision is pinned: give",
        ),
        (
            {"common": {"amp": "fp16"}},
            "ablation.variants.scratch: amp fp16, but with budgets precision is pinned: give",
        ),
        (
            {"variants": {"half": {"amp": "bf16", "control": True}}},
            "ablation.variants.half: amp bf16, but off in ablation.variants.scratch: one table has one precision",
        ),
        (
            {"pretraining_common": {"amp": "bf16"}},
            "ablation.pretraining.plain: amp bf16, but off in ablation.variants.scratch: one table has one",
        ),
        ({"pretraining_common": {"amp": "auto"}}, "ablation.pretraining.plain: amp auto, but with budgets"),
    ],
)
def test_precision_is_pinned_where_budgets_are_given(pets, tmp_path, here, capsys, parts, message):
    content = change(grid(), **parts)
    assert run(tmp_path, pets, {**content, "budgets": [144]}) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert here == []


def test_without_budgets_arms_alone_have_one_precision(pets, tmp_path, capsys):
    of_phase_1 = change(grid(), pretraining_common={"amp": "bf16"})
    assert run(tmp_path, pets, of_phase_1, "--list") == 0
    of_an_arm = change(grid(), variants={"half": {"amp": "bf16", "control": True}})
    assert run(tmp_path, pets, of_an_arm, "--list") == 2
    assert "ablation.variants.half: amp bf16, but off in ablation.variants.scratch" in capsys.readouterr().err


def test_all_in_bf16_are_compared(pets, tmp_path):
    content = change(grid(budgets=[144]), common={"amp": "bf16"}, pretraining_common={"amp": "bf16"})
    assert run(tmp_path, pets, content, "--list") == 0


def test_an_arm_says_how_many_masks_of_val_chose(pets, tmp_path, here):
    content = one_variant(2)
    content["pretraining"], content["variants"] = (
        {},
        {
            "scratch": {},
            "fewer": {"val_labels": 2, "control": True},
            "last": {"select": "last", "ema": 0.5, "control": True},
        },
    )
    assert run(tmp_path, pets, content) == 0
    there = json.loads((pets / "manifest.json").read_text())["counts"]["Val"]["labelled"]
    arms = read(tmp_path, "arms")
    found = {name.split("__")[0]: arm["num_val_labels"] for name, arm in arms.items()}
    assert found == {"scratch": there, "fewer": 2, "last": 0}
    last = arms["last__1__seed_1"]
    assert (last["best_step"], last["val_mean_iou"]) == (2, last["log"][-1][1])


def test_more_masks_of_val_than_there_are_are_refused(pets, tmp_path, here, capsys):
    content = change(grid(), variants={"many": {"val_labels": 99, "control": True}})
    assert run(tmp_path, pets, content) == 2
    assert "ablation.variants.many: val_labels 99 asks for more masks of Val than exist: " in capsys.readouterr().err
    assert here == []

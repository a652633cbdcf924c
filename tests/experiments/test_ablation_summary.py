"""What an ablation's summary says of itself: which seeds, which baseline, chosen how, from where."""

import json

import numpy as np
import pytest
from ablation_samples import STEPS, arm, counts_of, plan, whole_grid, write

from experiments.ablation.results import read_ablation
from experiments.ablation.statistics import analysed
from experiments.ablation.tables.provenance_notes import origin_notes
from experiments.ablation.tables.scores import difference_table, savings_of
from experiments.tables import main


def test_summary(tmp_path):
    tables = whole_grid(tmp_path)
    assert main(["--results", str(tables)]) == 0
    entries = json.loads((tables / "summary.json").read_text())
    assert [(entry["fraction"], entry["num_labels"]) for entry in entries] == [(0.01, 5), (0.1, 52), (1.0, 522)]
    keys = "fraction num_labels seeds scratch_mean_iou best_variant best_mean_iou difference ci_low ci_high variants"
    assert all(
        entry.keys() == {*keys.split(), "best_learning_rate", "remark", "data_note", "equal_compute"}
        for entry in entries
    )
    last = entries[-1]
    assert last["best_variant"] == "mask_all"
    assert last["seeds"] == [1, 2, 3]
    assert last["difference"] == pytest.approx(last["best_mean_iou"] - last["scratch_mean_iou"])
    assert last["ci_low"] <= last["difference"] <= last["ci_high"]
    assert [other["variant"] for other in last["variants"]] == ["plain_frozen", "imagenet"]
    scores = [json.loads((tables / f"arms/mask_all__1__seed_{seed}.json").read_text()) for seed in (1, 2, 3)]
    assert last["best_mean_iou"] == pytest.approx(sum(score["mean_iou"] for score in scores) / 3)


def of_seeds(variant, seeds, val=0.5, quality=0.5, **changes):
    """Arms of a variant whose scores differ from seed to seed."""
    return [
        arm(counts_of(quality + seed / 50, seed, 5), variant=variant, seed=seed, val_mean_iou=val, **changes)
        for seed in seeds
    ]


def test_scores_are_over_the_seeds_that_are_compared(tmp_path):
    """Each entry has its own baseline and its own shared seeds, and all its numbers belong together."""
    arms = [
        *of_seeds("scratch", (1, 2, 3, 4), quality=0.4),
        *of_seeds("mask", (2, 3, 4), quality=0.6, learning_rate=0.01),
        *of_seeds("lite0", (1, 2, 3), quality=0.3),
        *of_seeds("lite0_mask", (1, 2, 3), quality=0.7),
    ]
    variants = {"scratch": {}, "mask": {}, "lite0": {"autoencoder": False}, "lite0_mask": {"baseline": "lite0"}}
    assert main(["--results", str(write(tmp_path, plan(variants, seeds=[2, 3, 4]), arms))]) == 0
    (entry,) = json.loads((tmp_path / "summary.json").read_text())

    def mean(variant, seeds):
        return np.mean([a["mean_iou"] for a in arms if a["arm"]["variant"] == variant and a["arm"]["seed"] in seeds])

    assert (entry["best_variant"], entry["seeds"], entry["best_learning_rate"]) == ("mask", [2, 3, 4], 0.01)
    assert entry["scratch_mean_iou"] == pytest.approx(mean("scratch", (2, 3, 4)))
    assert entry["best_mean_iou"] == pytest.approx(mean("mask", (2, 3, 4)))
    assert entry["difference"] == pytest.approx(entry["best_mean_iou"] - entry["scratch_mean_iou"])
    lite0, lite0_mask = entry["variants"]
    assert (lite0["compared_with"], lite0["seeds"]) == ("scratch", [1, 2, 3])
    assert lite0["baseline_mean_iou"] == pytest.approx(mean("scratch", (1, 2, 3)))
    assert lite0_mask["compared_with"] == "lite0"
    assert lite0_mask["baseline_mean_iou"] == pytest.approx(mean("lite0", (1, 2, 3)))
    assert lite0_mask["difference"] == pytest.approx(lite0_mask["mean_iou"] - lite0_mask["baseline_mean_iou"])
    assert lite0_mask["learning_rate"] == 0.003


@pytest.mark.parametrize(
    ("seeds", "best", "deciding"),
    [
        ({"a": (1, 2, 3), "b": (1, 2, 3), "c": (1, 2, 3)}, "c", (1, 2, 3)),
        ({"a": (1, 2, 3), "b": (1, 2, 3), "c": (1, 3)}, "b", (1, 2, 3)),  # c diverged with seed 2
        ({"a": (1, 2), "b": (1,), "c": (1,)}, "c", (1,)),  # stopped early in the second seed
        ({"a": (1, 2), "b": (1, 2), "c": (1,)}, "b", (1, 2)),  # stopped late in it
        ({"a": (1,), "b": (2,), "c": (3,)}, None, ()),
        ({"c": (7,)}, None, ()),  # no seed of the plan
    ],
)
def test_the_best_is_chosen_over_the_same_seeds(tmp_path, seeds, best, deciding):
    val = {"a": 0.5, "b": 0.6, "c": 0.7}
    arms = [single for name, some in seeds.items() for single in of_seeds(name, some, val[name])]
    folder = write(tmp_path, plan({"scratch": {}, **{name: {} for name in seeds}}), [*of_seeds("scratch", (1,)), *arms])
    analysis = analysed(read_ablation(folder), 20)
    chosen = analysis.best(1.0)
    assert (chosen and chosen.variant) == best
    assert analysis.deciding_seeds(1.0) == deciding
    assert main(["--results", str(folder)]) == 0
    told = "Of the plan's seeds (1, 2, 3) the choice is over those that most candidates have"
    complete = all(some == (1, 2, 3) for some in seeds.values())
    assert (told in (tmp_path / "tables.md").read_text()) != complete


def test_label_savings_are_over_the_seeds_that_both_have(tmp_path):
    arms = [
        *of_seeds("scratch", (1, 2), quality=0.4, fraction=0.1),
        *of_seeds("scratch", (1, 2), quality=0.6),
        *of_seeds("mask", (1,), quality=0.5, fraction=0.1),
    ]
    folder = write(tmp_path, plan({"scratch": {}, "mask": {}}, fractions=[0.1, 1.0]), arms)
    analysis = analysed(read_ablation(folder), 20)
    saved = savings_of(analysis, analysis.get(0.1, "mask"))
    alone = [single for single in arms if single["arm"]["seed"] == 1]
    analysis = analysed(read_ablation(write(tmp_path / "one", plan({"scratch": {}, "mask": {}}), alone)), 20)
    assert saved == savings_of(analysis, analysis.get(0.1, "mask"))
    assert saved.factor > 1
    folder = write(tmp_path / "none", plan({"scratch": {}, "mask": {}}), [*arms[:4], *of_seeds("mask", (3,))])
    analysis = analysed(read_ablation(folder), 20)
    assert savings_of(analysis, analysis.get(1.0, "mask")) is None


def test_notes_name_the_variants_with_too_few_seeds_and_the_only_candidate(tmp_path):
    arms = [*of_seeds("scratch", (1, 2, 3, 4, 5), fraction=0.05), *of_seeds("mask", (1, 2, 3), fraction=0.05)]
    assert main(["--results", str(write(tmp_path, plan({"scratch": {}, "mask": {}}), arms))]) == 0
    text = (tmp_path / "tables.md").read_text()
    assert "Descriptive only: 26 labels are too few for 3 seeds to conclude from (mask)." in text
    assert "too few for 5 seeds" not in text
    assert "Bold: mask, the only candidate: an autoencoder variant" in text


def test_a_fraction_may_have_more_seeds(tmp_path):
    arms = [single for name in ("scratch", "a", "b") for single in of_seeds(name, (1, 2, 3, 4, 5), fraction=0.01)]
    arms = [single for single in arms if (single["arm"]["variant"], single["arm"]["seed"]) != ("b", 5)]
    folder = write(tmp_path, plan({"scratch": {}, "a": {}, "b": {}}, more_seeds={"0.01": [4, 5]}), arms)
    analysis = analysed(read_ablation(folder), 20)
    assert analysis.ablation.plan.seeds_at(0.01) == (1, 2, 3, 4, 5)
    assert analysis.ablation.plan.seeds_at(1.0) == (1, 2, 3)
    assert analysis.deciding_seeds(0.01) == (1, 2, 3, 4)  # one of two is not most


def test_missing_baseline_and_missing_candidates_leave_nulls(tmp_path):
    matrices = counts_of(0.5, 1, 3)
    arms = [arm(matrices, variant="scratch"), arm(matrices, variant="mask", fraction=0.1)]
    assert main(["--results", str(write(tmp_path, plan({"scratch": {}, "mask": {}}), arms))]) == 0
    small, whole = json.loads((tmp_path / "summary.json").read_text())
    assert (small["scratch_mean_iou"], small["best_variant"], small["difference"]) == (None, "mask", None)
    assert (whole["best_variant"], whole["best_mean_iou"], whole["ci_low"], whole["variants"]) == (None, None, None, [])
    text = (tmp_path / "tables.md").read_text()
    assert "No arm of scratch at 10 %: no difference there." in text
    assert "| **no arm of scratch at this fraction** |" in text
    assert "the rates were set, not chosen" in text


def test_one_seed_claims_nothing(tmp_path):
    arms = [*of_seeds("scratch", (1, 2, 3), quality=0.3), *of_seeds("mask", (1, 2, 3), quality=0.8)]
    write(tmp_path, plan({"scratch": {}, "mask": {}}), [single for single in arms if single["arm"]["seed"] == 1])
    assert main(["--results", str(tmp_path)]) == 0
    text = (tmp_path / "tables.md").read_text()
    (row,) = (line for line in text.splitlines() if line.startswith("| this project"))
    assert row.startswith("| this project (one seed) |")
    assert "one seed: no result yet" in row
    assert "**one seed; the interval is over images only**" in text
    assert "ahead" not in text.split("## Label savings")[0].split("## Differences")[1]
    assert "1 seeds" not in text
    assert json.loads((tmp_path / "summary.json").read_text())[0]["remark"].startswith("one seed")
    write(tmp_path, plan({"scratch": {}, "mask": {}}), arms)
    assert main(["--results", str(tmp_path)]) == 0
    text = (tmp_path / "tables.md").read_text()
    assert "| **this project** |" in text
    assert "| **ahead** |" in text


def test_mixed_origins_are_told(tmp_path):
    gpu = {
        "settings": {**STEPS, "memory_format": "channels_last"},
        "compute": {"seconds": 9, "images": 16000, "device": "NVIDIA A"},
    }
    encoders = [{"name": "mask", "sha256": letter * 64, "seconds": 3600.0, "images": 5} for letter in "ef"]
    versions = {"commit": "b" * 40 + "+changes", "versions": {"torch": "2.0"}}
    arms = [
        arm(counts_of(0.4, 1, 5), variant="scratch"),
        arm(counts_of(0.4, 2, 5), variant="scratch", seed=2),
        arm(counts_of(0.5, 3, 5), variant="mask", pretraining=encoders[0], provenance=versions),
        arm(counts_of(0.5, 4, 5), variant="mask", seed=2, pretraining=encoders[1], **gpu),
    ]
    arms[0]["provenance"] = {"commit": "c" * 40, "versions": {"torch": "2.1"}}
    folder = write(tmp_path, plan({"scratch": {}, "mask": {}}), arms)
    assert main(["--results", str(folder)]) == 0
    text = (tmp_path / "tables.md").read_text()
    for sentence in (
        "Memory layouts mixed in one difference: mask at 100 % (contiguous and channels_last against contiguous).",
        "Kinds of device mixed in one difference: mask at 100 % (cpu and NVIDIA A against cpu).",
        "The pretraining mask was made 2 times with different weights, and arms began with each: "
        "eeeeeee in mask; fffffff in mask.",
        "Arms of several commits of this code (arms): ccccccc (3), bbbbbbb+changes (1).",
        "Arms of several versions: torch 2.1, 2.0.",
        "phase 1 (each once) 2.0 h",
        "Each phase 1 was trained once",
    ):
        assert sentence in text, sentence
    assert "Controls after other steps" not in text


def test_like_origins_are_not_worth_a_word(tmp_path):
    folder = whole_grid(tmp_path)
    assert origin_notes(analysed(read_ablation(folder), 20)) == []


def test_steps_until_the_baselines_best_is_reached(tmp_path):
    logs = {
        "scratch": [[100, 0.3], [200, 0.5], [300, 0.4]],
        "early": [[100, 0.5], [200, 0.6], [300, 0.7]],
        "late": [[100, None], [200, 0.4], [300, 0.5]],
        "never": [[100, 0.1], [200, 0.2], [300, 0.3]],
    }
    arms = [one for name, log in logs.items() for one in of_seeds(name, (1, 2), log=log, best_step=200)]
    arms[5]["log"] = logs["never"]  # late's second seed
    folder = write(tmp_path, plan({name: {} for name in logs}, seeds=[1, 2]), arms)
    table = difference_table(analysed(read_ablation(folder)))
    place = table.columns.index("steps to its best")
    assert {row[1]: row[place] for row in table.rows} == {
        "early": "100 instead of 200",
        "late": "300 instead of 200 (1 of 2 seeds)",
        "never": "not reached",
    }
    for one in arms:  # as written before
        del one["log"]
    before = write(tmp_path / "before", plan({name: {} for name in logs}), arms)
    table = difference_table(analysed(read_ablation(before)))
    assert "steps to its best" not in table.columns

"""Ablation folders that the tables refuse, by name and in one line."""

import json

import pytest
from ablation_samples import STEPS, arm, counts_of, path_of, plan, write

from experiments.tables import main


def spoiled(**changes):
    """A second arm with something changed."""
    return lambda matrices: arm(matrices, variant="mask", **changes)


def other_masks(matrices):
    matrices = matrices.copy()
    matrices[0, 0, 0] += 1
    return arm(matrices, variant="mask")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (spoiled(data_sha256="f" * 64), "differently prepared data (ffffffffffff and dddddddddddd)"),
        (spoiled(resolution=256), "was trained at 256 px and"),
        (spoiled(class_names=["background", "dog", "cat"]), "tell other classes apart"),
        (spoiled(num_labels=523), "have 523 and 522 labels at the same fraction"),
        (spoiled(mean_iou=0.99), "states mean IoU 0.9900, its counts give"),
        (spoiled(one_object={"class_accuracy": 1.5}), "states class accuracy 1.5000, its counts give"),
        (spoiled(one_object={"class_accuracy": 1.0}), "states outline mean IoU none, its counts give"),
        (spoiled(format="ablation arm 3"), "format: Input should be 'ablation arm 1' or 'ablation arm 2'"),
        (spoiled(val_mean_iou=None), "val_mean_iou: Input should be a valid number"),
        (spoiled(fraction=1.5), "arm.fraction: Input should be less than or equal to 1"),
        (lambda matrices: arm(matrices[:-1], variant="mask"), "different images (3 and 4, 3 of them common)"),
        (lambda matrices: arm(matrices, variant="unknown"), "'unknown', which"),
        (lambda matrices: spoiled()(matrices) | {"per_image": {f"Pet_{n}": [1] for n in range(4)}}, "9 counts"),
        (lambda matrices: spoiled()(matrices) | {"per_image": {"Pet_0": [1] * 9, "Pet_1": 2}}, "a list for every"),
        (other_masks, "scored against other masks"),
    ],
)
def test_what_does_not_belong_together_is_refused_by_name(tmp_path, capsys, make, reason):
    matrices = counts_of(0.5, 1, 4)
    wrong = make(matrices)
    write(tmp_path, plan({"scratch": {}, "mask": {}}), [arm(matrices, variant="scratch"), wrong])
    assert main(["--results", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert reason in message
    assert str(tmp_path / path_of(wrong)) in message
    assert not (tmp_path / "tables.md").exists()


def test_damaged_files_and_unfinished_grids_are_named(tmp_path, capsys):
    matrices = counts_of(0.5, 1, 4)
    write(tmp_path, plan({"scratch": {}}), [])
    assert main(["--results", str(tmp_path)]) == 2
    assert "holds no finished arm yet" in capsys.readouterr().err
    write(tmp_path, plan({"scratch": {}}), [arm(matrices, variant="scratch")])
    cut = tmp_path / "arms/scratch__1__seed_2.json"
    cut.write_text((tmp_path / "arms/scratch__1__seed_1.json").read_text()[:200])
    assert main(["--results", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert str(cut) in message
    assert message.count("\n") == 1
    cut.write_text((tmp_path / "arms/scratch__1__seed_1.json").read_text())
    assert main(["--results", str(tmp_path)]) == 2
    assert "hold the same arm" in capsys.readouterr().err
    cut.unlink()
    (tmp_path / "plan.json").write_text(json.dumps(plan({"mask": {}})))
    assert main(["--results", str(tmp_path)]) == 2
    assert "names 'scratch', which is none of its variants (mask)" in capsys.readouterr().err
    (tmp_path / "plan.json").unlink()
    assert main(["--results", str(tmp_path)]) == 2
    assert "has arms but no plan.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"max_steps": 2000}, "arms of one fraction with other max_steps (1000 and 2000)"),
        ({"batch_size": 32}, "arms of one fraction with other batch_size (16 and 32)"),
        ({"val_every": 50}, "arms of one fraction with other val_every (100 and 50)"),
    ],
)
def test_other_steps_are_for_controls(tmp_path, capsys, changed, reason):
    matrices = counts_of(0.5, 1, 4)
    steps = {"settings": {**STEPS, **changed}, "val_mean_iou": 0.9}
    arms = [arm(matrices, variant="a_first"), arm(matrices, variant="longer", **steps)]
    write(tmp_path, plan({"scratch": {}, "a_first": {}, "longer": {}}), [arm(matrices, variant="scratch"), *arms])
    assert main(["--results", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert reason in message
    assert str(tmp_path / path_of(arms[1])) in message
    assert "`control: true`" in message
    write(tmp_path, plan({"scratch": {}, "a_first": {}, "longer": {"control": True}}), [])
    assert main(["--results", str(tmp_path)]) == 0
    (entry,) = json.loads((tmp_path / "summary.json").read_text())
    assert entry["best_variant"] == "a_first"  # though the control is better on Val
    assert "Controls after other steps than their baseline: longer at 100 %" in (tmp_path / "tables.md").read_text()


def test_another_fraction_may_have_other_steps(tmp_path):
    matrices = counts_of(0.5, 1, 4)
    few = arm(matrices, variant="scratch", fraction=0.1, settings={**STEPS, "max_steps": 500})
    write(tmp_path, plan({"scratch": {}}), [arm(matrices, variant="scratch"), few])
    assert main(["--results", str(tmp_path)]) == 0

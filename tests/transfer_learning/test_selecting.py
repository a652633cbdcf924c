"""What chooses the weights that are kept: some masks of Val, or nothing."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from run_folders import rows_of, state_of
from safetensors.torch import load_file

from core.errors import UserError
from core.run import loop
from data.opened import open_data
from data.subsets import label_subset
from experiments.grid.planning.effect import with_effect
from transfer_learning.config import SegmentationConfig
from transfer_learning.masks import judging_labels
from transfer_learning.task import SegmentationTask
from transfer_learning.train import main as train

SMALL = ["--width", "2", "--batch_size", "8", "--amp", "off", "--device", "cpu", "--lr", "0.002", "--ema", "0.5"]
STEPS = ["--max_steps", "6", "--val_every", "2"]
LAST = ["--select", "last"]
BEST = "best_model.safetensors"


@pytest.fixture
def run(pets):
    return lambda folder, *more: train([*SMALL, "--data_dir", str(pets), "--output_dir", str(folder), *more])


@pytest.fixture
def falling(monkeypatch):
    """Let each score on Val be worse than the one before."""
    validate = SegmentationTask.validate

    def worse(self):
        self.looked = getattr(self, "looked", 0) + 1
        return {**validate(self), "mean_iou": 0.9 - 0.1 * self.looked}

    monkeypatch.setattr(SegmentationTask, "validate", worse)


def test_the_last_averaged_weights_are_kept_whatever_val_says(run, tmp_path, falling, capsys):
    assert run(tmp_path / "best", *STEPS) == 0
    assert "best mean_iou 0.8000 at epoch 1 of 3" in capsys.readouterr().out
    assert run(tmp_path / "last", *STEPS, *LAST) == 0
    said = capsys.readouterr().out
    assert "for validation, which chooses nothing, 40 px" in said
    assert "finished: the last weights, mean_iou 0.6000, of epoch 3" in said
    # Nothing but what is kept differs.
    best, last = state_of(tmp_path / "best"), state_of(tmp_path / "last")
    assert rows_of(tmp_path / "best") == rows_of(tmp_path / "last")
    assert all(tensor.equal(best["average"][name]) for name, tensor in last["average"].items())
    kept, chosen = load_file(tmp_path / "last" / BEST), load_file(tmp_path / "best" / BEST)
    assert all(tensor.equal(last["average"][f"module.{name}"]) for name, tensor in kept.items())
    assert not all(tensor.equal(chosen[name]) for name, tensor in kept.items())
    assert not all(tensor.equal(last["model"][name]) for name, tensor in kept.items())
    assert run(tmp_path / "last", *STEPS, *LAST) == 0
    assert "is finished: the last weights, mean_iou 0.6000, of epoch 3. Nothing to do." in capsys.readouterr().out


def test_nothing_stops_early_where_the_last_weights_are_kept(run, tmp_path, falling, capsys):
    flags = ["--epochs", "4", "--patience", "1"]
    assert run(tmp_path / "best", *flags) == 0
    assert len(rows_of(tmp_path / "best")) == 2
    assert run(tmp_path / "last", *flags, *LAST) == 0
    assert len(rows_of(tmp_path / "last")) == 4
    assert state_of(tmp_path / "last")["best"]["epoch"] == 4
    assert "--patience with --select last, where no score says when to stop" in capsys.readouterr().err


@pytest.mark.parametrize("stop", ["step", "save"])
def test_a_stopped_run_goes_on_to_the_same_last_weights(run, tmp_path, monkeypatch, stop):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    flags = [*STEPS, *LAST, "--save_every_steps", "1"]
    assert run(whole, *flags) == 0
    losses, save = SegmentationTask.training_losses, loop.save_state

    def interrupted(self, step):
        if step == 3:
            raise KeyboardInterrupt
        return losses(self, step)

    def cut(folder, state):
        if state["finished"]:  # the weights are written, the state that names them is not
            raise KeyboardInterrupt
        save(folder, state)

    with monkeypatch.context() as patch:
        if stop == "step":
            patch.setattr(SegmentationTask, "training_losses", interrupted)
        else:
            patch.setattr(loop, "save_state", cut)
        assert run(stopped, *flags) == 130
    assert (stopped / BEST).exists() == (stop == "save")
    assert state_of(stopped)["best"] is None
    assert run(stopped, *flags) == 0
    assert rows_of(whole) == rows_of(stopped)
    assert (whole / BEST).read_bytes() == (stopped / BEST).read_bytes()
    assert (whole / "metrics.json").exists()
    assert state_of(whole)["best"] == state_of(stopped)["best"]


def test_a_longer_run_keeps_its_new_last_weights(run, tmp_path):
    assert run(tmp_path, *STEPS, *LAST) == 0
    before = (tmp_path / BEST).read_bytes()
    assert run(tmp_path, *STEPS, *LAST, "--extend_to", "8") == 0
    state = state_of(tmp_path)
    assert (state["best"]["epoch"], state["step"]) == (4, 8)
    assert (tmp_path / BEST).read_bytes() != before
    kept = load_file(tmp_path / BEST)
    assert all(tensor.equal(state["average"][f"module.{name}"]) for name, tensor in kept.items())


@pytest.fixture(scope="module")
def val(pets):
    return open_data(pets).split("Val")


def test_the_masks_that_choose_are_nested_and_stratified(val):
    there = len(val.labelled)
    found = [judging_labels(val, SegmentationConfig(val_labels=number, seed=3)) for number in range(1, there + 1)]
    assert [len(chosen) for chosen in found] == [*range(1, there + 1)]
    assert all(set(small) < set(large) for small, large in pairwise(found))
    for number in (None, 0, there):
        assert judging_labels(val, SegmentationConfig(val_labels=number)).tolist() == val.labelled.tolist()
    names, strata = ([row[index] for index in val.labelled] for row in (val.names, val.strata))
    two_thirds = label_subset(names, strata, 0.67, 3)
    assert sorted(val.names[index] for index in found[len(two_thirds) - 1]) == two_thirds
    other = [judging_labels(val, SegmentationConfig(val_labels=there - 1, seed=seed)).tolist() for seed in range(9)]
    assert len({tuple(chosen) for chosen in other}) > 1


def test_val_scores_are_those_of_the_masks_that_choose(run, tmp_path, val, monkeypatch, capsys):
    seen = []
    validate = SegmentationTask.validate

    def told(self):
        seen.append(self.judging)
        scores = validate(self)
        self.val, all_of_them = alone(self.val, self.judging), self.val
        self.judging, chosen = self.val.labelled, self.judging
        assert validate(self) == scores
        self.val, self.judging = all_of_them, chosen
        return scores

    monkeypatch.setattr(SegmentationTask, "validate", told)
    assert run(tmp_path, *STEPS, "--val_labels", "2", "--seed", "7") == 0
    there = len(val.labelled)
    assert f", 2 of {there} for validation, 40 px" in capsys.readouterr().out
    expected = judging_labels(val, SegmentationConfig(val_labels=2, seed=7)).tolist()
    assert [chosen.tolist() for chosen in seen] == [expected] * 3


def alone(split, chosen):
    """Return a split in which the chosen pictures alone have a mask."""
    rows = np.full_like(split.label_rows, -1)
    rows[chosen] = split.label_rows[chosen]
    return replace(split, label_rows=rows)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            [*LAST, "--schedule", "plateau"],
            "with --select last none has a say: give --schedule cosine",
        ),
        ([*LAST, "--val_labels", "3"], "with --select last no mask of Val chooses: leave out --val_labels 3"),
        (["--val_labels", "-1"], "val_labels -1 must be at least 0"),
        (["--val_labels", "999"], "val_labels 999 asks for more masks of Val than exist: "),
    ],
)
def test_what_cannot_choose_is_refused(run, tmp_path, capsys, flags, message):
    assert run(tmp_path / "run", *flags) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_all_masks_are_all_masks():
    one, other = (with_effect(SegmentationConfig(val_labels=number)) for number in (None, 0))
    assert one == other
    assert one != with_effect(SegmentationConfig(val_labels=5))
    assert [SegmentationConfig(val_labels=number).judging(131) for number in (None, 0, 25)] == [131, 131, 25]
    assert SegmentationConfig(select="last").judging(131) == 0
    with pytest.raises(UserError, match="data has 24; give fewer, or 0 for all"):
        SegmentationConfig(val_labels=25).require_val_labels(24, Path("data"))

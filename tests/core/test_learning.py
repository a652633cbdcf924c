"""What changes how a run learns: plateaus, averaged weights, hard pictures, scales; and that a stopped run goes on."""

import copy
from collections import Counter

import numpy as np
import pytest
import torch
from run_folders import rows_of, state_of, stopped_at
from safetensors.torch import load_file

from core.errors import UserError
from core.run.learning import hard_examples
from core.run.learning.average import Average
from core.run.learning.hard_examples import HARD, HardDraws
from core.run.sampling import Draws
from core.run.schedule import plateau_factor
from core.run.state import save_state
from reconstruction.config import ReconstructionConfig
from reconstruction.train import main as pretrain
from transfer_learning.config import SegmentationConfig
from transfer_learning.task import SegmentationTask
from transfer_learning.train import main as train

SMALL = ["--width", "2", "--batch_size", "8", "--amp", "off", "--device", "cpu", "--lr", "0.002"]
CPU = torch.device("cpu")


@pytest.fixture
def run(pets):
    return lambda folder, *more: train([*SMALL, "--data_dir", str(pets), "--output_dir", str(folder), *more])


def test_a_plateau_halves_the_rate_each_time_patience_is_over():
    scores = [0.1, 0.2, 0.2, None, 0.19, 0.2, 0.2, 0.15, 0.3, 0.2]
    found = [plateau_factor(scores[:end], True, 0.5, 1) for end in range(len(scores) + 1)]
    # Two rows that are no better after 0.2 at the second, and again two.
    assert found == [1, 1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25]
    assert plateau_factor([1.0, 0.9, 0.9, 0.9], False, 0.1, 1) == pytest.approx(0.1)
    assert plateau_factor([1.0, 0.9, 0.9, 0.9], True, 0.1, 2) == pytest.approx(0.1)


def test_the_rate_falls_where_the_selected_score_stands_still(run, tmp_path, monkeypatch):
    validate = SegmentationTask.validate
    scores = iter([0.3, 0.3, 0.4, 0.4, 0.4, 0.4])
    monkeypatch.setattr(
        SegmentationTask, "validate", lambda self: {**validate(self), "mean_iou": 0.9, "pixel_accuracy": next(scores)}
    )
    flags = ["--schedule", "plateau", "--plateau_patience", "0", "--select", "pixel_accuracy"]
    assert run(tmp_path, "--max_steps", "6", "--val_every", "1", *flags) == 0
    assert [float(row["learning_rate"]) for row in rows_of(tmp_path)] == [0.002, 0.002, 0.001, 0.001, 0.0005, 0.00025]
    assert [float(row["pixel_accuracy"]) for row in rows_of(tmp_path)] == [0.3, 0.3, 0.4, 0.4, 0.4, 0.4]
    assert state_of(tmp_path)["best"] == {"score": 0.4, "epoch": 3}


@pytest.mark.parametrize(("name", "column"), [("mean_foreground_dice", "dice_mean_foreground"), ("mean_iou",) * 2])
def test_the_best_epoch_is_that_of_the_selected_score(run, tmp_path, monkeypatch, capsys, name, column):
    validate = SegmentationTask.validate
    scores = {"dice_mean_foreground": iter([0.3, 0.5, 0.4]), "mean_iou": iter([0.5, 0.3, 0.4])}
    monkeypatch.setattr(
        SegmentationTask, "validate", lambda self: {**validate(self), **{key: next(row) for key, row in scores.items()}}
    )
    assert run(tmp_path, "--max_steps", "3", "--val_every", "1", "--select", name) == 0
    assert f"best {column} 0.5000 at epoch {2 if column.startswith('dice') else 1} of 3" in capsys.readouterr().out
    assert "pixel_accuracy" not in rows_of(tmp_path)[0]


EVERYTHING = [
    *("--ema", "0.8", "--schedule", "plateau", "--plateau_patience", "0", "--select", "pixel_accuracy"),
    *("--hard_examples", "0.4", "--train_scales", "1,1.5", "--optimizer", "adam"),
    *("--loss", "0.5*focal + dice + 0.01*boundary + ohem"),
]


@pytest.mark.parametrize("stop", [5, pytest.param(8, marks=pytest.mark.all), pytest.param(6, marks=pytest.mark.all)])
@pytest.mark.parametrize(
    "length",
    [
        ("--max_steps", "10", "--val_every", "4"),
        pytest.param(("--epochs", "3", "--patience", "0"), marks=pytest.mark.all),
    ],
)
def test_a_stopped_run_goes_on_to_the_same_bits(run, tmp_path, monkeypatch, stop, length):
    monkeypatch.setattr(hard_examples, "LOOK_EVERY", 3)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert run(whole, *length, *EVERYTHING) == 0
    with stopped_at(stop):
        assert run(stopped, *length, "--save_every_steps", "1", *EVERYTHING) == 130
    assert state_of(stopped)["step"] == stop
    assert run(stopped, *length, *EVERYTHING) == 0
    assert rows_of(whole) == rows_of(stopped)
    best = "best_model.safetensors"
    assert (whole / best).read_bytes() == (stopped / best).read_bytes()
    one, other = state_of(whole), state_of(stopped)
    for part in ("model", "average", "carried"):
        assert one[part].keys() == other[part].keys()
        for name, tensor in one[part].items():
            assert tensor.nan_to_num(-1).equal(other[part][name].nan_to_num(-1)), (part, name)


@pytest.mark.parametrize("phase", ["reconstruction", "transfer_learning"])
def test_averaged_weights_are_what_is_scored_and_saved(phase, pets, tmp_path, monkeypatch):
    main, more = (train, []) if phase == "transfer_learning" else (pretrain, ["--perceptual_weight", "0"])
    updates = []
    update = Average.update
    monkeypatch.setattr(
        Average, "update", lambda self: (update(self), updates.append(copy.deepcopy(self._model.state_dict())))
    )
    for ema in ("0", "0.5"):
        flags = [*SMALL, *more, "--max_steps", "3", "--val_every", "3", "--save_every", "1", "--ema", ema]
        assert main([*flags, "--data_dir", str(pets), "--output_dir", str(tmp_path / ema)]) == 0
    plain, averaged = state_of(tmp_path / "0"), state_of(tmp_path / "0.5")
    saved = load_file(tmp_path / "0.5" / "best_model.safetensors")
    checkpoint = load_file(tmp_path / "0.5" / "checkpoints" / "epoch_1.safetensors")
    for name, tensor in averaged["model"].items():
        assert tensor.equal(plain["model"][name]), "training goes on from its own weights"
        expected = 0.5 * (0.5 * updates[0][name] + 0.5 * updates[1][name]) + 0.5 * updates[2][name]
        torch.testing.assert_close(saved[name], expected)
        assert saved[name].equal(checkpoint[name])
        assert saved[name].equal(averaged["average"][f"module.{name}"])
    assert len(updates) == 3
    assert rows_of(tmp_path / "0")[0]["val_loss"] != rows_of(tmp_path / "0.5")[0]["val_loss"]
    assert rows_of(tmp_path / "0")[0]["train_loss"] == rows_of(tmp_path / "0.5")[0]["train_loss"]


def test_buffers_are_averaged_too():
    inner = torch.nn.BatchNorm1d(2)
    outer = torch.nn.Sequential()
    outer.add_module("module", inner)
    average = Average(outer, 0.75)
    for mean in (1.0, 3.0):
        inner.running_mean.fill_(mean)
        average.update()
    with average.in_place():
        assert inner.running_mean.tolist() == [1.5, 1.5]
    assert inner.running_mean.tolist() == [3, 3]


def test_the_other_places_are_those_of_a_smaller_batch():
    groups = [np.arange(10, 25)]
    hard, plain = HardDraws(groups, 10, 1, False, 0.3, CPU), Draws(groups, 7, 1, False)
    assert hard.steps_per_pass == plain.steps_per_pass == 3
    for step in range(6):
        drawn, ordinary = hard.batch(step), plain.batch(step)
        assert hard.pictures_in(step) == len(drawn[0]) == len(ordinary[0]) + 3
        for column, expected in zip(drawn, ordinary, strict=True):
            assert column[:-3].tolist() == expected.tolist()
        assert set(drawn[1][-3:]) <= set(range(10, 25))
        assert drawn[2][-3:].tolist() == [HARD, HARD + 1, HARD + 2]  # no augmentation twice
        hard.note(torch.ones(len(drawn[1])))


def test_hard_pictures_are_drawn_in_proportion_to_their_loss():
    draws = HardDraws([np.arange(4)], 1000, 0, True, 0.5, CPU)
    draws.batch(0)
    draws.last = torch.tensor([1.0, 3.0, 0.0, torch.nan])  # the mean of the others, 4 / 3, where it is not known
    shown = Counter(draws.batch(0)[1][500:].tolist())
    assert [shown[number] / 500 for number in range(4)] == pytest.approx(
        np.array([1, 3, 0, 4 / 3]) / (16 / 3), abs=0.06
    )
    draws.last.zero_()
    assert len(Counter(draws.batch(0)[1][500:].tolist())) == 4


def test_the_loss_of_a_pictures_last_place_counts():
    draws = HardDraws([np.arange(3)], 9, 0, True, 0.3, CPU)
    _, drawn, _ = draws.batch(0)
    draws.note(torch.arange(9.0))
    assert draws.last.tolist() == [max(np.flatnonzero(drawn == number)) for number in range(3)]
    before = draws.looked_at.clone()
    draws.batch(1)
    assert draws.looked_at.isnan().all()
    assert before.isnan().all()
    draws.batch(hard_examples.LOOK_EVERY)
    assert draws.looked_at.equal(draws.last)


@pytest.mark.parametrize(
    ("part", "name", "message"),
    [
        ("carried", "last", "is of other pictures"),
        ("carried", "training_counts", "is of other pictures"),
        ("average", "module.head.weight", "the averaged weights in the state in"),
    ],
)
def test_what_a_state_carries_must_fit(run, tmp_path, capsys, part, name, message):
    flags = ["--val_every", "1", "--hard_examples", "0.5", "--ema", "0.9"]
    assert run(tmp_path, "--max_steps", "1", *flags) == 0
    state = state_of(tmp_path)
    state[part][name] = torch.ones(3, 7)
    del state["format_version"]
    save_state(tmp_path, state)
    capsys.readouterr()
    assert run(tmp_path, "--max_steps", "1", "--extend_to", "2", *flags) == 2
    assert message in capsys.readouterr().err


def test_a_row_of_before_goes_on(run, tmp_path):
    """A state from before training counted, averaged or carried anything."""
    assert run(tmp_path, "--max_steps", "1", "--val_every", "1") == 0
    state = {name: value for name, value in state_of(tmp_path).items() if name not in ("carried", "average")}
    for row in state["rows"]:
        del row["train_mean_iou"]
    del state["format_version"]
    save_state(tmp_path, state)
    assert run(tmp_path, "--max_steps", "1", "--val_every", "1", "--extend_to", "2") == 0
    assert [bool(row["train_mean_iou"]) for row in rows_of(tmp_path)] == [False, True]


def test_losses_of_pictures_reach_the_draws(run, tmp_path):
    assert run(tmp_path, "--max_steps", "5", "--val_every", "5", "--hard_examples", "0.5") == 0
    last = state_of(tmp_path)["carried"]["last"]
    known = last[~last.isnan()]
    assert len(known) > 8
    assert ((known > 0.3) & (known < 3)).all()  # cross-entropies of a network that knows next to nothing


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--hard_examples", "0.05"], "hard_examples 0.05 of --batch_size 8 are 0 pictures"),
        (["--hard_examples", "0.05"], "give --batch_size 20 or more"),
        (["--hard_examples", "1"], "hard_examples 1.0 is outside [0, 1)"),
        (["--ema", "1"], "ema 1.0 is outside [0, 1)"),
        (["--plateau_factor", "1", "--schedule", "plateau"], "plateau_factor 1.0 is outside (0, 1)"),
        (["--schedule", "plateau", "--patience", "6"], "give --patience 7 or more, or 0"),
        (["--train_scales", "1,big"], "train_scales 1,big: scales lie within 0.25 and 4, such as 0.75,1,1.25"),
        (
            ["--train_scales", "1,0.25"],
            "train_scales 0.25 makes pictures of 32x32 px, every side needs at least 33: give",
        ),
    ],
)
def test_what_cannot_work_is_refused(run, tmp_path, capsys, flags, message):
    assert run(tmp_path / "run", *flags) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_settings_of_a_plateau_have_no_say_without_one():
    for config_type in (ReconstructionConfig, SegmentationConfig):
        assert config_type().idle()["plateau_patience"] == "without --schedule plateau"
        assert "plateau_factor" not in config_type(schedule="plateau").idle()
    with pytest.raises(UserError, match="lowers the rate"):
        ReconstructionConfig(schedule="plateau", patience=3)
    assert SegmentationConfig(schedule="plateau", patience=3, max_steps=9).patience == 3

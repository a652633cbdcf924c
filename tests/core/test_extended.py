"""Finished runs made longer, and runs that start from the weights of another."""

import json
from hashlib import sha256

import pytest
import torch
from run_folders import rows_of, state_of

from core.run.schedule import learning_rate_factor
from core.weights import load_weights
from reconstruction.task import ReconstructionTask
from reconstruction.train import main as train_autoencoder
from transfer_learning.task import SegmentationTask
from transfer_learning.train import main as train_segmentation

SMALL = ["--width", "2", "--batch_size", "8", "--amp", "off", "--device", "cpu", "--lr", "0.002"]
PHASES = {
    "reconstruction": (train_autoencoder, ReconstructionTask, ["--perceptual_weight", "0"]),
    "transfer_learning": (train_segmentation, SegmentationTask, ["--optimizer", "adamw"]),
}


# What is extended or begun from weights is the loop, which both phases share: one in `make test`, both in the rest.
@pytest.fixture(params=["transfer_learning", pytest.param("reconstruction", marks=pytest.mark.all)])
def phase(request, pets):
    main, task, flags = PHASES[request.param]
    common = [*SMALL, *flags, "--data_dir", str(pets)]
    return lambda folder, *more: main([*common, "--output_dir", str(folder), *more]), task


def test_a_constant_rate_extended_is_the_long_run_bit_for_bit(phase, tmp_path):
    """The schedule alone is recomputed: without one, nothing tells the two apart."""
    train, _ = phase
    flags = ["--schedule", "constant", "--val_every", "3"]
    assert train(tmp_path / "long", *flags, "--max_steps", "9") == 0
    assert train(tmp_path / "short", *flags, "--max_steps", "6") == 0
    assert train(tmp_path / "short", *flags, "--max_steps", "6", "--extend_to", "9") == 0
    assert rows_of(tmp_path / "long") == rows_of(tmp_path / "short")
    states = [state_of(tmp_path / name) for name in ("long", "short")]
    for name, tensor in states[0]["model"].items():
        assert torch.equal(tensor, states[1]["model"][name])


def test_the_schedule_goes_on_over_the_new_length(phase, tmp_path, capsys):
    train, _ = phase
    run = ["--schedule", "cosine", "--epochs", "2"]
    assert train(tmp_path, *run) == 0
    before = rows_of(tmp_path)
    assert train(tmp_path, *run, "--extend_to", "4") == 0
    said = capsys.readouterr().out
    assert "note: extended to 4 epochs: the schedule (cosine) is recomputed over the new length" in said
    rows = rows_of(tmp_path)
    assert rows[:2] == before
    steps = state_of(tmp_path)["step"]
    expected = [0.002 * learning_rate_factor(step, steps, "cosine") for step in (steps * 3 // 4 - 1, steps - 1)]
    assert [float(row["learning_rate"]) for row in rows[2:]] == pytest.approx(expected)
    assert float(rows[2]["learning_rate"]) > float(rows[1]["learning_rate"])
    assert json.loads((tmp_path / "training_config.json").read_text())["identity"]["extend_to"] == 4
    # Once more it is finished; longer still it goes on; shorter it is another run.
    assert train(tmp_path, *run, "--extend_to", "4") == 0
    assert "Nothing to do" in capsys.readouterr().out
    assert train(tmp_path, *run, "--extend_to", "5") == 0
    assert len(rows_of(tmp_path)) == 5
    assert train(tmp_path, *run, "--extend_to", "3") == 2
    assert "extend_to 5 there, 3 now" in capsys.readouterr().err
    assert train(tmp_path, *run) == 2
    assert train(tmp_path, *run, "--extend_to", "6", "--seed", "1") == 2
    assert "seed 42 there, 1 now" in capsys.readouterr().err
    assert len(rows_of(tmp_path)) == 5


def test_an_extension_that_is_stopped_goes_on_to_the_same_bits(phase, tmp_path, monkeypatch):
    train, task = phase
    run = ["--epochs", "1", "--schedule", "cosine"]
    for name in ("whole", "stopped"):
        assert train(tmp_path / name, *run) == 0
    assert train(tmp_path / "whole", *run, "--extend_to", "3") == 0
    losses = task.training_losses

    def interrupted(self, step):
        if len(calls := calls_of.setdefault(0, [])) == 1:
            raise KeyboardInterrupt
        calls.append(step)
        return losses(self, step)

    calls_of: dict[int, list[int]] = {}
    with monkeypatch.context() as patch:
        patch.setattr(task, "training_losses", interrupted)
        assert train(tmp_path / "stopped", *run, "--extend_to", "3") == 130
    assert train(tmp_path / "stopped", *run, "--extend_to", "3") == 0
    assert rows_of(tmp_path / "whole") == rows_of(tmp_path / "stopped")
    states = [state_of(tmp_path / name) for name in ("whole", "stopped")]
    for name, tensor in states[0]["model"].items():
        assert torch.equal(tensor, states[1]["model"][name])


def test_a_run_that_ended_within_an_epoch_can_be_extended_to_its_end(phase, tmp_path):
    train, _ = phase
    run = ["--max_steps", "7", "--val_every", "3"]
    assert train(tmp_path, *run) == 0
    assert train(tmp_path, *run, "--extend_to", "8") == 0
    assert [row["epoch"] for row in rows_of(tmp_path)] == ["1", "2", "3", "4"]
    assert state_of(tmp_path)["step"] == 8
    assert state_of(tmp_path)["finished"]


def test_patience_counts_anew(phase, tmp_path, monkeypatch):
    train, task = phase
    validate = task.validate
    monkeypatch.setattr(task, "validate", lambda self: {**validate(self), self.select: 0.5})  # never better
    run = ["--epochs", "5", "--patience", "2"]
    assert train(tmp_path, *run) == 0
    assert len(rows_of(tmp_path)) == 3
    assert train(tmp_path, *run, "--extend_to", "9") == 0
    assert len(rows_of(tmp_path)) == 5


def test_what_cannot_be_extended_is_refused(phase, tmp_path, capsys, monkeypatch):
    train, task = phase
    assert train(tmp_path, "--epochs", "2", "--extend_to", "4") == 2
    assert "holds no run that --extend_to could make longer" in capsys.readouterr().err
    assert train(tmp_path, "--epochs", "2", "--extend_to", "2") == 2
    assert "extend_to 2 must be at least 3: more than --epochs" in capsys.readouterr().err
    assert train(tmp_path, "--max_steps", "9", "--extend_to", "9") == 2
    assert "extend_to 9 must be at least 10: more than --max_steps" in capsys.readouterr().err

    def interrupted(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(task, "validate", interrupted)
        assert train(tmp_path, "--epochs", "2") == 130
    before = (tmp_path / "training_config.json").read_bytes()
    assert train(tmp_path, "--epochs", "2", "--extend_to", "4") == 2
    assert "holds a run that is not finished" in capsys.readouterr().err
    assert (tmp_path / "training_config.json").read_bytes() == before


@pytest.mark.all
def test_a_run_starts_from_the_weights_of_another(phase, tmp_path, capsys):
    train, _ = phase
    assert train(tmp_path / "first", "--epochs", "2") == 0
    weights = tmp_path / "first/best_model.safetensors"
    flags = ["--max_steps", "1", "--lr", "1e-12", "--weight_decay", "0", "--init_weights", str(weights)]
    assert train(tmp_path / "second", *flags) == 0
    for name, tensor in load_weights(weights)[0].items():
        assert torch.allclose(state_of(tmp_path / "second")["model"][name], tensor, atol=1e-9)
    identity = json.loads((tmp_path / "second/training_config.json").read_text())["identity"]
    assert identity["init_weights_sha256"] == sha256(weights.read_bytes()).hexdigest()
    assert "init_weights" not in identity  # where they lie makes no other run
    assert "init_weights_sha256" not in load_weights(weights)[1].config
    # Other weights in the same folder are another run.
    assert train(tmp_path / "third", "--epochs", "1", "--seed", "5") == 0
    flags[-1] = str(tmp_path / "third/best_model.safetensors")
    assert train(tmp_path / "second", *flags) == 2
    assert "init_weights_sha256" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--width", "3"], "is of another network: width 2 there, 3 here"),
        (["--normalisation", "unit"], "is of another network: normalisation 'imagenet' there, 'unit' here"),
        (
            ["--encoder", "tf_efficientnet_lite0", "--encoder_weights", "imagenet", "--normalisation", "unit"],
            "--init_weights replaces --encoder_weights imagenet",
        ),
    ],
)
def test_weights_of_another_network_are_refused(phase, tmp_path, capsys, flags, message):
    train, _ = phase
    assert train(tmp_path / "first", "--max_steps", "1") == 0
    weights = str(tmp_path / "first/best_model.safetensors")
    assert train(tmp_path / "second", "--max_steps", "1", "--init_weights", weights, *flags) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "second").exists()


def test_weights_of_the_other_phase_or_beside_an_encoder_are_refused(pets, tmp_path, capsys):
    places = ["--data_dir", str(pets), "--output_dir"]
    first = ["--perceptual_weight", "0", "--max_steps", "1", *places, str(tmp_path / "first")]
    assert train_autoencoder([*SMALL, *first]) == 0
    weights = str(tmp_path / "first/best_model.safetensors")
    second = [*SMALL, "--max_steps", "1", "--init_weights", weights, *places, str(tmp_path / "second")]
    assert train_segmentation(second) == 2
    assert "comes from reconstruction, this run is transfer_learning" in capsys.readouterr().err
    assert train_segmentation([*second, "--pretrained_encoder", weights]) == 2
    assert "--init_weights replaces --pretrained_encoder: leave one of them out" in capsys.readouterr().err


def test_weights_for_other_classes_are_refused(pets, rectangles, tmp_path, capsys):
    small = [*SMALL, "--max_steps", "1"]
    first = ["--data_dir", str(rectangles), "--output_dir", str(tmp_path / "first")]
    assert train_segmentation([*small, *first]) == 0
    second = ["--data_dir", str(pets), "--output_dir", str(tmp_path / "second")]
    weights = ["--init_weights", str(tmp_path / "first/best_model.safetensors")]
    assert train_segmentation([*small, *second, *weights]) == 2
    said = capsys.readouterr().err
    assert "in_channels 1 there, 3 here" in said or "ground, tabby, collie there, background, cat, dog here" in said

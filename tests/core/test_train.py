"""Both phases end to end on drawn pictures: what a run leaves, how it goes on, what it refuses."""

import json
import shutil
import signal

import pytest
import torch
from run_folders import rows_of

from core.headers.header import header_content
from core.machine.choices import Choice
from core.machine.machine import make_machine
from core.run.folder import RunFolder
from core.run.sampling import Draws
from data.opened import open_data
from reconstruction.config import ReconstructionConfig
from reconstruction.task import ReconstructionTask
from reconstruction.train import main as train_autoencoder
from transfer_learning.task import SegmentationTask
from transfer_learning.train import main as train_segmentation

SMALL = ["--width", "2", "--batch_size", "8", "--amp", "off", "--device", "cpu", "--lr", "0.002"]
PHASES = {
    "reconstruction": (train_autoencoder, ReconstructionTask, ["--perceptual_weight", "0", *SMALL]),
    "transfer_learning": (
        train_segmentation,
        SegmentationTask,
        [*SMALL, "--optimizer", "adamw", "--schedule", "constant"],
    ),
}
COLUMNS = {
    ReconstructionTask: "epoch,train_loss,val_loss,val_mse,val_psnr,val_ssim,learning_rate,epoch_time,"
    "train_mse,train_perceptual,train_ssim",
    SegmentationTask: "epoch,train_loss,val_loss,dice_background,dice_cat,dice_dog,dice_mean_foreground,mean_iou,"
    "learning_rate,epoch_time,train_mean_iou",
}


@pytest.fixture(params=PHASES)
def phase(request, pets):
    main, task, flags = PHASES[request.param]
    return lambda folder, *more: main([*flags, "--data_dir", str(pets), "--output_dir", str(folder), *more]), task


def test_a_run_leaves_what_the_design_says(phase, tmp_path, pets):
    train, task = phase
    assert train(tmp_path, "--epochs", "2", "--save_every", "2") == 0
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found - {".lock", f".{task.__module__.split('.')[0]}.train.done"} == {
        "training_config.json",
        "training_log.csv",
        "best_model.safetensors",
        "metrics.json",
        "state.ckpt",
        "state.previous.ckpt",
        "checkpoints/epoch_2.safetensors",
        "figures/epoch_0002.png",
    }
    header = (tmp_path / "training_log.csv").read_text().splitlines()[0]
    assert header == COLUMNS[task]
    assert len(rows_of(tmp_path)) == 2
    config = json.loads((tmp_path / "training_config.json").read_text())
    assert config["settings"]["epochs"] == 2
    assert config["identity"]["data_fingerprint"] == json.loads((pets / "manifest.json").read_text())["fingerprint"]
    assert str(tmp_path) not in json.dumps(header_content(tmp_path / "best_model.safetensors"))


def test_a_stopped_run_goes_on_to_the_same_bits(phase, tmp_path, monkeypatch, capsys):
    train, task = phase
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert train(whole, "--epochs", "3") == 0
    validate = task.validate
    calls = []

    def interrupted(self):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return validate(self)

    monkeypatch.setattr(task, "validate", interrupted)
    assert train(stopped, "--epochs", "3") == 130
    assert len(rows_of(stopped)) == 1
    assert train(stopped, "--epochs", "3") == 0
    assert "going on from epoch 2 of 3" in capsys.readouterr().out
    assert rows_of(whole) == rows_of(stopped)
    best = "best_model.safetensors"
    assert (whole / best).read_bytes() == (stopped / best).read_bytes()
    states = [torch.load(folder / "state.ckpt", weights_only=True) for folder in (whole, stopped)]
    for name, tensor in states[0]["model"].items():
        assert torch.equal(tensor, states[1]["model"][name])


EPOCHS, STEPS = ["--epochs", "3"], ["--max_steps", "9", "--val_every", "4"]


# Each signal and each way to say a length: in `make test-all` all pairs of them.
@pytest.mark.parametrize(
    ("number", "code", "length"),
    [
        (signal.SIGINT, 130, EPOCHS),
        (signal.SIGTERM, 143, STEPS),
        pytest.param(signal.SIGINT, 130, STEPS, marks=pytest.mark.all),
        pytest.param(signal.SIGTERM, 143, EPOCHS, marks=pytest.mark.all),
    ],
)
def test_a_signal_within_an_epoch_saves_it_in_its_middle(phase, tmp_path, monkeypatch, capsys, number, code, length):
    train, task = phase
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert train(whole, *length) == 0
    losses = task.training_losses

    def interrupted(self, step):
        if step == 5:
            signal.raise_signal(number)
        return losses(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(task, "training_losses", interrupted)
        assert train(stopped, *length) == code
    state = torch.load(stopped / "state.ckpt", weights_only=True)
    assert state["step"] == 6
    assert state["sums"]["collected"] > 0
    assert "saved at step 6 of" in capsys.readouterr().err
    assert train(stopped, *length) == 0
    assert rows_of(whole) == rows_of(stopped)
    states = [torch.load(folder / "state.ckpt", weights_only=True) for folder in (whole, stopped)]
    for name, tensor in states[0]["model"].items():
        assert torch.equal(tensor, states[1]["model"][name])


def test_a_picture_that_cannot_be_drawn_costs_no_row(phase, tmp_path, monkeypatch, capsys):
    train, task = phase
    whole, plain = tmp_path / "whole", tmp_path / "plain"
    assert train(plain, "--epochs", "2") == 0
    saved = []

    def failing(self, path):
        saved.append(torch.load(whole / "state.ckpt", weights_only=True)["rows"])
        raise ValueError("no\nink")

    monkeypatch.setattr(task, "save_pictures", failing)
    assert train(whole, "--epochs", "2", "--save_every", "1") == 0
    assert [len(rows) for rows in saved] == [1, 2]  # the state was there before the picture
    assert "note: epoch_0002.png could not be drawn (ValueError: no ink); training goes on" in capsys.readouterr().out
    assert rows_of(whole) == rows_of(plain)
    assert (whole / "checkpoints/epoch_2.safetensors").exists()


def test_a_step_makes_its_draw_once(phase, tmp_path, monkeypatch):
    train, _ = phase
    batch, steps = Draws.batch, []
    monkeypatch.setattr(Draws, "batch", lambda self, step: steps.append(step) or batch(self, step))
    assert train(tmp_path, "--max_steps", "5", "--val_every", "5") == 0
    assert steps == [0, 1, 2, 3, 4]


def test_a_finished_run_says_so_and_stays_as_it_is(phase, tmp_path, capsys):
    train, _ = phase

    def times() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.suffix in (".json", ".ckpt")}

    assert train(tmp_path, "--epochs", "1") == 0
    before = times()
    capsys.readouterr()
    assert train(tmp_path, "--epochs", "1") == 0
    assert "is finished: best" in capsys.readouterr().out
    assert times() == before


def test_a_state_without_its_settings_is_refused(phase, tmp_path, capsys):
    train, _ = phase
    assert train(tmp_path, "--epochs", "1") == 0
    (tmp_path / "training_config.json").unlink()
    assert train(tmp_path, "--epochs", "1") == 2
    assert "holds a state but no training_config.json" in capsys.readouterr().err


def test_other_settings_in_the_same_folder_are_refused(phase, tmp_path, capsys):
    train, _ = phase
    assert train(tmp_path, "--epochs", "1") == 0
    assert train(tmp_path, "--epochs", "1", "--seed", "7") == 2
    assert "seed 42 there, 7 now" in capsys.readouterr().err


def test_a_setting_that_the_earlier_version_lacked_counts_as_its_default(phase, tmp_path, capsys):
    train, _ = phase
    assert train(tmp_path, "--epochs", "1") == 0
    file = tmp_path / "training_config.json"
    content = json.loads(file.read_text())
    for name in ("warmup_steps", "memory_format", "kernels"):
        del content["identity"][name]
    file.write_text(json.dumps(content))
    assert train(tmp_path, "--epochs", "1") == 0
    assert "Nothing to do" in capsys.readouterr().out
    assert json.loads(file.read_text())["identity"]["warmup_steps"] == 0  # file and weights say the same
    assert train(tmp_path, "--epochs", "1", "--warmup_steps", "3") == 2
    assert "warmup_steps 0 there, 3 now" in capsys.readouterr().err


def test_a_run_that_goes_on_keeps_what_it_began_with(phase, tmp_path, monkeypatch, capsys):
    train, _ = phase
    for number, begun in enumerate(("torch", "own")):
        other = "own" if begun == "torch" else "torch"
        folder = tmp_path / begun
        # A processor on which the one is fastest, then one on which the other is.
        monkeypatch.setattr("core.machine.machine.choice", lambda *_, now=begun: Choice("contiguous", now))
        assert train(folder, "--epochs", "1") == 0
        monkeypatch.setattr("core.machine.machine.choice", lambda *_, now=other: Choice("channels_last", now))
        assert train(folder, "--epochs", "1", "--extend_to", "2") == 0, number
        identity = json.loads((folder / "training_config.json").read_text())["identity"]
        assert (identity["kernels"], identity["memory_format"]) == (begun, "contiguous")
        capsys.readouterr()
        assert train(folder, "--epochs", "1", "--extend_to", "2", "--kernels", other) == 2
        assert f"kernels '{begun}' there, '{other}' now" in capsys.readouterr().err


def test_a_folder_in_use_is_refused(phase, tmp_path, capsys):
    train, _ = phase
    with RunFolder(tmp_path, {"identity": {}}, []):
        assert train(tmp_path, "--epochs", "1") == 2
    assert "in use by another run" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["cut", "altered"])
def test_a_damaged_state_falls_back_to_the_one_before(phase, tmp_path, capsys, damage):
    train, _ = phase
    assert train(tmp_path, "--epochs", "2") == 0
    rows = rows_of(tmp_path)
    state = tmp_path / "state.ckpt"
    content = bytearray(state.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    else:
        content[len(content) // 2] ^= 1
    state.write_bytes(content)
    assert train(tmp_path, "--epochs", "2") == 0
    assert "state.ckpt is damaged; going on from state.previous.ckpt" in capsys.readouterr().out
    assert rows_of(tmp_path) == rows


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_best_weights_that_are_gone_or_cut_are_named(phase, tmp_path, capsys, damage):
    train, _ = phase
    assert train(tmp_path, "--max_steps", "1", "--val_every", "1") == 0
    weights = tmp_path / "best_model.safetensors"
    whole, state = weights.read_bytes(), (tmp_path / "state.ckpt").read_bytes()
    weights.unlink() if damage == "gone" else weights.write_bytes(whole[:-5])
    for more in ((), ("--extend_to", "2")):
        assert train(tmp_path, "--max_steps", "1", "--val_every", "1", *more) == 2
        assert "best_model.safetensors is " in capsys.readouterr().err
    assert (tmp_path / "state.ckpt").read_bytes() == state
    weights.write_bytes(whole)
    assert train(tmp_path, "--max_steps", "1", "--val_every", "1") == 0


def test_weight_decay_does_not_shrink_layers_with_tiny_gradients(pets):
    config = ReconstructionConfig(width=2, perceptual_weight=0, lr=0.01, weight_decay=1e-3, device="cpu")
    splits = open_data(pets).splits("Train", "Val")
    task = ReconstructionTask(config, *splits, make_machine(config))
    before = [parameter.detach().clone() for parameter in task.model.parameters()]
    for _ in range(10):
        for parameter in task.model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        task.optimizer.step()
    for parameter, first in zip(task.model.parameters(), before, strict=True):
        assert torch.allclose(parameter, first * (1 - 0.01 * 1e-3) ** 10, rtol=1e-5)


def test_max_steps_fills_every_batch_and_never_stops_early(phase, tmp_path):
    train, _ = phase
    assert train(tmp_path, "--max_steps", "7", "--val_every", "3", "--patience", "1", "--lr", "1e-9") == 0
    assert len(rows_of(tmp_path)) == 3


def test_early_stopping_stops(phase, tmp_path, monkeypatch):
    train, task = phase
    validate = task.validate

    def never_better(self):
        return {**validate(self), self.select: 0.5}

    monkeypatch.setattr(task, "validate", never_better)
    assert train(tmp_path, "--epochs", "9", "--patience", "2") == 0
    assert len(rows_of(tmp_path)) == 3


def test_training_moves_the_loss(phase, tmp_path):
    train, _ = phase
    assert train(tmp_path, "--epochs", "16", "--lr", "0.02") == 0
    losses = [float(row["train_loss"]) for row in rows_of(tmp_path)]
    assert losses[-1] < 0.95 * losses[0]  # 0.25 and 0.83 here: rounding cannot eat the margin


def test_bf16_on_a_cpu_that_nobody_measured_is_contiguous_unless_asked_otherwise(phase, tmp_path, monkeypatch):
    monkeypatch.setattr("core.machine.choices.measured", lambda *_: None)
    train, _ = phase
    for asked, found in (("auto", "contiguous"), ("channels_last", "channels_last")):
        folder = tmp_path / asked
        assert train(folder, "--max_steps", "1", "--amp", "bf16", "--memory_format", asked) == 0
        assert json.loads((folder / "training_config.json").read_text())["identity"]["memory_format"] == found


def test_a_loss_that_is_not_finite_names_step_and_settings(phase, tmp_path, capsys, monkeypatch):
    train, task = phase
    losses = task.training_losses

    def broken(self, step):
        result = losses(self, step)
        return {**result, "loss": result["loss"] * (float("nan") if step == 4 else 1)}

    monkeypatch.setattr(task, "training_losses", broken)
    assert train(tmp_path, "--epochs", "9") == 1
    error = capsys.readouterr().err
    assert "loss nan" in error
    assert "not finite at step 4" in error
    assert "lr 0.002" in error


def test_a_gradient_that_is_not_finite_never_reaches_state_or_best(phase, tmp_path, capsys, monkeypatch):
    train, task = phase
    assert train(tmp_path, "--epochs", "1") == 0
    shutil.rmtree(tmp_path)
    losses = task.training_losses

    def broken(self, step):
        result = losses(self, step)
        if step == 2 * self.draws.steps_per_pass - 1:  # the last of the second epoch, after which nothing is trained
            weight = next(self.model.parameters())
            result["loss"] = result["loss"] + (weight - weight.detach()).sum().sqrt()  # 0, with an infinite slope
        return result

    monkeypatch.setattr(task, "training_losses", broken)
    assert train(tmp_path, "--epochs", "2") == 1
    assert "gradient_norm" in capsys.readouterr().err
    assert len(rows_of(tmp_path)) == 1
    state = torch.load(tmp_path / "state.ckpt", weights_only=True)
    assert all(tensor.isfinite().all() for tensor in state["model"].values())

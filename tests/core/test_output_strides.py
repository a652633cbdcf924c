"""Encoders by family: features at the strides that are asked for, or a refusal that says which can."""

import pytest
import timm
import torch
from encoder_families import DILATES, FAMILIES, MORE_FAMILIES, SMALL
from torch import nn

from core.errors import UserError
from core.networks.encoders import make_encoder


@pytest.mark.parametrize("output_stride", [32, 16, 8])
@pytest.mark.parametrize("name", [*FAMILIES, *(pytest.param(name, marks=pytest.mark.all) for name in MORE_FAMILIES)])
def test_encoders_keep_their_contract_or_are_refused_in_a_line(name, output_stride):
    if output_stride < 32 and not DILATES[name]:
        with pytest.raises(UserError, match=f"{name}.*1/{output_stride} of the side.*mobilenetv2_100.*which can"):
            make_encoder(name, 2, output_stride=output_stride)
        return
    encoder = make_encoder(name, 2, output_stride=output_stride).eval()
    assert encoder.strides == tuple(min(2**stage, output_stride) for stage in range(6))
    features = encoder(torch.rand(1, 3, 64, 96))
    assert [tuple(feature.shape) for feature in features] == [
        (1, channels, 64 // stride, 96 // stride)
        for channels, stride in zip(encoder.channels, encoder.strides, strict=True)
    ]
    assert all(encoder.channels[3:])
    assert sum(map(len, encoder.parameter_stages())) == len(list(encoder.parameters()))
    assert encoder(torch.rand(1, 3, 45, 33))[-1].shape[1] == encoder.channels[-1]


@pytest.mark.parametrize("name", ["unet", SMALL])
def test_weights_are_the_same_whatever_the_output_stride(name):
    """And so are the features down to it, which see nothing of what is dilated."""
    torch.manual_seed(0)
    whole, dilated = (make_encoder(name, 4, output_stride=stride).eval() for stride in (32, 8))
    dilated.load_state_dict(whole.state_dict())
    pictures = torch.rand(1, 3, 64, 64)
    for theirs, ours in zip(whole(pictures)[:3], dilated(pictures)[:3], strict=True):
        assert torch.equal(theirs, ours)


def test_a_dilated_stage_computes_at_every_place_what_a_strided_one_computes_at_some():
    """The hole algorithm: at every second place the dilated stages of our own encoder say what the strided ones say.

    Without norms, whose statistics are over other places.
    """
    torch.manual_seed(0)
    whole, dilated = (make_encoder("unet", 2, output_stride=stride).eval() for stride in (32, 16))
    dilated.load_state_dict(whole.state_dict())
    for encoder in (whole, dilated):
        for stage in encoder.stages:
            stage.norm1, stage.norm2 = nn.Identity(), nn.Identity()
    pictures = torch.rand(1, 3, 256, 256)
    strided, holes = whole(pictures)[-1], dilated(pictures)[-1]
    torch.testing.assert_close(holes[..., ::2, ::2], strided)


def test_other_channels_than_colours_get_a_first_convolution_of_their_own():
    encoder = make_encoder(SMALL, 2, in_channels=5)
    assert encoder(torch.rand(2, 5, 64, 64))[-1].shape == (2, encoder.channels[-1], 2, 2)


@pytest.mark.all
def test_a_batch_norm_of_one_place_and_one_picture_is_refused_in_a_line():
    encoder = make_encoder("densenet121", 2).train()
    assert encoder(torch.rand(2, 3, 45, 33))[-1].shape[-2:] == (1, 1)
    with pytest.raises(UserError, match=r"one picture: give another --batch_size.*larger pictures$"):
        encoder(torch.rand(1, 3, 45, 33))


@pytest.mark.parametrize(
    "name", ["vit_tiny_patch16_224", pytest.param("vit_small_patch14_dinov2", marks=pytest.mark.all)]
)
def test_transformers_have_features_at_stride_16_alone(name):
    encoder = make_encoder(name, 2).eval()
    assert encoder.strides == (1, 2, 4, 8, 16, 16)
    *finer, deepest = encoder(torch.rand(1, 3, 45, 70))
    assert deepest.shape == (1, encoder.channels[-1], 3, 5)
    assert [tuple(one.shape) for one in finer] == [
        *((1, 0, 45, 70), (1, 0, 23, 35), (1, 0, 12, 18), (1, 0, 6, 9), (1, 0, 3, 5))
    ]
    stages = encoder.parameter_stages()
    assert len(stages) == 12
    assert {id(parameter) for stage in stages for parameter in stage} == set(map(id, encoder.parameters()))
    with pytest.raises(UserError, match="features stand at stride 16"):
        make_encoder(name, 2, output_stride=8)


def test_a_transformers_features_are_timms():
    torch.manual_seed(0)
    encoder = make_encoder("vit_tiny_patch16_224", 2).eval()
    theirs = timm.create_model("vit_tiny_patch16_224", pretrained=False, num_classes=0).eval()
    theirs.load_state_dict(encoder.network.state_dict())
    pictures = torch.rand(1, 3, 224, 224)
    tokens = theirs.forward_features(pictures)[:, 1:]
    torch.testing.assert_close(encoder(pictures)[-1].flatten(2).transpose(1, 2), tokens)

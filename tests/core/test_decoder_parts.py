"""Decoders by hand: what their settings allow, what their parts compute, how sides are padded and cut."""

import re
from pathlib import Path

import pytest
import torch
from segmentation_models_pytorch.decoders.pspnet.decoder import PSPDecoder
from torch import nn

from core.errors import UserError
from core.networks.decoders import DECODERS, Plan
from core.networks.decoding import smp
from core.networks.decoding.convolutional import BatchNorm, SegNet
from core.networks.decoding.plain import FCN
from core.networks.decoding.pyramid import OverPyramid
from core.networks.decoding.sizes import padded, to_picture
from core.networks.decoding.smp import Places, SMPDecoder
from core.networks.network_config import NetworkConfig
from core.networks.unet import count_parameters
from transfer_learning.network import SegmentationUNet


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decoder": "deeplabv3plus", "output_stride": 32}, "deeplabv3plus takes --output_stride 16 or 8, not 32"),
        ({"decoder": "fpn", "output_stride": 8}, "fpn takes --output_stride 32, not 8, which unet, linear.* take"),
        ({"decoder": "fpn", "attention": "scse"}, "--decoder unet, unet_transposed, unetplusplus; with fpn take cbam"),
        ({"decoder": "linear", "attention": "self"}, "leave out --attention self"),
        ({"decoder_channels": ()}, "0 numbers: give one to 5"),
        ({"decoder_channels": (8,) * 6}, "6 numbers: give one to 5"),
        ({"decoder_channels": (8, 0)}, "decoder_channels 0 must lie between 1"),
        ({"atrous_rates": (1, 2, -3)}, "atrous_rates -3 must lie between 1"),
        ({"bottleneck_channels": 10**9}, "bottleneck_channels 1000000000 must lie between 0"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(settings, message):
    with pytest.raises(UserError, match=message):
        NetworkConfig(**settings)


def test_too_narrow_an_encoder_is_refused():
    with pytest.raises(UserError, match="too few features for --decoder linknet: give --width 8"):
        SegmentationUNet(3, 1, encoder="unet", decoder="linknet")


def test_the_exercises_network_by_hand():
    """MobileNetV2 with its last convolution (2.224 M) and five transposed ones of 3x3: 5.57 M; 2.92 M without it."""
    steps = ((1280, 256), (256, 128), (128, 64), (64, 32), (32, 32))
    decoder = sum(9 * before * after + 2 * after for before, after in steps)
    literal = SegmentationUNet(23, encoder="mobilenetv2_100", decoder="transposed", bottleneck_channels=1280)
    assert count_parameters(literal) == 2_223_872 + decoder + 33 * 23
    assert round((2_223_872 + decoder) / 1e6, 2) == 5.57
    assert count_parameters(SegmentationUNet(23, encoder="mobilenetv2_100", decoder="transposed")) < 5e6


def test_240_px_are_8_places_that_become_256():
    model = SegmentationUNet(3, encoder="mobilenetv2_035", decoder="transposed").eval()
    features = model.encoder(torch.rand(1, 3, 240, 240))
    assert features[-1].shape[-2:] == (8, 8)
    assert model.decoder(features).shape[-2:] == (256, 256)
    assert model(torch.rand(1, 3, 240, 240)).shape == (1, 3, 240, 240)


def test_fcn_sums_three_scores_by_hand():
    decoder = FCN((1, 1, 1, 32, 64, 64), 3)
    for score in decoder.scores:
        nn.init.ones_(score.weight)
        nn.init.zeros_(score.bias)
    eighth, sixteenth, deepest = torch.rand(1, 32, 8, 8), torch.full((1, 64, 4, 4), 2.0), torch.full((1, 64, 2, 2), 3.0)
    found = decoder([torch.zeros(1)] * 3 + [eighth, sixteenth, deepest])
    torch.testing.assert_close(found, (eighth.sum(1, keepdim=True) + 64 * 5).expand(-1, 3, -1, -1))


def test_segnet_puts_values_back_where_maxima_were():
    """Without its convolutions each value stands at the place of the maximum of its 2x2, zeros stand at the others."""
    decoder = SegNet((1,) * 6, (1, 2, 4, 8, 16, 32))
    for stage in decoder.stages:
        for layer in range(len(stage)):
            stage[layer] = nn.Identity()
    fine = torch.arange(32.0 * 32).reshape(1, 1, 32, 32)
    features = [fine[..., :side, :side] for side in (32, 16, 8, 4, 2)]
    found = decoder([*features, torch.full((1, 1, 1, 1), 7.0)])
    expected = torch.zeros(1, 1, 32, 32)
    expected[..., -1, -1] = 7.0
    assert torch.equal(found, expected)


def test_features_of_any_size_are_padded_and_scores_cut_again():
    features = [torch.ones(1, 1, 45, 33), torch.ones(1, 0, 23, 17), torch.ones(1, 2, 12, 9)]
    found = padded(features, (1, 2, 4), 32)
    assert [tuple(one.shape) for one in found] == [(1, 1, 64, 64), (1, 0, 32, 32), (1, 2, 16, 16)]
    assert torch.equal(found[2][..., :12, :9], features[2])
    assert found[2].sum() == features[2].sum()
    columns = torch.arange(64.0).expand(1, 1, 64, 64)
    assert torch.equal(to_picture(columns, (45, 33), 32), columns[..., :45, :33])
    assert to_picture(columns, (64, 64)) is columns
    ramp = to_picture((torch.arange(16.0) * 4 + 1.5).expand(1, 1, 16, 16), (45, 33), 32)  # a quarter of the columns
    torch.testing.assert_close(ramp[..., 2:], columns[..., :45, 2:33])


def test_a_batch_norm_of_one_value_takes_the_running_statistics():
    norm = BatchNorm(2).train()
    norm.running_mean += torch.tensor([1.0, 2.0])
    value = torch.tensor([3.0, 5.0]).view(1, 2, 1, 1)
    torch.testing.assert_close(norm(value).flatten(), torch.tensor([2.0, 3.0]), rtol=1e-4, atol=0)
    assert norm.num_batches_tracked == 0
    norm(torch.rand(2, 2, 1, 1))
    assert norm.num_batches_tracked == 1


@pytest.mark.parametrize("sides", [(2, 2), (6, 12), (7, 11), (1, 5)])
@pytest.mark.parametrize("count", [2, 3, 6])
def test_places_are_those_of_adaptive_pooling(count, sides):
    features = torch.rand(2, 3, *sides)
    torch.testing.assert_close(Places(count)(features), nn.AdaptiveAvgPool2d(count)(features))


def test_pooled_places_come_back_as_the_library_has_them():
    torch.manual_seed(0)
    theirs = PSPDecoder((8,) * 6, out_channels=4, dropout=0.0).eval()
    ours = smp.pspnet(Plan((8,) * 6, (1, 2, 4, 8, 16, 32), 4, (0.0,) * 5, 3, NetworkConfig(decoder="pspnet")))[0]
    ours.conv = theirs.conv
    ours.psp.load_state_dict(theirs.psp.state_dict())
    ours = SMPDecoder(ours, 4, (1,) * 6, 1, 0.0).eval()
    features = [torch.rand(2, 8, 7, 5)]
    torch.testing.assert_close(ours(features), theirs(features))


@pytest.mark.all
def test_the_page_counts_parameters_as_they_are():
    page = (Path(__file__).parents[2] / "docs" / "networks.md").read_text()
    said = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) M \|", page, re.MULTILINE))
    assert list(said) == list(DECODERS)
    for name, millions in said.items():
        encoder = "unet" if name == "segnet" else "mobilenetv2_100"
        with torch.device("meta"):
            count = count_parameters(SegmentationUNet(21, encoder=encoder, decoder=name))
        assert f"{count / 1e6:.2f}" == millions, name


def test_a_pyramid_has_four_strides_of_one():
    class Decoder(nn.Module):
        out_channels = 256

        def forward(self, features):
            return features

    features = [torch.zeros(1, 0, 45, 33), torch.zeros(1, 0, 23, 17), None, None, None, torch.rand(1, 8, 3, 3)]
    found = OverPyramid(8, Decoder())(features)
    assert [tuple(one.shape[1:]) for one in found[2:]] == [(256, 12, 12), (256, 6, 6), (256, 3, 3), (256, 2, 2)]
    assert all(theirs is ours for theirs, ours in zip(features[:2], found[:2], strict=True))

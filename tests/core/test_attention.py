"""Attention and boundary refinement against cases computed by hand and against the libraries' own layers."""

import pytest
import torch
from torch import nn

from core.networks.decoding.attention import CBAM, SelfAttention, bottleneck_attention
from core.networks.decoding.refinement import BoundaryRefinement
from core.networks.unet import initialise
from transfer_learning.config import SegmentationConfig
from transfer_learning.network import SegmentationUNet
from transfer_learning.transfer import parameter_groups


def test_self_attention_begins_as_no_change():
    torch.manual_seed(0)
    features = torch.rand(2, 16, 3, 4)
    assert torch.equal(SelfAttention(16)(features), features)


def test_self_attention_by_hand():
    """Two places, one channel: query 1, key 2, value 3 times the feature; logits 2ab, softmax over the second place."""
    attention = SelfAttention(1)
    with torch.no_grad():
        for part, weight in ((attention.query, 1.0), (attention.key, 2.0), (attention.value, 3.0)):
            part.weight.fill_(weight)
        attention.gamma.fill_(0.5)
    first, second = 0.5, 1.0
    shares = [torch.tensor([2 * place * first, 2 * place * second]).softmax(0) for place in (first, second)]
    taken = [float(share @ torch.tensor([3 * first, 3 * second])) for share in shares]
    found = attention(torch.tensor([[[[first, second]]]]))
    torch.testing.assert_close(found.flatten(), torch.tensor([first + 0.5 * taken[0], second + 0.5 * taken[1]]))


def test_self_attention_is_multi_head_attention_of_one_head():
    """torch's own layer divides by the root of the width, which the paper's does not: its queries are scaled up."""
    torch.manual_seed(0)
    attention, features = SelfAttention(8), torch.rand(2, 8, 3, 5)
    query, key, value = (part.weight.view(-1, 8) for part in (attention.query, attention.key, attention.value))
    with torch.no_grad():
        attention.gamma.fill_(1.0)
    places = features.flatten(2).transpose(1, 2)
    logits = (places @ query.T) @ (places @ key.T).transpose(1, 2)
    wanted = places + logits.softmax(-1) @ (places @ value.T)
    torch.testing.assert_close(attention(features).flatten(2).transpose(1, 2), wanted)


def test_cbam_by_hand():
    """Two channels of 2 x 1 places; the small network hands on the first channel alone, the convolution its centre."""
    attention = CBAM(2)
    with torch.no_grad():
        attention.channels[0].weight.copy_(torch.tensor([1.0, 0.0]).view(1, 2, 1, 1))
        attention.channels[2].weight.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1))
        attention.places.weight.zero_()
        attention.places.weight[0, :, 3, 3] = torch.tensor([2.0, 1.0])  # of the mean and of the maximum
    features = torch.tensor([[1.0, 3.0], [2.0, 2.0]]).view(1, 2, 2, 1)
    squeezed = 2.0 + 3.0  # mean and maximum of the first channel
    weights = torch.tensor([squeezed, -squeezed]).sigmoid().view(2, 1)
    weighed = features.view(2, 2) * weights
    places = (2 * weighed.mean(0) + weighed.amax(0)).sigmoid()
    torch.testing.assert_close(attention(features).view(2, 2), weighed * places)


def test_cbam_is_timms_but_for_its_norm():
    from timm.layers.cbam import CbamModule

    torch.manual_seed(0)
    ours, theirs = CBAM(32), CbamModule(32, rd_ratio=1 / 16, rd_divisor=1).eval()
    theirs.spatial.conv.bn = nn.Identity()  # which the paper lacks
    with torch.no_grad():
        theirs.channel.fc1.weight.copy_(ours.channels[0].weight)
        theirs.channel.fc2.weight.copy_(ours.channels[2].weight)
        theirs.spatial.conv.conv.weight.copy_(ours.places.weight)
    features = torch.randn(2, 32, 6, 5)
    torch.testing.assert_close(ours(features), theirs(features))


@pytest.mark.parametrize(
    ("attention", "decoder"),
    [("cbam", "deeplabv3"), ("self", "fpn"), ("scse", "unet"), ("scse", "unet_transposed"), ("scse", "unetplusplus")],
)
def test_attention_is_a_switch_of_every_network(attention, decoder):
    torch.manual_seed(0)
    kind = {"width": 16, "encoder": "lcnet_050", "decoder": decoder}
    model = SegmentationUNet(3, attention=attention, refine="boundary", **kind)
    plain = SegmentationUNet(3, **kind)
    more = set(model.state_dict()) - set(plain.state_dict())
    assert more
    pictures = torch.rand(2, 3, 45, 33)
    scores = model(pictures)
    assert scores.shape == (2, 3, 45, 33)
    scores.square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    # The optimiser knows each of them once.
    known = [id(p) for group in parameter_groups(model, SegmentationConfig()) for p in group["params"]]
    assert sorted(known) == sorted(map(id, model.parameters()))


def test_scse_weighs_channels_and_places_by_hand():
    """With weights of 0 every gate is a half: what comes out is half by channels and half by places, the whole."""
    model = SegmentationUNet(3, 4, attention="scse")
    gate = model.decoder.attention[0]
    for parameter in gate.parameters():
        nn.init.zeros_(parameter)
    features = torch.rand(2, 64, 3, 3)
    torch.testing.assert_close(gate(features), features)


def test_no_attention_has_no_weights():
    assert not list(bottleneck_attention("none", 8).parameters())
    assert not [name for name in SegmentationUNet(3, 2).state_dict() if "attention" in name or "refine" in name]


def test_refinement_begins_as_no_change_and_learns_both_its_convolutions():
    torch.manual_seed(0)
    block = BoundaryRefinement(4)
    initialise(block)
    scores = torch.randn(2, 4, 7, 5)
    assert torch.equal(block(scores), scores)
    optimizer = torch.optim.SGD(block.parameters(), lr=0.1)
    before = [parameter.detach().clone() for parameter in block.parameters()]
    for _ in range(2):
        optimizer.zero_grad()
        (block(scores) - 1).square().mean().backward()
        optimizer.step()
    assert all(not torch.equal(old, new) for old, new in zip(before, block.parameters(), strict=True))


def test_refinement_by_hand():
    """Both convolutions hand on twice what they see: scores + 2 x relu(2 x scores)."""
    block = BoundaryRefinement(1)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.zero_()
        for convolution in (block.residual[0], block.residual[2]):
            convolution.weight[0, 0, 1, 1] = 2.0
    scores = torch.tensor([[[[1.0, -1.0]]]])
    torch.testing.assert_close(block(scores), torch.tensor([[[[5.0, -1.0]]]]))

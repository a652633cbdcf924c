"""Padding counted in whole numbers: as timm's own to the bit, at every side, kernel, stride and dilation."""

import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.layers import Conv2dSame

from core.networks.encoders import make_encoder
from core.networks.same_padding import WholeConv2dSame, count_in_whole_numbers

SMALL = st.integers(1, 5)


@settings(max_examples=60, deadline=None)
@given(st.tuples(st.integers(1, 23), st.integers(1, 23)), SMALL, st.integers(1, 3), st.integers(1, 3))
def test_it_pads_as_timm_does(sides, kernel, stride, dilation):
    torch.manual_seed(0)
    theirs = Conv2dSame(2, 4, kernel, stride, dilation=dilation, groups=2)
    ours = torch.nn.Sequential(Conv2dSame(2, 4, kernel, stride, dilation=dilation, groups=2))
    ours[0].load_state_dict(theirs.state_dict())
    count_in_whole_numbers(ours)
    assert type(ours[0]) is WholeConv2dSame
    images = torch.randn(1, 2, *sides)
    found = ours(images)
    assert torch.equal(found, theirs(images))
    assert list(found.shape[-2:]) == [-(-side // stride) for side in sides]


def test_an_encoder_of_timms_is_the_same_network():
    torch.manual_seed(0)
    ours = make_encoder("tf_efficientnet_lite0", 8).eval()
    theirs = timm.create_model("tf_efficientnet_lite0", features_only=True).eval()
    theirs.load_state_dict(ours.network.state_dict())
    images = torch.randn(2, 3, 77, 101)
    with torch.inference_mode():
        pairs = list(zip(ours.network(images), theirs(images), strict=True))
    assert all(torch.equal(one, other) for one, other in pairs)
    assert any(isinstance(module, WholeConv2dSame) for module in ours.modules())

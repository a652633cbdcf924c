"""Our own norm and upsampling are torch's functions: values and gradients, in every layout and type."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UserError
from core.machine.choices import Choice, choice, measured, safe, table
from core.machine.device import LAYOUTS, for_inference
from core.machine.processor import Processor
from core.networks.kernels import instance_norm, is_channels_last, upsample, use_kernels
from core.networks.unet import Encoder
from reconstruction.network import Autoencoder
from transfer_learning.network import SegmentationUNet

# Of values about 1: what fp64 is compared with stands in the last digits, bf16 keeps eight bits.
TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 4e-2}
types = st.sampled_from(list(TOLERANCES))
layouts = st.sampled_from(list(LAYOUTS.values()))
volume_layouts = st.sampled_from([torch.contiguous_format, torch.channels_last_3d])


def drawn(shape, dtype, layout, seed=0):
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return values.to(dtype).to(memory_format=layout)


def gradients(function, inputs, weights):
    inputs = [values.detach().requires_grad_() for values in inputs]
    output = function(*inputs)
    (output * weights).sum().backward()
    return [output.detach(), *(values.grad for values in inputs)]


def check(ours, reference, inputs, output_shape, dtype):
    """Compare values and gradients with those of a reference in double precision."""
    weights = drawn(output_shape, torch.float64, torch.contiguous_format, seed=9)
    found = gradients(ours, inputs, weights.to(dtype))
    wanted = gradients(reference, [values.double() for values in inputs], weights.to(dtype).double())
    assert found[0].dtype == dtype
    for one, other in zip(found, wanted, strict=True):
        scale = max(1.0, other.abs().max().item())
        torch.testing.assert_close(one.double(), other, rtol=0, atol=TOLERANCES[dtype] * scale)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(1, 5), st.sampled_from([1, 2, 3, 7, 31, 33]), st.integers(2, 40), types, layouts)
def test_instance_norm(count, channels, height, width, dtype, layout):
    check_norm(drawn((count, channels, height, width), dtype, layout))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.integers(1, 5), st.sampled_from([1, 3, 16]), st.integers(2, 12), types, volume_layouts)
def test_instance_norm_of_volumes(count, channels, depth, side, dtype, layout):
    check_norm(drawn((count, channels, depth, side, side - 1), dtype, layout))


def check_norm(x):
    dtype, channels = x.dtype, x.shape[1]
    # In bf16, parameters stay in fp32, as autocast has it.
    of_parameters = torch.float32 if dtype == torch.bfloat16 else dtype
    weight, bias = (drawn((channels,), of_parameters, torch.contiguous_format, seed) for seed in (1, 2))
    check(
        lambda x, w, b: instance_norm(x, w, b, 1e-5),
        lambda x, w, b: F.instance_norm(x, weight=w, bias=b, eps=1e-5),
        [x, weight, bias],
        x.shape,
        dtype,
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 20), st.integers(1, 20), st.data(), types, layouts)
def test_upsampling(count, channels, height, width, data, dtype, layout):
    x = drawn((count, channels, height, width), dtype, layout)
    doubled = (2 * height, 2 * width)
    size = data.draw(st.one_of(st.just(doubled), st.tuples(st.integers(1, 45), st.integers(1, 45))))
    check(
        lambda x: upsample(x, size),
        lambda x: F.interpolate(x, size=size, mode="bilinear", align_corners=False),
        [x],
        (count, channels, *size),
        dtype,
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 2), st.tuples(*[st.integers(1, 6)] * 3), st.data(), types, volume_layouts)
def test_upsampling_of_volumes(channels, sides, data, dtype, layout):
    x = drawn((2, channels, *sides), dtype, layout)
    size = data.draw(st.one_of(st.just(tuple(2 * side for side in sides)), st.tuples(*[st.integers(1, 13)] * 3)))
    check(
        lambda x: upsample(x, size),
        lambda x: F.interpolate(x, size=size, mode="trilinear", align_corners=False),
        [x],
        (2, channels, *size),
        dtype,
    )


@pytest.mark.parametrize("size", [(45, 3), (3, 45), (3, 3)])
def test_a_side_that_shrinks_is_left_to_torch(size):
    x = drawn((1, 2, 9, 9), torch.float32, torch.contiguous_format).requires_grad_()
    assert "UpsampleBilinear" in upsample(x, size).grad_fn.name()


def test_gradients_of_upsampling_are_those_of_differences():
    x = drawn((2, 3, 4, 5), torch.float64, torch.contiguous_format).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: upsample(x, (8, 10)), x)
    assert torch.autograd.gradcheck(lambda x: upsample(x, (7, 6)), x)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_and_half_precision_stay(layout):
    x = drawn((2, 8, 6, 6), torch.bfloat16, LAYOUTS[layout])
    weight, bias = torch.ones(8), torch.zeros(8)
    with torch.autocast("cpu", torch.bfloat16):
        results = upsample(x, (12, 12)), instance_norm(x, weight, bias, 1e-5)
    for result in results:
        assert result.dtype == torch.bfloat16
        assert is_channels_last(result) == (layout == "channels_last")


def test_volumes_stay_channels_last_and_in_half_precision():
    x = drawn((2, 8, 6, 6, 4), torch.bfloat16, torch.channels_last_3d).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        result = upsample(instance_norm(x, torch.ones(8), torch.zeros(8), 1e-5), (12, 12, 8))
    assert result.dtype == torch.bfloat16
    assert is_channels_last(result)
    assert result.grad_fn.name() == "UpsamplingBackward"
    result.float().square().mean().backward()
    assert is_channels_last(x.grad)


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_a_network_of_volumes_computes_the_same_by_both(layout):
    torch.manual_seed(0)
    network = SegmentationUNet(width=2, dims=3, stages=3, in_channels=1).double()
    network = network.to(memory_format=torch.channels_last_3d if layout == "channels_last" else torch.contiguous_format)
    check_both(network, torch.rand(2, 1, 16, 17, 19, dtype=torch.float64))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("build", [SegmentationUNet, Autoencoder])
def test_a_network_computes_the_same_by_both(build, layout):
    torch.manual_seed(0)
    network = build(width=2).double().to(memory_format=LAYOUTS[layout])
    check_both(network, torch.rand(2, 3, 70, 45, dtype=torch.float64))


def check_both(network, images):
    found = {}
    for kernels in ("torch", "own"):
        use_kernels(network, kernels)
        torch.manual_seed(1)  # of the dropout
        network.zero_grad()
        output = network(images)
        output.square().mean().backward()
        found[kernels] = [output.detach(), *(parameter.grad.clone() for parameter in network.parameters())]
    for one, other in zip(found["own"], found["torch"], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def test_weights_do_not_know_of_kernels():
    network = Encoder(2)
    names = list(network.state_dict())
    use_kernels(network, "own")
    assert list(network.state_dict()) == names


def test_the_table_names_what_there_is():
    for kind, of_kind in table().items():
        for precision, row in of_kind.items():
            assert precision in ("off", "bf16", "fp16"), kind
            assert row.keys() == {"step", "forward", "measured_on"}
            for work in ("step", "forward"):
                made = Choice(**row[work])
                assert made.memory_format in LAYOUTS
                assert made.kernels in ("torch", "own")


def test_an_unknown_processor_gets_what_is_safe(monkeypatch):
    monkeypatch.setattr("core.machine.choices.table", dict)
    for work in ("step", "forward"):
        assert choice(work, torch.device("cpu"), "off") == safe(work, torch.device("cpu"))
    assert safe("step", torch.device("cpu")) == Choice("contiguous", "torch")


def test_what_was_measured_holds_for_processors_of_that_maker(monkeypatch):
    row = {work: {"memory_format": "channels_last", "kernels": "own"} for work in ("step", "forward")}
    monkeypatch.setattr(
        "core.machine.choices.table", lambda: {"cpu": {"off": {**row, "measured_on": "AMD EPYC (Zen 3), torch 2.14.1"}}}
    )
    for name, found in (("AMD EPYC 7R13", Choice("channels_last", "own")), ("Intel(R) Core(TM) i7-6700 CPU", None)):
        monkeypatch.setattr("core.machine.choices.processor", lambda _, name=name: Processor(name, "cpu"))
        assert measured("step", torch.device("cpu"), "off") == found


@pytest.mark.parametrize("altered", [[], {"cpu": 3}, {"cpu": {"off": {"step": 3}}}])
def test_an_altered_table_is_named(altered, monkeypatch):
    monkeypatch.setattr("core.machine.choices.table", lambda: altered)
    monkeypatch.setattr("core.machine.choices.processor", lambda _: Processor("AMD EPYC", "cpu"))
    with pytest.raises(UserError, match="kernels.json is damaged"):
        measured("step", torch.device("cpu"), "off")


def test_inference_takes_the_choice(monkeypatch):
    monkeypatch.setattr("core.machine.device.choice", lambda *_: Choice("contiguous", "own"))
    network = for_inference(SegmentationUNet(width=2), torch.device("cpu"))
    assert {part.kernels for part in network.modules() if hasattr(part, "kernels")} == {"own"}
    assert all(weight.is_contiguous() for weight in network.parameters())

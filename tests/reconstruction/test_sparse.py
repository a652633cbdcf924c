"""An encoder that leaves out what a pretext task hides."""

import numpy as np
import pytest
import torch
from torch import nn

from core.networks.unet import Encoder, InstanceNorm, initialise
from core.randomness import keys
from data.pretext.hiding import Pretext, shown
from reconstruction.evaluate import main as evaluate
from reconstruction.network import Autoencoder
from reconstruction.train import main as train

# The deepest maps have four positions, whose norm enlarges what a processor rounds.
RELATIVE, ABSOLUTE = 1e-2, 1e-3


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    network = Encoder(4, dropout=(0.0,) * 6)
    initialise(network)
    for module in network.modules():
        if isinstance(module, nn.GroupNorm):  # as training leaves them, not as they begin
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.2)
    return network


@pytest.mark.parametrize(("height", "width"), [(64, 64), (45, 39)])
def test_with_everything_seen_it_is_the_plain_encoder(encoder, height, width):
    images = torch.rand(2, 3, height, width)
    for plain, sparse in zip(encoder(images), encoder(images, torch.ones(2, 1, height, width)), strict=True):
        torch.testing.assert_close(sparse, plain, rtol=RELATIVE, atol=ABSOLUTE)


def test_a_part_has_the_features_of_a_picture_that_ends_where_it_does(encoder):
    """What is hidden is no more than what a convolution finds beyond a picture's edge, and no norm counts it."""
    images, seen = torch.rand(2, 3, 64, 160), torch.ones(2, 1, 64, 160)
    seen[..., 96:] = 0
    for stage, (part, alone) in enumerate(zip(encoder(images * seen, seen), encoder(images[..., :96]), strict=True)):
        ends = 96 // 2**stage
        torch.testing.assert_close(part[..., :ends], alone, rtol=RELATIVE, atol=ABSOLUTE)
        assert part[..., ends:].abs().max() == 0
    # Without it, this is what masking shifts.
    assert (encoder(images * seen)[-1][..., :3] - alone).abs().max() > 0.1


def test_half_precision_stays_half_precision(encoder):
    images, seen = torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64)
    seen[..., 32:] = 0
    exact = encoder(images * seen, seen)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = encoder(images * seen, seen)
    assert {feature.dtype for feature in rounded} == {torch.bfloat16}
    assert (rounded[0] - exact[0]).abs().max() < 0.1


def test_the_norm_counts_what_is_seen():
    norm = InstanceNorm(2)
    x, seen = torch.zeros(1, 2, 1, 4), torch.tensor([1.0, 1.0, 0.0, 1.0]).view(1, 1, 1, 4)
    x[0, :, 0] = torch.tensor([[1.0, 3.0, 1000.0, 5.0], [-2.0, 0.0, 7.0, 2.0]])
    deviation = (8 / 3) ** 0.5
    expected = torch.tensor([[-2.0, 0.0, 0.0, 2.0]]).expand(2, 4) / deviation
    torch.testing.assert_close(norm.of_seen(x, seen)[0, :, 0], expected, rtol=1e-4, atol=1e-5)


def test_what_is_hidden_has_no_say_and_gets_no_gradient():
    torch.manual_seed(0)
    network = Autoencoder(2, target="hog", sparse=True).eval()
    images, content = torch.rand(2, 3, 64, 64), torch.ones(2, 1, 64, 64, dtype=torch.bool)
    view = shown(images, content, keys(0, 0, np.arange(2)), Pretext("mask", mask_patch=8))
    other = torch.where(view.visible, images, torch.rand_like(images)).requires_grad_()
    output = network(other, view.visible, view.hidden)
    assert torch.equal(output, network(images, view.visible, view.hidden))
    output.square().sum().backward()
    assert (other.grad * ~view.visible).abs().max() == 0
    assert not torch.equal(output, network(images, view.visible))
    # Letterbox bars are no hidden patches: whole pictures have them in phase 2 too.
    content[..., 60:, :] = False
    view = shown(images, content, keys(0, 0, np.arange(2)), Pretext())
    assert view.hidden is None
    assert torch.equal(network(images, view.visible, view.hidden), network(images, content))


@pytest.mark.all
def test_training_and_evaluation_leave_it_out(pets, tmp_path):
    flags = "--pretext mask --mask_patch 8 --sparse --width 2 --max_steps 20 --val_every 4 --batch_size 4 --amp off"
    places = ["--data_dir", str(pets), "--output_dir", str(tmp_path / "run"), "--device", "cpu", "--lr", "0.01"]
    assert train([*flags.split(), *places, "--perceptual_weight", "0"]) == 0
    rows = (tmp_path / "run/training_log.csv").read_text().splitlines()
    losses = [float(row.split(",")[2]) for row in rows[1:]]
    assert losses[-1] < 0.92 * losses[0]  # 0.84 here: rounding cannot eat the margin
    places = ["--data_dir", str(pets), "--output_dir", str(tmp_path / "out"), "--device", "cpu"]
    places += ["--visualize_samples", "3", "--model_path", str(tmp_path / "run/best_model.safetensors")]
    assert evaluate(places) == 0


@pytest.mark.parametrize("flags", ["", "--pretext denoise", "--pretext mask --encoder tf_efficientnet_lite0"])
def test_where_there_is_nothing_to_leave_out_it_is_refused(flags, capsys):
    assert train([*flags.split(), "--sparse", "--no_image_statistics"]) == 2
    assert "give both, or --no_sparse" in capsys.readouterr().err

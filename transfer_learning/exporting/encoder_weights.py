"""The encoder alone, under the names that timm, segmentation-models-pytorch or torchvision give its tensors."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import UserError
from core.networks.encoders import TimmEncoder
from core.train_config import OWN_ENCODERS
from core.weights import load_strictly, load_weights

PREFIX = "encoder.network."  # of timm's network in our weights
SIDE = 64  # of the noise on which both are compared


def encoder_weights(path: Path, library: str) -> tuple[dict[str, Tensor], str]:
    """Return the encoder's tensors by the names of a library's network, and the line that loads them there.

    The network is built by the library, takes them all, and none besides; on noise its features are those of ours.

    Args:
        path: weights of either phase, with an encoder of timm.
        library: timm, smp or torchvision.

    Raises:
        UserError: the encoder is this project's own, dilated, or none that the library has under these names.
    """
    tensors, header = load_weights(path)
    name = header.network.encoder
    if name in OWN_ENCODERS or name.startswith("monai:"):
        raise UserError(
            f"{path}: its encoder {name} is this project's own, which no other library has: --format state_dict writes "
            "the whole network"
        )
    own = {key.removeprefix(PREFIX): tensor for key, tensor in tensors.items() if key.startswith(PREFIX)}
    network, renamed, line = _MAKERS[library](name, own)
    load_strictly(network, renamed, str(path))
    if library != "torchvision":  # whose ResNets are timm's, layer by layer, but give no features
        _require_equal(network, TimmEncoder(name, (0.0,) * 6), own)
    return renamed, line


def _timm(name: str, own: Mapping[str, Tensor]) -> tuple[nn.Module, dict[str, Tensor], str]:
    import timm

    network: Any = timm.create_model(name, pretrained=False, features_only=True)
    return network, dict(own), f'timm.create_model("{name}", features_only=True).load_state_dict(torch.load(FILE))'


def _smp(name: str, own: Mapping[str, Tensor]) -> tuple[nn.Module, dict[str, Tensor], str]:
    import segmentation_models_pytorch as smp

    network = smp.encoders.get_encoder(f"tu-{name}", weights=None)
    line = f'smp.encoders.get_encoder("tu-{name}", weights=None).load_state_dict(torch.load(FILE))'
    return network, {f"model.{key}": tensor for key, tensor in own.items()}, line


def _torchvision(name: str, own: Mapping[str, Tensor]) -> tuple[nn.Module, dict[str, Tensor], str]:
    import torchvision

    known = [one for one in torchvision.models.list_models(torchvision.models) if one.startswith("resnet")]
    if name not in known:
        raise UserError(
            f"torchvision names the tensors of {name} otherwise, or has no such network: it has {', '.join(known)}; "
            "take --format encoder_timm"
        )
    network = torchvision.models.get_model(name, weights=None)
    del network.fc
    line = f"network = torchvision.models.{name}(); del network.fc; network.load_state_dict(torch.load(FILE))"
    return network, dict(own), line


_MAKERS: dict[str, Callable[[str, Mapping[str, Tensor]], tuple[nn.Module, dict[str, Tensor], str]]] = {
    "timm": _timm,
    "smp": _smp,
    "torchvision": _torchvision,
}


@torch.no_grad()
def _require_equal(network: Any, ours: TimmEncoder, own: Mapping[str, Tensor]) -> None:
    load_strictly(ours.network, own, "the encoder")
    noise = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    theirs, here = network.eval()(noise), ours.network.eval()(noise)
    # SMP gives the picture first.
    pairs = zip(theirs[-len(here) :], here, strict=True)
    if not all(torch.allclose(one, other, atol=1e-5) for one, other in pairs):
        raise UserError("the library's network computes other features with these weights: nothing was written")

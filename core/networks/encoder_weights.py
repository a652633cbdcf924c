"""What an encoder of timm starts from: ImageNet's weights from an installed package or timm's hub, or those of a file.

Nothing ever loads in part without a word: every tensor of the encoder is filled, and what is left over is the head that
the encoder does without; otherwise it is a `UserError` that says what fitted and what did not.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import UserError
from core.networks.batch_norms import require_norms_fit
from core.networks.hub_weights import from_hub
from core.networks.normalise import STATISTICS
from core.networks.pretrained import match_in_order
from core.networks.state_dicts import OF_TORCHVISION, is_head, of_timm, read_state_dict, without_prefixes
from core.train_config import PACKAGED, Normalisation, TrainConfig

SHOWN = 3
COUNTER = "num_batches_tracked"  # of batch norms; older files lack it, and nothing reads it


def start_encoder(encoder: nn.Module, config: TrainConfig, norms_learn: bool) -> None:
    """Give an encoder what `--encoder_weights` says; with `none` it stays as it was drawn.

    Args:
        encoder: a `core.networks.encoders.TimmEncoder`, where there are any weights.
        config: the settings.
        norms_learn: whether batch norms will ever normalise by the statistics of a batch.

    Raises:
        UserError: the weights cannot be had or do not fit, were trained with another normalisation, or have their batch
            norms folded where these would learn.
    """
    if config.encoder_weights == "none":
        return
    if config.encoder_weights == "imagenet":
        _require_normalisation(config)
        load_imagenet(encoder, config.encoder)
        return
    path = config.encoder_weights
    load_file(encoder, config.encoder, path)
    require_norms_fit(encoder, str(path), norms_learn and not config.restore_batch_norm)


def load_imagenet(encoder: nn.Module, name: str, instead: str | None = None) -> None:
    """Load ImageNet's weights: from a package where one carries them, else as timm keeps them on its hub.

    They are downloaded once (`core.networks.hub_weights`). `instead`: what to do where they cannot be had, of a setting
    other than `--encoder_weights`.

    Raises:
        UserError: there are none, they cannot be fetched, or the package holds others.
    """
    if name in PACKAGED and find_spec(PACKAGED[name]):
        fill(encoder, name, _packaged(name), f"the package {PACKAGED[name].replace('_', '-')}")
    else:
        fill(encoder, name, from_hub(name, instead), f"timm's hub for {name}")


def load_file(encoder: nn.Module, name: str, path: Path) -> None:
    """Load a state dict of timm, torchvision or SMP, and say what of it lies beside the encoder.

    Raises:
        UserError: it cannot be read or does not fit.
    """
    whole = read_state_dict(path)
    tensors = without_prefixes(whole)
    if beside := len(whole) - len(tensors):
        print(f"note: {beside} tensors of {path} lie beside the encoder's (a decoder's, say) and are left out")
    fill(encoder, name, of_timm(tensors, name, _whole(name)), str(path))


def fill(encoder: nn.Module, name: str, tensors: Mapping[str, Tensor], source: str) -> None:
    """Load tensors under timm's names into an encoder.

    Args:
        encoder: has timm's network, perhaps flattened, as `network`.
        name: of the network.
        tensors: all of the encoder's, and perhaps those of the layers behind it.
        source: where they come from, for the error.

    Raises:
        UserError: some are missing, left over or of another shape; says how many fitted, and names the first.
    """
    network: Any = encoder.get_submodule("network")
    wanted = network.state_dict()
    given = {_plain(key): tensor for key, tensor in tensors.items()}
    behind = {_plain(key) for key in _whole(name)} - {_plain(key) for key in wanted}
    missing = [key for key in wanted if _plain(key) not in given and not key.endswith(COUNTER)]
    known = {_plain(key) for key in wanted} | behind
    left = [key for key in tensors if _plain(key) not in known and not is_head(key)]
    there = {key: given[_plain(key)] for key in wanted if _plain(key) in given}
    other = [
        f"{key} {list(tensor.shape)} for {list(wanted[key].shape)}"
        for key, tensor in there.items()
        if tensor.shape != wanted[key].shape
    ]
    whole = [key for key, tensor in there.items() if wanted[key].is_floating_point() > tensor.is_floating_point()]
    if whole:
        raise UserError(
            f"{source} holds whole numbers ({_named(whole)}) where --encoder {name} has weights, as quantised networks "
            "do: save the network in float32"
        )
    if missing or left or other:
        raise _misfit(source, name, len(there) - len(other), missing, left, other)
    filled = {key: tensor.to(wanted[key].dtype) for key, tensor in there.items()}
    network.load_state_dict({**wanted, **filled})


def _misfit(source: str, name: str, fitting: int, missing: list[str], left: list[str], other: list[str]) -> UserError:
    if fitting == 0 and any(key.startswith(OF_TORCHVISION) for key in left):
        return UserError(
            f"{source} names its tensors ({_named(left)}) as torchvision or another program does, and none of "
            f"--encoder {name} is among them: of torchvision's networks ResNet, VGG and MobileNetV2 are understood"
        )
    parts = ((missing, "are missing"), (left, "are left over"), (other, "have another shape"))
    told = "; ".join(f"{len(found)} {what} ({_named(found)})" for found, what in parts if found)
    total = fitting + len(missing) + len(other)
    return UserError(f"{source} does not fit --encoder {name}: {fitting} of {total} tensors fit, {told}")


def _named(names: list[str]) -> str:
    return ", ".join([*names[:SHOWN], *(["..."] if len(names) > SHOWN else [])])


def _plain(name: str) -> str:
    """Return a tensor's name whether or not timm flattened the network, which joins the parts of some names by "_"."""
    return name.removeprefix("model.").replace(".", "_")


def _whole(name: str) -> dict[str, Tensor]:
    """Return the tensors of timm's whole network, its head too, without memory."""
    import timm

    with torch.device("meta"):
        return timm.create_model(name, pretrained=False).state_dict()


def _packaged(name: str) -> dict[str, Tensor]:
    """Return the tensors that a package carries, in timm's order under other names, by timm's names."""
    package = import_module(PACKAGED[name])
    (file,) = (value for key, value in vars(package).items() if key.endswith("ModelFile"))
    weights = torch.load(file.get_model_file_path(), map_location="cpu", weights_only=True)
    return match_in_order(weights, _whole(name))


def normalisation_of(name: str) -> Normalisation | None:
    """Return what the pictures were normalised with that a network's pretrained weights come from.

    None where timm knows of no weights. Raises UserError where it is none of ours.
    """
    import timm

    theirs = timm.get_pretrained_cfg(name)
    if theirs is None:
        return None
    statistics = (tuple(theirs.mean), tuple(theirs.std))
    for known, values in STATISTICS.items():
        if values == statistics:
            return known
    raise UserError(
        f"the pretrained weights of {name} were trained with mean {statistics[0]} and deviation {statistics[1]}, which "
        "no --normalisation is: take another network"
    )


def _require_normalisation(config: TrainConfig) -> None:
    """Raise UserError where the hub's weights were trained with other means and deviations than the run has."""
    named = normalisation_of(config.encoder)
    if named in (None, config.normalisation):
        return
    raise UserError(
        f"the ImageNet weights of {config.encoder} were trained with --normalisation {named}, this run has "
        f"{config.normalisation}: give --normalisation {named}"
    )

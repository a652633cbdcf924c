"""Weights with a header that says what they are.

Weights are safetensors; the header is one key of sorted JSON without paths or times, so that equal runs give equal
bytes.
"""

import json
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from core.errors import UserError
from core.files import atomic_path
from core.header import FORMAT_VERSION, HEADER_KEY, read_header
from core.seen import SEEN


def save_weights(path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
    """Write weights and their header, whole or not at all."""
    text = json.dumps({"format_version": FORMAT_VERSION, **header}, sort_keys=True, allow_nan=False)
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = save(plain, metadata={HEADER_KEY: text})
    # Written by Python, whose errors (no space, no permission) name the file.
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors (on the CPU) and the header of a weights file of ours.

    Raises:
        UserError: no such file, not safetensors, cut short, not ours, or of another format version.
    """
    header = read_header(path)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    tensors.pop(SEEN, None)
    return tensors, header


def load_strictly(module: nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Load every tensor into `module`.

    Raises:
        UserError: names the first tensor that is missing, left over or of another shape (with both shapes).
    """
    wanted = module.state_dict()
    for name, tensor in wanted.items():
        if name not in tensors:
            raise UserError(f"{source} lacks the tensor {name!r} that the network needs")
        if tensors[name].shape != tensor.shape:
            raise UserError(
                f"{source}: {name!r} has shape {tuple(tensors[name].shape)}, the network needs {tuple(tensor.shape)}: "
                "use the same --width"
            )
    for name in tensors:
        if name not in wanted:
            raise UserError(f"{source} holds the tensor {name!r}, which the network does not have")
    module.load_state_dict(tensors)

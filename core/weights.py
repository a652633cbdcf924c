"""Weights with a header that says what they are.

Weights are safetensors; the header is one key of sorted JSON without paths or times, so that equal runs give equal
bytes. A digest in it covers the header and every tensor, and is compared whenever weights are loaded.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from core.errors import UserError, first_problem
from core.files import atomic_path
from core.headers.header import ANEW, FORMAT_VERSION, HEADER_KEY, Header, header_content

# Parameters and statistics, and the counters of batch norms: nothing else is ever written.
DTYPES = (torch.float32, torch.int64)
Model = TypeVar("Model", bound=nn.Module)


def save_weights(path: Path, tensors: dict[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write weights and their header (the fields of `Header`, as JSON values), whole or not at all."""
    content = json.loads(json.dumps({"format_version": FORMAT_VERSION, **header}, allow_nan=False))
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content["sha256"] = digest_of(content, plain)
    written = save(plain, metadata={HEADER_KEY: json.dumps(content, sort_keys=True)})
    # Written by Python, whose errors (no space, no permission) name the file.
    with atomic_path(path) as temporary:
        temporary.write_bytes(written)


def digest_of(content: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 over a header without its digest, and over name, type, shape and bytes of every tensor."""
    rest = {name: value for name, value in content.items() if name != "sha256"}
    digest = sha256(json.dumps(rest, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(json.dumps([name, str(tensor.dtype), *tensor.shape]).encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def load_weights(path: Path) -> tuple[dict[str, Tensor], Header]:
    """Return the tensors (on the CPU) and the header of a weights file of ours.

    Raises:
        UserError: as `read_header`; a tensor of another type or with values that are not finite; or the content is not
            what was written, which weights of format 1 without a digest cannot tell.
    """
    content = header_content(path)
    header = Header.of(content, str(path))
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, TypeError) as error:  # a type that torch does not have
        raise UserError(f"{path} is not a whole safetensors file ({error}): {ANEW}") from None
    for name, tensor in tensors.items():
        if tensor.dtype not in DTYPES:
            known = " or ".join(map(_words, DTYPES))
            raise UserError(f"{path}: {name!r} holds {_words(tensor.dtype)}, this project writes {known}: {ANEW}")
        if not tensor.isfinite().all():
            raise UserError(f"{path}: {name!r} holds values that are not finite (NaN or infinity): {ANEW}")
    if header.sha256 and digest_of(content, tensors) != header.sha256:
        raise UserError(f"{path} was altered after it was written: its digest does not fit its content: {ANEW}")
    return tensors, header


def build(network: type[Model], tensors: Mapping[str, Tensor], header: Header, source: str) -> Model:
    """Return the network that weights are of, with their tensors in it.

    Raises:
        UserError: an argument that the network does not have or take, or tensors that do not fit it.
    """
    arguments = arguments_of(network, header, source)
    try:
        with torch.device("meta"):  # without memory: whatever the header claims, no more is taken than the file holds
            wanted = network(**arguments).state_dict()
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    require_fit(wanted, tensors, source)
    model = network(**arguments)
    model.load_state_dict(dict(tensors))
    return model


def arguments_of(network: type[nn.Module], header: Header, source: str) -> dict[str, Any]:
    """Return the arguments that a header gives its network, each one that it has, of the type that it says.

    Raises:
        UserError: names the first that is not.
    """
    hints = get_type_hints(network.__init__)
    hints.pop("return", None)
    for name, value in header.architecture.items():
        if name not in hints:
            raise UserError(f"{source}: its network has the setting {name!r}, which is not known here: {ANEW}")
        try:
            TypeAdapter(hints[name]).validate_python(value, strict=True)
        except ValidationError as errors:
            problem = first_problem(errors)
            raise UserError(f"{source}: its header is damaged (architecture: {name}: {problem}): {ANEW}") from None
    return header.architecture


def load_strictly(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Load every tensor into `module`.

    Raises:
        UserError: as `require_fit`.
    """
    require_fit(module.state_dict(), tensors, source)
    module.load_state_dict(dict(tensors))


def require_fit(wanted: Mapping[str, Tensor], tensors: Mapping[str, Tensor], source: str) -> None:
    """Compare tensors with those of a network.

    Raises:
        UserError: names the first tensor that is missing, left over, of another type or of another shape (with both).
    """
    for name, tensor in wanted.items():
        if name not in tensors:
            raise UserError(f"{source} lacks the tensor {name!r} that the network needs")
        if tensors[name].shape != tensor.shape:
            raise UserError(
                f"{source}: {name!r} has shape {tuple(tensors[name].shape)}, the network needs {tuple(tensor.shape)}: "
                "use the same --width"
            )
        if tensors[name].dtype != tensor.dtype:
            there, here = _words(tensors[name].dtype), _words(tensor.dtype)
            raise UserError(f"{source}: {name!r} holds {there}, the network needs {here}: {ANEW}")
    for name in tensors:
        if name not in wanted:
            raise UserError(f"{source} holds the tensor {name!r}, which the network does not have")


def _words(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")

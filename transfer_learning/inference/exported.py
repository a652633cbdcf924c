"""Exported networks: what they say of themselves, and how ONNX Runtime and OpenVINO compute them.

An exported network takes `images` [N, channels, H, W] float32 in [0, 1] and `content` [N, 1, H, W] bool, False on the
bars of a letterbox, and returns `logits` [N, C, H, W] float32; N, H and W are free, H and W at least 33. It carries the
header of its weights (classes, size, how pictures are resized) and a digest of itself.
"""

from collections.abc import Callable
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.errors import UserError
from core.extras import to_install
from core.files import read_bytes
from core.filing.json_file import NotJSONError, parse_json
from core.headers.header import HEADER_KEY, Header

# Suffix -> what can compute such a file, the first by default.
KINDS = {".onnx": ("onnxruntime", "openvino"), ".xml": ("openvino",)}
INPUTS, OUTPUT = ("images", "content"), "logits"
DIGEST_KEY = f"{HEADER_KEY}_sha256"
EXPORT_AGAIN = "export it again (ae-pretrained export)"
Scores = Callable[[Tensor, Tensor], Tensor]


def of_extra(module: str) -> Any:
    """Import a module of the extra `export`; raises UserError where it is not installed."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name and not module.startswith(error.name):
            raise
        raise UserError(f"{module} is not installed: {to_install('export')}") from None


def load_onnxruntime(path: Path, threads: int, precision: str) -> tuple[Scores, Header]:
    """Return what computes a model.onnx in ONNX Runtime with so many threads, in fp32, and the header of its weights.

    Raises:
        UserError: as `header_of_onnx`; or ONNX Runtime is not installed or refuses the file.
    """
    runtime, header = of_extra("onnxruntime"), header_of_onnx(path)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of classes that it does not export
        raise UserError(f"{path}: ONNX Runtime refuses it ({_first_line(error)}): {EXPORT_AGAIN}") from None

    def scores(images: Tensor, content: Tensor) -> Tensor:
        fed = dict(zip(INPUTS, (images.numpy(), content.numpy()), strict=True))
        return torch.from_numpy(session.run([OUTPUT], fed)[0])

    return scores, header


def load_openvino(path: Path, threads: int, precision: str) -> tuple[Scores, Header]:
    """Return what computes a model.xml or model.onnx in OpenVINO, in `off` (fp32) or `bf16`, and its weights' header.

    Raises:
        UserError: as `header_of_onnx`; or OpenVINO is not installed or refuses the file.
    """
    vino = of_extra("openvino")
    header = header_of_onnx(path) if path.suffix == ".onnx" else header_of_openvino(path)
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32"}
    try:
        compiled = vino.Core().compile_model(str(path), "CPU", settings)
    except Exception as error:
        raise UserError(f"{path}: OpenVINO refuses it ({_first_line(error)}): {EXPORT_AGAIN}") from None

    def scores(images: Tensor, content: Tensor) -> Tensor:
        # Copied: OpenVINO writes the next result into the same memory.
        return torch.from_numpy(compiled([images.numpy(), content.numpy()])[0].copy())

    return scores, header


def header_of_onnx(path: Path) -> Header:
    """Return what a model.onnx says of its weights.

    Raises:
        UserError: no such file, not ONNX, not ours, altered after it was written, or the extra is not installed.
    """
    onnx, content = of_extra("onnx"), _bytes(path)
    try:
        model = onnx.load_from_string(content)
    except Exception as error:  # protobuf's, of a class that differs by its version
        raise UserError(f"{path} is not a whole ONNX file ({_first_line(error)}): {EXPORT_AGAIN}") from None
    said = {entry.key: entry.value for entry in model.metadata_props}
    return _checked(path, said.get(HEADER_KEY), said.get(DIGEST_KEY), graph_of_onnx(model))


def header_of_openvino(path: Path) -> Header:
    """Return what a model.xml of OpenVINO says of its weights. Raises as `header_of_onnx`."""
    vino = of_extra("openvino")
    _bytes(path)
    weights = _bytes(path.with_suffix(".bin"))
    try:
        info = vino.Core().read_model(str(path)).get_rt_info()
        header, digest = (info[key].astype(str) if key in info else None for key in (HEADER_KEY, DIGEST_KEY))
    except Exception as error:
        raise UserError(f"{path} is not a whole network of OpenVINO ({_first_line(error)}): {EXPORT_AGAIN}") from None
    return _checked(path, header, digest, weights)


def graph_of_onnx(model: Any) -> bytes:
    """Return the graph of a ModelProto with its weights, as bytes that are the same for the same graph."""
    return model.graph.SerializeToString(deterministic=True)


def digest_of(header: str, content: bytes) -> str:
    """Return the SHA-256 over the header and what was exported."""
    return sha256(header.encode() + content).hexdigest()


def _checked(path: Path, header: str | None, wanted: str | None, exported: bytes) -> Header:
    if header is None or wanted is None:
        raise UserError(f"{path} was not exported by this project: its metadata lack {HEADER_KEY!r}")
    if wanted != digest_of(header, exported):
        raise UserError(f"{path} was altered after it was exported: its digest does not fit it: {EXPORT_AGAIN}")
    try:
        content = parse_json(header, str(path))
    except NotJSONError as error:
        raise UserError(f"{path}: its header is damaged ({error.reason}): {EXPORT_AGAIN}") from None
    return Header.of(content, str(path))


def _bytes(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except FileNotFoundError:
        raise UserError(f"no exported network at {path}: ae-pretrained export writes one") from None


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__

"""What computes the class scores: torch, or ONNX Runtime or OpenVINO for a network that was exported."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from core.errors import UserError
from core.evaluation import load_model
from core.headers.header import Header
from core.machine.device import for_inference, resolve_amp, resolve_device
from transfer_learning.inference.exported import KINDS, load_onnxruntime, load_openvino
from transfer_learning.inference.fitting import require_alike
from transfer_learning.inference.options import ReadoutOptions
from transfer_learning.inference.torchvision_networks import load_torchvision
from transfer_learning.inference.weights_files import is_torchvision
from transfer_learning.network import SegmentationUNet

CPU = torch.device("cpu")
TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the context of a precision, `off`, `bf16` or `fp16`."""
    return torch.autocast(device.type, TYPES.get(precision), precision in TYPES)


@dataclass(frozen=True)
class Network:
    """What computes class scores.

    Attributes:
        scores: images [N, channels, H, W] in [0, 1] and content [N, 1, H, W] bool, both on `device` -> logits
            [N, C, H, W]; a module is in eval mode.
        device: where the inputs go.
        backend, precision: by what it computes and how, for JSON.
    """

    scores: Callable[[Tensor, Tensor], Tensor]
    device: torch.device = CPU
    backend: str = "torch"
    precision: str = "off"


@dataclass(frozen=True)
class Loaded:
    """A network of phase 2, ready to segment.

    Attributes:
        network: computes the scores.
        header: of its weights.
        model: the network as torch knows it; None for an exported one and for one of torchvision.
    """

    network: Network
    header: Header
    model: SegmentationUNet | None = None


def load_network(path: Path | None, options: ReadoutOptions, device: str) -> Loaded:
    """Load weights of phase 2, or a network that `transfer_learning.export` wrote.

    Args:
        path: a run's best_model.safetensors, a model.onnx, a model.xml of OpenVINO, or `torchvision:NAME`.
        options: name the backend and the precision.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`; an exported network computes on the CPU alone.

    Raises:
        UserError: none given, unreadable, damaged, of the other phase; or a backend, device or precision that it cannot
            have.
    """
    kind = path.suffix if path and not is_torchvision(path) else ""
    backend = _backend(path, kind, options.backend)
    if backend == "torch":
        return _of_torch(path, options, device)
    assert path is not None
    if device not in ("auto", "cpu"):
        raise UserError(f"{path} is an exported network, which computes on the CPU here: --device cpu, not {device}")
    precision = resolve_amp(options.amp, CPU) if backend == "openvino" else "off"
    if backend == "onnxruntime" and options.amp not in ("off", "auto"):
        raise UserError(f"--amp {options.amp}: ONNX Runtime computes in fp32 on a CPU: --backend openvino knows bf16")
    load = load_onnxruntime if backend == "onnxruntime" else load_openvino
    scores, header = load(path, torch.get_num_threads(), precision)
    return Loaded(Network(scores, CPU, backend, precision), header)


def load_members(members: Sequence[Path], options: ReadoutOptions, device: str) -> list[Loaded]:
    """Load the networks of an ensemble, or the only one.

    Raises:
        UserError: as `load_network`; or they tell other classes apart, or see other pictures.
    """
    loaded = [load_network(path, options, device) for path in members]
    for path, one in zip(members[1:], loaded[1:], strict=True):
        require_alike(members[0], loaded[0].header, path, one.header)
    return loaded


def _backend(path: Path | None, kind: str, wanted: str) -> str:
    """Return what computes a file of a kind (its suffix); raises UserError where it cannot be what is wanted."""
    able = KINDS.get(kind, ("torch",))
    if wanted == "auto":
        return able[0]
    if wanted not in able:
        if able == ("torch",):
            remedy = (
                f"export them first: ae-pretrained export --model_path {path} --format {wanted.removesuffix('runtime')}"
            )
            raise UserError(f"--backend {wanted} computes exported networks, {path} holds weights: {remedy}")
        raise UserError(f"--backend {wanted} does not compute {path}: {' or '.join(able)} does")
    return wanted


def _of_torch(path: Path | None, options: ReadoutOptions, device: str) -> Loaded:
    here = resolve_device(device)
    precision = resolve_amp(options.amp, here)
    if path is not None and is_torchvision(path):
        foreign, header = load_torchvision(path)
        # Without the model: Grad-CAM knows the layers of our own networks alone.
        return Loaded(network_of(for_inference(foreign, here, precision), here, precision), header)
    model, header = load_model(path, "transfer_learning", SegmentationUNet, here, precision)
    return Loaded(network_of(model, here, precision), header, model)


def network_of(model: nn.Module, device: torch.device, precision: str) -> Network:
    """Return what computes the scores of a network that is ready for inference on a device, at a precision."""

    def scores(images: Tensor, content: Tensor) -> Tensor:
        with autocast(device, precision):
            return model(images, content)

    return Network(scores, device, "torch", precision)

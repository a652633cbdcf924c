"""Which device and which precision a run uses: decided once, written down, never changed behind the user's back."""

import os
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from core.errors import UserError
from core.machine.choices import choice
from core.machine.memory import keep_freed_memory
from core.machine.processes import by_srun, started
from core.networks.kernels import use_kernels
from core.train_config import Amp

if TYPE_CHECKING:
    from core.machine.fabric import Fabric

PRECISIONS = {"off": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
Model = TypeVar("Model", bound=nn.Module)


def lay_out(model: Model, layout: str) -> Model:
    """Return the network in a layout, `contiguous` or `channels_last`, of pictures or of volumes."""
    if _dims_of(model) == 3 and layout == "channels_last":
        return model.to(memory_format=torch.channels_last_3d)
    return model.to(memory_format=LAYOUTS[layout])


def _dims_of(model: nn.Module) -> int:
    return 3 if any(isinstance(module, nn.Conv3d) for module in model.modules()) else 2


def resolve_device(device: str) -> torch.device:
    """Return the torch device for `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.

    Raises:
        UserError: if this machine does not have it.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        resolved = torch.device(device)
    except RuntimeError:
        raise UserError(f"device {device!r} is unknown: use auto, cpu, cuda, cuda:1 or mps") from None
    available = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (resolved.index or 0) >= available.get(resolved.type, 0):
        raise UserError(f"device {device} does not exist on this machine: --device cpu always does")
    return resolved


def resolve_amp(amp: Amp, device: torch.device) -> str:
    """Return `off`, `bf16` or `fp16`; `auto` takes what the hardware computes natively.

    Raises:
        UserError: fp16 on a CPU, which has no kernels for it.
    """
    if amp == "fp16" and device.type == "cpu":
        raise UserError("--amp fp16 needs a GPU: use --amp bf16, off or auto on a CPU")
    if amp != "auto":
        if amp == "bf16" and not _native_bf16(device):
            print("note: this processor has no bf16 instructions; --amp off is many times faster here", file=sys.stderr)
        return amp
    if _native_bf16(device):
        return "bf16"
    return "fp16" if device.type == "cuda" else "off"


def _native_bf16(device: torch.device) -> bool:
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def for_inference(model: Model, device: torch.device, precision: str = "off") -> Model:
    """Return the network in eval mode on a device, as a forward pass is fastest; a CPU's memory is kept."""
    if device.type == "cpu":
        keep_freed_memory()
    fastest = choice("forward", device, precision, _dims_of(model))
    use_kernels(model, fastest.kernels)
    return lay_out(model.to(device), fastest.memory_format).eval()


def make_fabric(
    device: str, amp: Amp, deterministic: bool = False, partly_frozen: bool = False
) -> tuple["Fabric", str]:
    """Return Fabric on one device a process, and the precision (`off`, `bf16`, `fp16`) that `amp` came to.

    Under `torchrun` or SLURM the processes have found each other when this returns. `partly_frozen` says that some
    parameters may have no gradient, for which the processes would otherwise wait; `deterministic` asks for kernels
    that give the same bits every time, and makes torch raise RuntimeError where there is none.

    Raises:
        UserError: the device is not there, or is a single one where several processes need one each.
    """
    from core.machine.fabric import DDPStrategy, Fabric, SLURMEnvironment  # three seconds, which evaluation is spared

    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    torch.use_deterministic_algorithms(deterministic)
    resolved = resolve_device(device)
    if resolved.type == "cpu":
        keep_freed_memory()
    precision = resolve_amp(amp, resolved)
    here, machines = started()
    settings: dict[str, Any] = {"accelerator": resolved.type, "precision": PRECISIONS[precision]}
    if here * machines == 1:
        devices = 1 if resolved.type == "cpu" or resolved.index is None else [resolved.index]
        return Fabric(devices=devices, **settings), precision
    if resolved.index is not None:
        raise UserError(f"--device {device} is one for {here * machines} processes: use --device {resolved.type}")
    if resolved.type == "cuda" and here > torch.cuda.device_count():
        raise UserError(f"{here} processes for {torch.cuda.device_count()} GPUs here: start one for each")
    strategy = DDPStrategy(find_unused_parameters=partly_frozen)
    plugins = [SLURMEnvironment()] if by_srun() else []
    fabric = Fabric(devices=here, num_nodes=machines, strategy=strategy, plugins=plugins, **settings)
    fabric.launch()
    return fabric, precision

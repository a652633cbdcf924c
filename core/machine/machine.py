"""What a run computes on: resolved once, written down, handed to whoever needs it."""

import sys
from dataclasses import dataclass
from typing import Self

import torch

from core.machine.choices import choice, measured
from core.machine.device import PRECISIONS, make_fabric, resolve_amp
from core.machine.fabric import Fabric
from core.machine.processes import Processes
from core.machine.processor import processor
from core.train_config import Kernels, MemoryFormat, TrainConfig


@dataclass(frozen=True)
class Machine:
    """Device, precision, layout, kernels and processes of a run.

    Attributes:
        fabric: Lightning Fabric on this process's device.
        precision: `off`, `bf16` or `fp16`.
        layout: of the network in memory, `contiguous` or `channels_last`.
        kernels: of norms and upsampling, `torch` or `own` (`core.networks.kernels`).
        processes: those of the run, this one among them.
    """

    fabric: Fabric
    precision: str
    layout: str
    kernels: str
    processes: Processes

    @classmethod
    def of(cls, fabric: Fabric, memory_format: MemoryFormat = "auto", kernels: Kernels = "auto", dims: int = 2) -> Self:
        """Describe what a Fabric came to; `auto` takes what was measured to be fastest (`core.machine.choices`)."""
        names = {theirs: ours for ours, theirs in PRECISIONS.items()}
        precision = names[fabric.strategy.precision.precision]
        fastest = choice("step", fabric.device, precision, dims)
        came_to = (
            fastest.memory_format if memory_format == "auto" else memory_format,
            fastest.kernels if kernels == "auto" else kernels,
        )
        # What the first process writes down, all do: they may compute on unlike processors.
        layout, used = fabric.broadcast(came_to)
        return cls(fabric, precision, layout, used, Processes(fabric.global_rank, fabric.world_size))

    def choices(self) -> dict[str, str]:
        """Return what the settings came to that depend on the machine."""
        return {"amp": self.precision, "memory_format": self.layout, "kernels": self.kernels}

    @property
    def device(self) -> torch.device:
        """Where this process's batches go."""
        return self.fabric.device

    @property
    def scales_gradients(self) -> bool:
        """Whether losses are scaled against underflow, and gradients that overflow are left out: fp16 alone.

        An optimiser's fused kernel is then no choice: gradients must be unscaled before they are clipped.
        """
        return self.precision == "fp16"


def make_machine(config: TrainConfig, partly_frozen: bool = False) -> Machine:
    """Return what the settings come to here; see `core.machine.device.make_fabric`.

    Raises:
        UserError: the device is not there, or cannot compute at that precision.
    """
    fabric, precision = make_fabric(config.device, config.amp, config.deterministic, partly_frozen)
    if "auto" in (config.memory_format, config.kernels) and config.dims == 2 and fabric.global_rank == 0:
        _tell_unmeasured(fabric.device, precision)
    return Machine.of(fabric, config.memory_format, config.kernels, config.dims)


def _tell_unmeasured(device: torch.device, precision: str) -> None:
    usual = precision == resolve_amp("auto", device)  # what nobody would choose for its speed needs no hint
    if usual and not measured("step", device, precision):
        print(
            f"note: what is fastest on this kind of processor ({processor(device).kind}, precision {precision}) was "
            "not measured yet: python -m benchmarks.kernels tells, --memory_format and --kernels set it",
            file=sys.stderr,
        )

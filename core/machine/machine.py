"""What a run computes on: resolved once, written down, handed to whoever needs it."""

from dataclasses import dataclass
from typing import Self

import torch

from core.machine.device import LAYOUTS, PRECISIONS, make_fabric, resolve_memory_format
from core.machine.fabric import Fabric
from core.machine.processes import Processes
from core.train_config import MemoryFormat, TrainConfig


@dataclass(frozen=True)
class Machine:
    """Device, precision, layout and processes of a run.

    Attributes:
        fabric: Lightning Fabric on this process's device.
        precision: `off`, `bf16` or `fp16`.
        layout: of the network in memory, `contiguous` or `channels_last`.
        processes: those of the run, this one among them.
    """

    fabric: Fabric
    precision: str
    layout: str
    processes: Processes

    @classmethod
    def of(cls, fabric: Fabric, memory_format: MemoryFormat = "auto") -> Self:
        """Describe what a Fabric came to."""
        names = {theirs: ours for ours, theirs in PRECISIONS.items()}
        precision = names[fabric.strategy.precision.precision]
        return cls(
            fabric, precision, resolve_memory_format(memory_format), Processes(fabric.global_rank, fabric.world_size)
        )

    @property
    def device(self) -> torch.device:
        """Where this process's batches go."""
        return self.fabric.device

    @property
    def memory_format(self) -> torch.memory_format:
        """The layout as torch names it."""
        return LAYOUTS[self.layout]

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
    fabric, _ = make_fabric(config.device, config.amp, config.deterministic, partly_frozen)
    return Machine.of(fabric, config.memory_format)

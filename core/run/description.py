"""What `training_config.json` says of a run."""

from typing import Any

import torch

from core.machine.device import resolve_memory_format
from core.run.folder import identity_of, settings_of
from core.run.provenance import commit, machine, versions
from core.train_config import TrainConfig


def defaults_of(config: TrainConfig) -> dict[str, Any]:
    """Return the default of every setting of a phase: what counts for a run whose version did not have it yet."""
    # Before there was a memory format, no run had any but this.
    return {**settings_of(type(config)()), "memory_format": "contiguous"}


def describe(config: TrainConfig, device: torch.device, precision: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return every setting, what it came to on this machine, and what makes the run what it is.

    Args:
        config: the settings.
        device, precision: what `--device` and `--amp` came to.
        data: fingerprints of what is read; part of the run's identity.
    """
    settings = settings_of(config)
    memory_format = resolve_memory_format(config.memory_format)
    return {
        "settings": settings,
        "identity": {**identity_of(settings), "amp": precision, "memory_format": memory_format, **data},
        "machine": machine(device),
        "versions": versions(),
        "commit": commit(),
    }

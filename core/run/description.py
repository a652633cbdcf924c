"""What `training_config.json` says of a run."""

from collections.abc import Mapping
from typing import Any

from core.machine.machine import Machine
from core.run.folder import identity_of, settings_of
from core.run.provenance import commit, machine, versions
from core.train_config import BEFORE_CHOICE, TrainConfig


def defaults_of(config: TrainConfig) -> dict[str, Any]:
    """Return the default of every setting of a phase: what counts for a run whose version did not have it yet."""
    return {**settings_of(type(config)()), **BEFORE_CHOICE}


def describe(config: TrainConfig, on: Machine, read: Mapping[str, Any]) -> dict[str, Any]:
    """Return every setting, what it came to on this machine, and what makes the run what it is.

    Args:
        config: the settings.
        on: the machine that they came to.
        read: fingerprints of what is read; part of the run's identity.
    """
    settings = settings_of(config)
    return {
        "settings": settings,
        "identity": {**identity_of(settings), **on.choices(), **read},
        "machine": machine(on.device),
        "versions": versions(),
        "commit": commit(),
    }

"""What a phase brings to the training loop."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.sampling import Draws


class Task(ABC):
    """One phase's network, data, losses and scores.

    Attributes:
        model: the network; the loop replaces it by the one that Fabric has set up.
        optimizer: with `initial_lr` in every group, which the schedule scales.
        draws: which pictures each step reads.
        select: the validation score that chooses the best epoch; `maximise` says which way.
        log_columns: of `training_log.csv`, in order.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    draws: Draws
    select: str
    maximise: bool
    log_columns: tuple[str, ...]

    @abstractmethod
    def training_losses(self, step: int) -> dict[str, Tensor | None]:
        """Return `loss` with its graph and the detached parts of it for the batch of a step."""

    @abstractmethod
    def validate(self) -> dict[str, float | None]:
        """Return the validation columns of a log row, each an average over the whole of Val."""

    @abstractmethod
    def header(self) -> dict[str, Any]:
        """Return what the weights file says of the network."""

    def begin_epoch(self, epoch: int) -> None:
        """Set the network to training mode, parts of it perhaps not."""
        self.model.train()

    @abstractmethod
    def save_pictures(self, path: Path) -> None:
        """Save a few pictures that show what the network does by now, as a PNG."""

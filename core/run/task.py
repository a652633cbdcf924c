"""What a phase brings to the training loop."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from core.headers.seen import NOTHING
from core.machine.processes import Processes, Sums
from core.run.sampling import Draws


class Loss(Protocol):
    """What makes the loss and its parts from their sums."""

    def from_sums(self, sums: Sums) -> dict[str, Tensor | None]:
        """Return `loss` with its graph and the detached parts of it."""


class Task(ABC):
    """One phase's network, data, losses and scores.

    Attributes:
        model: the network; the loop replaces it by the one that Fabric has set up.
        loss: makes the loss and its parts from their sums.
        optimizer: with `initial_lr` in every group, which the schedule scales.
        draws: which pictures each step reads, in all processes together.
        processes: those of the run; each reads its share of a step and of Val.
        select: the validation score that chooses the best epoch; `maximise` says which way.
        keeps_last: whether it has no say: the last weights are kept, and no run stops early.
        log_columns: of `training_log.csv`, in order; no two of the same name.
        norms_learn: whether batch norms of the encoder ever normalise by the statistics of a batch.
        seen: the pictures that the weights learn from, those of what they begin with among them (`core.headers.seen`).
    """

    model: nn.Module
    loss: Loss
    optimizer: torch.optim.Optimizer
    draws: Draws
    processes: Processes
    select: str
    maximise: bool
    keeps_last: bool = False
    log_columns: tuple[str, ...]
    norms_learn: bool
    seen: np.ndarray = NOTHING

    @abstractmethod
    def read(self, draw: tuple[np.ndarray, ...]) -> Any:
        """Return the augmented batch of a draw (see `core.run.sampling.Draws`), on the device."""

    @abstractmethod
    def loss_sums(self, batch: Any) -> Sums:
        """Return, with their graph, the sums of a batch that make up its loss."""

    def training_losses(self, step: int) -> dict[str, Tensor | None]:
        """Return `loss` with its graph and the detached parts of it for the batch of a step, over all processes."""
        draw, counted = self.share_of_step(step)
        return self.loss.from_sums(self.processes.add_up(self.loss_sums(self.read(draw)), counted))

    @abstractmethod
    def validate(self) -> dict[str, float | None]:
        """Return the validation columns of a log row, each an average over the whole of Val, in every process."""

    def share_of_step(self, step: int) -> tuple[tuple[np.ndarray, ...], bool]:
        """Return this process's rows of a step's draw, and whether they count.

        Where a pass ends with fewer pictures than there are processes, those without one take the first along.
        """
        draw = self.draws.batch(step)
        share = self.processes.share(len(draw[0]))
        counted = share.start < share.stop
        return tuple(column[share if counted else slice(0, 1)] for column in draw), counted

    def training_scores(self) -> dict[str, float | None]:
        """Return the columns that training itself gave since the last row of the log, and begin anew."""
        return {}

    def carried(self) -> dict[str, Tensor]:
        """Return what the task carries from step to step, alike in every process: part of the run state."""
        return {}

    def carry_on(self, carried: dict[str, Tensor]) -> None:  # noqa: B027 - most have nothing to carry
        """Go on from what `carried` returned; {} where a version of before kept nothing.

        Raises LookupError or RuntimeError where that is of another run.
        """

    @abstractmethod
    def header(self) -> dict[str, Any]:
        """Return what the weights file says of the network."""

    def begin_epoch(self, epoch: int) -> None:
        """Set the network to training mode, parts of it perhaps not."""
        self.model.train()

    @abstractmethod
    def save_pictures(self, path: Path) -> None:
        """Save a few pictures that show what the network does by now, as a PNG."""

"""What a training run left, for tests that compare runs."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from transfer_learning.task import SegmentationTask


@contextmanager
def stopped_at(step: int) -> Iterator[None]:
    """Let Ctrl-C arrive in phase 2 where a step begins."""
    losses = SegmentationTask.training_losses

    def interrupted(self: SegmentationTask, now: int) -> dict[str, Any]:
        if now == step:
            raise KeyboardInterrupt
        return losses(self, now)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SegmentationTask, "training_losses", interrupted)
        yield


def rows_of(folder: Path) -> list[dict[str, str]]:
    """Return the rows of the log without their times."""
    with (folder / "training_log.csv").open() as file:
        return [{key: value for key, value in row.items() if key != "epoch_time"} for row in csv.DictReader(file)]


def state_of(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "state.ckpt", weights_only=True)

"""What a training run left, for tests that compare runs."""

import csv
from pathlib import Path
from typing import Any

import torch


def rows_of(folder: Path) -> list[dict[str, str]]:
    """Return the rows of the log without their times."""
    with (folder / "training_log.csv").open() as file:
        return [{key: value for key, value in row.items() if key != "epoch_time"} for row in csv.DictReader(file)]


def state_of(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "state.ckpt", weights_only=True)

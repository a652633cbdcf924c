"""What an epoch leaves in the run folder, its state aside."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.files import write_json
from core.run.task import Task
from core.seen import SEEN
from core.weights import save_weights


def write_best(folder: Path, task: Task, row: dict[str, Any], header: dict[str, Any]) -> None:
    """Write the weights of the best epoch so far and its log row."""
    write_json(folder / "metrics.json", row)
    save_weights(folder / "best_model.safetensors", _tensors(task), header)


def write_checkpoint(folder: Path, task: Task, header: dict[str, Any]) -> None:
    """Write the weights of an epoch, to be kept."""
    path = folder / "checkpoints" / f"epoch_{header['epoch']}.safetensors"
    save_weights(path, _tensors(task), header)


def _tensors(task: Task) -> dict[str, Tensor]:
    seen = {SEEN: torch.from_numpy(task.seen)} if len(task.seen) else {}
    return {**task.model.state_dict(), **seen}


def draw(folder: Path, task: Task, epoch: int) -> None:
    """Draw a few pictures; one that fails is no reason to lose the run."""
    path = folder / "figures" / f"epoch_{epoch:04d}.png"
    try:
        task.save_pictures(path)
    except Exception as error:
        reason = " ".join(str(error).split()) or "no reason given"
        print(f"note: {path.name} could not be drawn ({type(error).__name__}: {reason}); training goes on")

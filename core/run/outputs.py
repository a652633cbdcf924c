"""What an epoch leaves in the run folder, its state aside."""

from pathlib import Path
from typing import Any

from core.errors import UserError
from core.figures.style import drawn
from core.files import write_json
from core.headers.seen import named, text_of
from core.run.state import Best
from core.run.task import Task
from core.weights import load_weights, save_weights

BEST = "best_model.safetensors"


def write_best(folder: Path, task: Task, row: dict[str, Any], header: dict[str, Any]) -> None:
    """Write the weights of the best epoch so far, or of the last, and its log row."""
    write_json(folder / "metrics.json", row)
    _save(folder / BEST, task, header)


def require_best(folder: Path, best: Best | None) -> None:
    """See that the best weights lie beside the state that names them, and are whole.

    Raises:
        UserError: they are gone or damaged.
    """
    path = folder / BEST
    if best and not path.exists():
        raise UserError(
            f"{path} is missing, which the state beside it says is of epoch {best.epoch}: put it back, or delete "
            f"{folder} to train anew"
        )
    if best:
        try:
            load_weights(path)
        except UserError as error:
            raise UserError(f"{error} (the same command trains anew where {folder} is deleted)") from None


def write_checkpoint(folder: Path, task: Task, header: dict[str, Any]) -> None:
    """Write the weights of an epoch, to be kept."""
    _save(folder / "checkpoints" / f"epoch_{header['epoch']}.safetensors", task, header)


def _save(path: Path, task: Task, header: dict[str, Any]) -> None:
    seen = {"pictures_seen": text_of(task.seen)} if len(named(task.seen)) else {}
    save_weights(path, task.model.state_dict(), {**header, **seen})


def draw(folder: Path, task: Task, epoch: int) -> None:
    """Draw a few pictures; one that fails is no reason to lose the run."""
    drawn(picture_of(folder, epoch), task.save_pictures, then="training goes on")


def picture_of(folder: Path, epoch: int) -> Path:
    """Return where the pictures of an epoch lie, if they were drawn."""
    return folder / "figures" / f"epoch_{epoch:04d}.png"

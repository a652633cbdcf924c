"""Our own training, as the commands run it, in rounds of a few steps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.machine.fabric import Fabric
from core.machine.machine import Machine
from core.run.description import describe
from core.run.folder import RunFolder
from core.run.rounds import in_rounds
from core.run.task import Task
from core.train_config import TrainConfig
from data.opened import open_data
from reconstruction.config import ReconstructionConfig
from reconstruction.task import ReconstructionTask
from transfer_learning.config import SegmentationConfig
from transfer_learning.task import SegmentationTask

TASKS: dict[str, tuple[Callable[..., Task], type[TrainConfig], dict[str, Any]]] = {
    "reconstruction": (ReconstructionTask, ReconstructionConfig, {}),
    "transfer_learning": (SegmentationTask, SegmentationConfig, {"optimizer": "adamw", "momentum": 0.0}),
}


def training(
    phase: str, data_dir: Path, folder: Path, fabric: Fabric, steps: int, fixed_batch: bool = False, **settings: Any
) -> Callable[[], None]:
    """Return a function that trains for so many more steps, each time it is called.

    Args:
        phase: "reconstruction" or "transfer_learning".
        data_dir: prepared data.
        folder: for the run's files.
        fabric: device and precision.
        steps: of a round.
        fixed_batch: True takes one batch, read beforehand, at every step: what the network alone costs.
        settings: of the phase's config.
    """
    task_type, config_type, more = TASKS[phase]
    config = config_type(data_dir=data_dir, output_dir=folder, max_steps=10**6, val_every=10**6, **more, **settings)
    machine = Machine.of(fabric, config.memory_format, config.kernels)
    task = task_type(config, *open_data(data_dir).splits("Train", "Val"), machine)
    if fixed_batch:
        batch = task.read(task.draws.batch(0))
        task.read = lambda draw: batch  # type: ignore[method-assign]
    run = RunFolder(folder, describe(config, machine, {}), task.log_columns)
    return in_rounds(task, config, machine, run, steps)

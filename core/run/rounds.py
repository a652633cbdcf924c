"""A training in rounds of a few steps, to be timed: nothing is validated, and nothing written."""

from collections.abc import Callable

from core.machine.machine import Machine
from core.run.console import Console
from core.run.folder import RunFolder
from core.run.loop import Loop
from core.run.signals import StopSignals
from core.run.task import Task
from core.train_config import TrainConfig


def in_rounds(task: Task, config: TrainConfig, machine: Machine, folder: RunFolder, steps: int) -> Callable[[], None]:
    """Return a function that trains for so many more steps each time it is called.

    Args:
        task: of either phase; its first epoch begins.
        config: the settings, whose run is longer than all rounds.
        machine: what it computes on.
        folder: of the run.
        steps: of a round.
    """
    loop = Loop(task, config, machine, folder)
    console = Console(loop.epochs, loop.steps_per_epoch, loop.total_steps, epoch=1, done=0, quiet=True)
    signals = StopSignals()
    task.begin_epoch(1)

    def round_of_steps() -> None:
        loop.train_until(loop.step + steps, console, signals)

    return round_of_steps

"""How both phases train: machine, task, run folder, loop."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar, get_args

from core.errors import UserError
from core.filing.finished_run import seal_run
from core.filing.json_file import read_json
from core.filing.seal import Seal
from core.machine.machine import Machine, make_machine
from core.run.description import defaults_of, describe
from core.run.folder import RunFolder
from core.run.initial_weights import load_initial, sha256_of_initial
from core.run.loop import Loop
from core.run.task import Task
from core.run.trackers.following import Trackers
from core.train_config import BEFORE_CHOICE, Kernels, MemoryFormat, TrainConfig

AnyConfig = TypeVar("AnyConfig", bound=TrainConfig)
PhaseTask = TypeVar("PhaseTask", bound=Task)


def train_task(
    config: TrainConfig,
    make_task: Callable[[Machine], PhaseTask],
    read: Mapping[str, str | None],
    opening: Callable[[PhaseTask], Iterable[str]],
    seal: Seal,
    partly_frozen: bool = False,
) -> None:
    """Train from settings to finished run folder.

    Args:
        config: the settings.
        make_task: makes the phase's task on a machine.
        read: fingerprints of what the run reads; part of its identity.
        opening: what is said before the first step: a sentence without its end, which names the machine, then notes.
        seal: of the finished run (`core.filing.finished_run`).
        partly_frozen: whether some parameters may have no gradient.

    Raises:
        UserError: settings, data or weights do not fit, or the run folder holds another run.
        RunError: training broke.
    """
    machine = make_machine(as_begun(config), partly_frozen)
    task = make_task(machine)
    if config.init_weights:
        load_initial(task, config.init_weights)
    description = describe(config, machine, {**read, **sha256_of_initial(config)})
    writes = machine.processes.is_first
    with (
        RunFolder(config.output_dir, description, task.log_columns, writes, defaults_of(config)) as folder,
        Trackers(config.tracker if writes else (), config.output_dir, description, task.log_columns) as trackers,
    ):
        summary, *notes = opening(task)
        machine.processes.say(f"{summary}, on {machine.device}, precision {machine.precision}")
        for note in (*notes, *config.never_reached(task.draws.steps_per_pass)):
            machine.processes.say(f"note: {note}")
        loop = Loop(task, config, machine, folder, trackers)
        loop.run()
        if writes:
            seal_run(seal, loop.best_text())


def as_begun(config: AnyConfig) -> AnyConfig:
    """Return settings in which what was left to the machine is what the run in their folder, if any, began with.

    It may have begun on another processor, or before that was measured: going on does not change its bits.
    """
    file = config.output_dir / "training_config.json"
    if not file.exists():
        return config
    try:
        earlier = {**BEFORE_CHOICE, **read_json(file)["identity"]}
    except (UserError, ValueError, KeyError, TypeError):
        return config  # which the run folder tells
    known = {"memory_format": get_args(MemoryFormat), "kernels": get_args(Kernels)}
    left = [name for name in known if getattr(config, name) == "auto" and earlier[name] in known[name]]
    return replace(config, **{name: earlier[name] for name in left})

"""Trainings side by side, each with its scoring behind it; what is scored is not done again."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import RunError
from core.files import open_bytes
from core.run.state import PREVIOUS_STATE, STATE
from core.terminal.progress import HEARTBEAT_SECONDS, Clock, bar, duration
from experiments.grid.run_folder import is_free
from experiments.grid.workers import Command, Worker

LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Chain:
    """Commands one after the other, in a process of their own.

    Args:
        name: in progress and errors.
        commands: what it does.
        console: the file that what they say goes to.
        leaves: the file that says that it is done.
        seconds: about how long it takes.
        run: the folder that the first command writes to alone; a process of an earlier call may still leave it.
        keeps_state: whether the run can go on once it is done. A state is three times the weights, and there are many.
    """

    name: str
    commands: tuple[Command, ...]
    console: Path
    leaves: Path
    seconds: float
    run: Path
    keeps_state: bool = False

    @property
    def done(self) -> bool:
        """Whether it was finished, by this call or an earlier one."""
        return self.leaves.is_file()

    def clear(self) -> None:
        """Remove the states of what is done, unless they are kept."""
        if self.done and not self.keeps_state:
            for name in (STATE, PREVIOUS_STATE):
                (self.run / name).unlink(missing_ok=True)


def run_all(chains: Sequence[Chain], what: str, slots: int, threads: int) -> None:
    """Run what is not done yet, so many side by side; a stop lets what is under way save and leave.

    Raises:
        RunError: a chain failed; nothing further is begun, and the same command goes on.
    """
    for chain in chains:
        chain.clear()  # of a call that was stopped before it could
    left = [chain for chain in chains if not chain.done]
    running: list[tuple[Chain, Worker]] = []
    done = said = time.perf_counter()
    whole = sum(chain.seconds for chain in left)
    with bar(Clock(), transient=True) as progress:
        task = progress.add_task(what, total=len(chains), completed=len(chains) - len(left))
        try:
            while left or running:
                while left and len(running) < slots and is_free(left[0].run):
                    running.append((left[0], _begun(left.pop(0), threads)))
                time.sleep(LOOK_SECONDS)
                for chain, worker in [pair for pair in running if pair[1].poll() is not None]:
                    running.remove((chain, worker))
                    _require_well(chain, worker)
                    chain.clear()
                    progress.advance(task)
                if progress.disable and time.perf_counter() - said > HEARTBEAT_SECONDS:
                    said = time.perf_counter()
                    open_ = sum(chain.seconds for chain in left) + sum(chain.seconds for chain, _ in running) / 2
                    count = len(chains) - len(left) - len(running)
                    print(f"{what}: {count} of {len(chains)}, about {duration(open_ / slots)} left", flush=True)
        finally:
            for _, worker in running:
                worker.terminate()
            for _, worker in running:
                worker.wait()
    if whole:
        print(f"{what}: {len(chains)} of {len(chains)} in {duration(time.perf_counter() - done)}", flush=True)


def _begun(chain: Chain, threads: int) -> Worker:
    chain.console.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    return Worker(chain.commands, chain.console, threads)


def _require_well(chain: Chain, worker: Worker) -> None:
    if worker.returncode == 0 and chain.done:
        return
    with open_bytes(chain.console) as file:
        lines = file.read().decode("utf-8", errors="replace").splitlines()
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    said = (errors or ["it said nothing"])[-1]
    raise RunError(f"{chain.name} failed: {said} ({chain.console}); the same command goes on")

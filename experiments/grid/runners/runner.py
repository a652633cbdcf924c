"""What a grid asks of whatever runs its works, and which it is."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Protocol

from core.errors import UserError
from core.extras import to_install
from experiments.grid.config import AblationConfig
from experiments.grid.jobs import Work
from experiments.grid.runners.local import Local
from experiments.grid.workers import Command

PACKAGES = {"ray": "ray", "slurm": "submitit"}


class Process(Protocol):
    """A work under way, here or elsewhere; used like `subprocess.Popen`."""

    @property
    def returncode(self) -> int | None:
        """The exit code, minus the signal that ended it, or None while it runs."""

    @property
    def lost(self) -> str | None:
        """Why it ended where the work has no say in it, a node that died say; None where its exit code is its own."""

    def poll(self) -> int | None:
        """Look whether it is over; returns `returncode`."""

    def wait(self) -> int | None:
        """Wait until it is over, or was told to leave and has; returns its exit code."""

    def terminate(self) -> None:
        """Ask it to save and leave."""

    def kill(self) -> None:
        """End it at once."""


class Runner(Protocol):
    """Runs works side by side.

    Attributes:
        threads: of each work.
        where: the place, in words that follow "2 at a time".
    """

    threads: int
    where: str

    @property
    def slots(self) -> int:
        """How many works there is room for now, those under way included."""

    def start(self, work: Work, commands: Sequence[Command]) -> Process:
        """Run commands one after the other until one fails; what they say goes to the end of `work.console`.

        Raises:
            UserError: it could not be begun.
        """

    def close(self) -> None:
        """Let go of whatever runs them; nothing is under way any more."""


def runner_of(config: AblationConfig) -> Runner:
    """Return what the settings ask for.

    Raises:
        UserError: its package is not installed, or there is no such cluster.
    """
    package = PACKAGES.get(config.runner)
    if package and not find_spec(package):
        raise UserError(f"--runner {config.runner}: {package} is not installed: {to_install('cluster')}")
    if config.runner == "ray":
        from experiments.grid.runners.ray_tasks import RayRunner

        return RayRunner(config)
    if config.runner == "slurm":
        from experiments.grid.runners.slurm_jobs import SlurmRunner

        return SlurmRunner(config)
    return Local(config.jobs)

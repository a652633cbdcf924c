"""The runs of an ablation: each knows its commands, what it waits for and what it leaves. Here those of phase 1."""

import dataclasses
import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from core.files import file_sha256, read_text
from experiments.ablation.format import PretrainingRun, Result, read
from experiments.grid.passes import with_passes
from experiments.grid.planning.prepared import GridData
from experiments.grid.planning.variants import MANAGED, Plan, Pretraining, plain
from experiments.grid.run_folder import WEIGHTS, pretraining_of, write_result
from experiments.grid.workers import Command
from experiments.page.command_lines import defaults, flag


@dataclass(eq=False)
class Work(ABC):
    """One process of the grid, with a run folder of its own and a JSON that says that it is finished.

    Attributes:
        needs: what must be finished before.
        problem: the line with which it failed last; None where it did not.
    """

    plan: Plan
    data: GridData
    needs: list["Work"] = field(default_factory=list, kw_only=True)

    phase: ClassVar[str]
    leaves: ClassVar[type[Result]]  # what its JSON holds

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is called in progress and errors."""

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Its run folder."""

    @property
    def console(self) -> Path:
        """What its process says."""
        return self.folder / "console.txt"

    @property
    @abstractmethod
    def file(self) -> Path:
        """The JSON that it leaves in the results folder."""

    @property
    @abstractmethod
    def config(self) -> Any:
        """Its settings, those that the grid sets aside."""

    @abstractmethod
    def commands(self) -> list[Command]:
        """Return what its process does; everything that it needs is finished."""

    @abstractmethod
    def finish(self) -> str:
        """Write its JSON from what the process left; returns what came out of it, in words."""

    @property
    def done(self) -> bool:
        """Whether it was finished, by this call or an earlier one."""
        return self.file.exists()

    @property
    def problem(self) -> str | None:
        """The line with which it failed when it was last tried."""
        path = self.folder / "failed.txt"
        return read_text(path).strip() if path.exists() else None

    @property
    def can_begin(self) -> bool:
        """Whether all is known that its run folder is named after."""
        return True

    @property
    def trained_before(self) -> bool:
        """Whether another run of the grid, which it waits for, does its training."""
        return False

    def excused(self, problem: str) -> bool:
        """Say whether a failure is a result all the same, and keep it as one."""
        return False

    @property
    def untransferred(self) -> dict[str, Any]:
        """The settings with which a few steps of it can be tried without what it needs."""
        return {}

    @property
    def rows(self) -> int:
        """Rows that its log will have, unless phase 1 stops early."""
        return self.config.rows

    @property
    def images(self) -> int:
        """Training pictures that it will see, likewise."""
        assert self.config.max_steps, "which phase 2 has in every grid"
        return int(self.config.max_steps * self.config.batch_size)

    @property
    def passes(self) -> int:
        """Picture passes that it will take, likewise."""
        return round(self.images * self.config.passes_per_step / self.config.batch_size)

    def run_folders(self) -> list[tuple[Path, dict[str, Any]]]:
        """Return the run folders that it may go on in, each with the settings of the run there."""
        return [(self.folder, plain(self.config))]

    def training_command(self) -> Command:
        """Return the command that trains it."""
        return self.command_at(self.folder)

    def command_at(self, folder: Path, **settings: Any) -> Command:
        """Return a training command with places, the given settings, and its own that are not the defaults."""
        known = defaults(self.phase)
        own = json.loads(json.dumps(dataclasses.asdict(self.config), default=str))
        settings = {**self.plan.config.data_settings(), "output_dir": folder, **settings}
        words: list[str] = []
        for name, value in {**own, **settings}.items():
            if name in settings or (value != known[name] and name not in MANAGED[self.phase]):
                words += flag(name, value)
        return [f"{self.phase}.train", words]


@dataclass(eq=False)
class PretrainingWork(Work):
    """A phase 1 run that several variants begin with, of paired ones the arms of one seed alone."""

    pretraining: Pretraining

    phase = "reconstruction"
    leaves = PretrainingRun

    @property
    def name(self) -> str:
        """What it is called in progress and errors."""
        return f"pretraining {self.pretraining.name}"

    @property
    def folder(self) -> Path:
        """Its run folder."""
        return self.plan.config.output_dir / "pretraining" / self.pretraining.name

    @property
    def file(self) -> Path:
        """The JSON that it leaves in the results folder."""
        return self.plan.config.results_dir / "pretraining" / f"{self.pretraining.name}.json"

    @property
    def config(self) -> Any:
        """Its settings, those that the grid sets aside."""
        return self.pretraining.config

    @property
    def images(self) -> int:
        """Training pictures that it will see, unless it stops early."""
        return super().images if self.config.max_steps else int(self.config.epochs * self.pool_size)

    @property
    def pool_size(self) -> int:
        """Pictures that it learns from."""
        return self.data.pool_size(self.config.pictures)

    @property
    def weights(self) -> Path:
        """What the arms begin with."""
        return self.folder / WEIGHTS

    @property
    def at_hand(self) -> bool:
        """Whether the weights that the JSON speaks of lie in the run folder."""
        if not self.done or not self.weights.exists():
            return False
        return file_sha256(self.weights) == read(self.file, PretrainingRun).sha256

    def commands(self) -> list[Command]:
        """Return what its process does."""
        return [self.training_command()]

    def content(self) -> PretrainingRun:
        """Return what its finished run folder says."""
        run = pretraining_of(self.folder, self.pretraining.name, self.data, self.pool_size)
        assert run.compute
        cost = with_passes(run.compute, self.config, self.weights, self.data.resolution)
        return run.model_copy(update={"compute": cost})

    def finish(self) -> str:
        """Write its JSON; returns the scores in words."""
        content = self.content()
        if not self.done:
            write_result(self.file, content)
        elif content.sha256 != read(self.file, PretrainingRun).sha256:
            return (
                f"WARNING: its weights are others than those of {self.file} (another machine or version, or the file "
                "was changed), from which the finished arms may come; arms to come keep the SHA-256 of these"
            )
        return f"Val loss {content.val_loss:.4f}"

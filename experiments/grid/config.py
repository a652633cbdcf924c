"""The settings of the ablation."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import tyro

from core.errors import UserError
from core.filing.data_config import DataConfig
from core.filing.kinds import ABLATION, FOLDERS
from core.filing.paths import expanded
from experiments.ablation.plan_format import PretrainingSeeds

MOST = 2**63  # of picture passes, which no computer makes
# Whole mappings: they have no flags, only the file gives them.
Settings = tyro.conf.Suppress[dict[str, Any] | None]
Draws = tyro.conf.Suppress[dict[float, tuple[int, ...]]]
Named = tyro.conf.Suppress[dict[str, dict[str, Any] | None]]


@dataclass(frozen=True)
class AblationConfig(DataConfig):
    """What the grid is made of, where it goes, and how many trainings run side by side."""

    writes: ClassVar[dict[str, str]] = {"output_dir": FOLDERS, "results_dir": ABLATION}

    output_dir: Path = Path("runs/ablation")
    """Run folders: large, needed until their arms are finished, never committed."""
    results_dir: Path = Path("evaluation_results/ablation")
    """A small JSON for each finished arm: what the tables read and what the grid goes on from."""
    jobs: int = 1
    """Trainings side by side; each has its share of the processor's cores. With --runner slurm: jobs that are handed in
    at once; with ray the nodes' room says how many."""
    runner: Literal["local", "ray", "slurm"] = "local"
    """Where trainings run: as processes here, as tasks of a Ray cluster, as jobs of SLURM (docs/ablation.md)."""
    cpus_per_arm: int = 1
    """With --runner ray or slurm: cores, and threads, of each training."""
    gpus_per_arm: int = 0
    """Likewise: GPUs."""
    ray_address: str | None = None
    """With --runner ray: the cluster, host:port. Left out: that of $RAY_ADDRESS, or one that runs on this machine, or
    one of this machine alone, begun for the grid."""
    node_dir: Path | None = None
    """With --runner ray: a place on each node's own disk for data, weights and run folders, which Ray carries there and
    back. Left out: the nodes share this machine's disk, and all lies there under the same paths."""
    seeds: tuple[int, ...] = (1, 2, 3)
    """Each draws its own labels, first weights and order; rates are tuned with the first."""
    more_seeds: Draws = field(default_factory=dict)
    """Fraction -> seeds beside the others: five pictures say little, so that 1 % of the labels wants more draws."""
    fractions: tuple[float, ...] = (0.01, 0.05, 0.1, 0.25, 1.0)
    """Shares of the labelled training pictures or volumes, or whole numbers of them above 1: 3 10 1.0."""
    learning_rates: tuple[float, ...] = (0.001, 0.003, 0.01)
    """Rates that every variant tries; Val chooses. A single one is taken as it is."""
    tuned_at: tuple[float, ...] = (0.1, 1.0)
    """Fractions at which the rate is tuned; the others take that of the nearest, by their ratio."""
    baseline: str = "scratch"
    """The variant without pretraining that the others are compared with."""
    budgets: tuple[int, ...] = ()
    """Picture passes, rising, phase 1's among them (a forward pass counts 1 a picture, one with its way back 3): within
    each the best arm is compared with the best from scratch, whatever their steps."""
    pretraining_seeds: PretrainingSeeds = "shared"
    """shared: every pretraining is trained once, and arms of all seeds begin with it. paired: once a seed of the arms,
    with that seed, and arms begin with that of their own, so that seeds are independent from end to end."""
    data_note: str | None = None
    """What a reader of its verdicts must know of the data: "a partial mirror, masks of six breeds". It stands beside
    them in tables and summary."""
    only: Annotated[tuple[str, ...] | None, tyro.conf.arg(name="variants")] = None
    """Restrict the grid to these variants of the file. Without it: all."""
    list: bool = False
    """Show the plan, what of it is done, and how long the rest will take by runs that were timed; train nothing."""
    measure: bool = False
    """With --list: first take a few steps of each kind of run that was not timed yet, which takes minutes."""
    verbose: bool = False
    """Show the command of each run that begins (its folder keeps it in command.txt)."""
    slurm: Settings = None
    """With --runner slurm: submitit's parameters, such as slurm_partition, timeout_min or mem_gb."""
    common: Settings = None
    """Phase 2 settings of every arm."""
    pretraining_common: Settings = None
    """Phase 1 settings of every pretraining."""
    pretraining: Named = field(default_factory=dict)
    """Name -> the phase 1 settings that make it different."""
    variants: Named = field(default_factory=dict)
    """Name -> title, pretraining, outside_weights, and the phase 2 settings that make it different."""

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise UserError(f"jobs {self.jobs} must be at least 1")
        if self.cpus_per_arm < 1 or self.gpus_per_arm < 0:
            raise UserError(
                f"cpus_per_arm {self.cpus_per_arm} must be at least 1 and gpus_per_arm {self.gpus_per_arm} at least 0"
            )
        if self.node_dir and not Path(expanded(self.node_dir)).is_absolute():
            raise UserError(f"node_dir {self.node_dir} must begin with /: nodes have working folders of their own")
        if self.measure and not self.list:
            raise UserError("--measure goes with --list: a grid that runs times its own runs")
        if self.only == ():
            raise UserError("--variants is empty: name at least one, or leave it out for all")
        for name in ("seeds", "fractions", "learning_rates", "tuned_at"):
            _require_distinct(name, getattr(self, name))
        for name in ("fractions", "learning_rates", "tuned_at"):
            for value in getattr(self, name):
                if not 0 < value < math.inf:
                    raise UserError(f"{name}: {value} must be a finite number above 0")
        if list(self.budgets) != sorted({*self.budgets}) or any(not 0 < budget < MOST for budget in self.budgets):
            raise UserError(f"budgets {', '.join(map(str, self.budgets))}: give numbers above 0, each above the last")
        for fraction, more in self.more_seeds.items():
            if not (0 < fraction <= 1 or is_number_of_labels(fraction)):
                raise UserError(f"more_seeds: {fraction} is neither a fraction in (0, 1] nor a whole number of labels")
            _require_distinct(f"seeds and more_seeds at {fraction:g}", (*self.seeds, *more))
        for name in (*self.pretraining, *self.variants):
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
                raise UserError(f"the name {name!r} becomes part of file names: use letters, digits, _, . and -")

    @property
    def goes_on(self) -> bool:
        """Whether the same command goes on where it was stopped; a list begins anew."""
        return not self.list

    def idle(self) -> dict[str, str]:
        """Return the settings that have no say beside the others, each with why."""
        without = {
            "local": ("cpus_per_arm", "gpus_per_arm", "ray_address", "node_dir"),
            "ray": ("jobs",),
            "slurm": ("ray_address", "node_dir"),
        }
        return dict.fromkeys(without[self.runner], f"has no say with --runner {self.runner}")

    def seeds_at(self, fraction: float) -> tuple[int, ...]:
        """Return the seeds that arms of a fraction are trained with."""
        return (*self.seeds, *self.more_seeds.get(fraction, ()))


def is_number_of_labels(fraction: float) -> bool:
    """Say whether a label fraction is meant as a number of labels: 1 is all."""
    return fraction > 1 and float(fraction).is_integer()


def _require_distinct(name: str, values: Sequence[float]) -> None:
    if not values:
        raise UserError(f"{name} is empty: give at least one")
    # As they are written in the names of folders and files.
    written = [f"{value:g}" for value in values]
    twice = [text for text in dict.fromkeys(written) if written.count(text) > 1]
    if twice:
        raise UserError(f"{name}: {', '.join(twice)} is given twice")

"""What plan.json in an ablation's results folder holds: the grid, and what its variants are."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from experiments.ablation.format import PhaseTwo
from experiments.evaluations import Content, Settings

PLAN = "plan.json"

PretrainingSeeds = Literal["shared", "paired"]


def _rising(values: tuple[int, ...]) -> tuple[int, ...]:
    if list(values) != sorted({*values}):
        raise ValueError("each must be above the one before")
    return values


class VariantContent(Content):
    """What the plan says of a variant.

    `baseline`: the variant that it is compared with, if not the plan's; `control`: whether it may differ in more than
    one thing, its steps among them, and so is never the best after equal steps; `tags`: what it learned from beside
    pictures and masks; `family`: of variants that are one curve over compute, None of one that is its own; `taught_by`:
    the variant whose arms label unlabelled pictures for its own; `learning_rate`: taken as it is instead of tuned.
    """

    title: str
    outside_weights: bool
    control: bool = False
    autoencoder: bool
    settings: Settings
    pretraining: str | None = None
    baseline: str | None = None
    tags: tuple[str, ...] = ()
    family: str | None = None
    taught_by: str | None = None
    learning_rate: Annotated[float, Field(gt=0)] | None = None


class PlanContent(Content):
    """What the grid was.

    `more_seeds`: fraction -> seeds beyond those of all fractions; `budgets`: picture passes, rising, within which arms
    are compared whatever their steps; `pretraining_seeds`: whether the pretrainings of the call that wrote it are
    shared by the arms' seeds, or each seed has its own; `data_note`: what a reader of verdicts must know of the data.
    """

    format: Literal["ablation plan 1"] = "ablation plan 1"
    baseline: str
    fractions: tuple[float, ...]
    seeds: tuple[int, ...]
    more_seeds: Annotated[dict[float, tuple[int, ...]], Field(default_factory=dict)]
    learning_rates: tuple[float, ...] = ()
    tuned_at: tuple[float, ...] = ()
    budgets: Annotated[tuple[Annotated[int, Field(gt=0, lt=2**63)], ...], AfterValidator(_rising)] = ()
    pretraining_seeds: PretrainingSeeds = "shared"
    data_note: str | None = None
    variants: dict[str, VariantContent]

    def seeds_at(self, fraction: float) -> tuple[int, ...]:
        """Return all seeds that a fraction has, rising."""
        return tuple(sorted({*self.seeds, *self.more_seeds.get(fraction, ())}))

    def is_paired(self, content: PhaseTwo) -> bool:
        """Say whether a run began with a phase 1 of its own seed."""
        name = self.variants[content.arm.variant].pretraining
        return bool(content.pretraining and name and content.pretraining.name == paired_name(name, content.arm.seed))

    def phase_1_of(self, content: PhaseTwo) -> str | None:
        """Return what the phase 1 of a run is called, whichever seed it has; None where it began from scratch."""
        if self.is_paired(content):
            return self.variants[content.arm.variant].pretraining
        return content.pretraining.name if content.pretraining else None


def paired_name(name: str, seed: int) -> str:
    """Return what a pretraining is called that only arms of a seed begin with."""
    return f"{name}__seed_{seed}"

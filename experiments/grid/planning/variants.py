"""What an ablation is made of: variants, the pretrainings that they share, and the whole grid."""

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from core.train_config import CHOSEN, NOT_COMPARED, by_content
from experiments.ablation.plan_format import paired_name
from experiments.grid.config import AblationConfig
from experiments.page.command_lines import defaults
from reconstruction.config import ReconstructionConfig
from transfer_learning.config import SegmentationConfig

# What the grid itself sets.
MANAGED = {
    "reconstruction": ("data_dir", "output_dir"),
    "transfer_learning": (
        "data_dir",
        "output_dir",
        "pretrained_encoder",
        "teacher_weights",
        "label_fraction",
        "seed",
        "lr",
    ),
}


@dataclass(frozen=True)
class Pretraining:
    """A phase 1 run that variants share; `Plan.pretraining_at` says with which seed."""

    name: str
    config: ReconstructionConfig


@dataclass(frozen=True)
class Variant:
    """A way to begin and to train phase 2.

    Args:
        title: a line for readers.
        pretraining: name of the phase 1 run; None to start from scratch.
        outside_weights: whether anything in it was trained on other data.
        control: whether it may differ in what all arms must share (steps, augmentation, …); never the best variant
            after equal steps.
        baseline: the variant that it is compared with, where it is not the plan's.
        tags: what it learns from beside pictures and masks.
        family: of the variants that are one curve over compute; None where it is its own.
        taught_by: the variant, above it in the file, whose arms label unlabelled pictures for its own.
        learning_rate: taken as it is, where the grid's rates are not tried for it.
        own: the phase 2 settings that make it different.
        config: all its phase 2 settings; those that the grid sets are at their defaults.
    """

    name: str
    title: str
    pretraining: str | None
    outside_weights: bool
    control: bool
    baseline: str | None
    tags: tuple[str, ...]
    family: str | None
    taught_by: str | None
    learning_rate: float | None
    own: dict[str, Any]
    config: SegmentationConfig


@dataclass(frozen=True)
class Plan:
    """The whole grid; `chosen` are the variants that this call works on."""

    config: AblationConfig
    pretrainings: dict[str, Pretraining]
    variants: dict[str, Variant]
    chosen: tuple[str, ...]

    @property
    def trained(self) -> list[Variant]:
        """The variants that this call works on, and those whose arms teach these."""
        found = dict.fromkeys(self.chosen)
        for name in self.chosen:
            teacher = self.variants[name].taught_by
            while teacher:
                found[teacher] = None
                teacher = self.variants[teacher].taught_by
        return [self.variants[name] for name in found]

    @property
    def begun_with(self) -> list[str]:
        """The pretrainings that these begin with."""
        return list(dict.fromkeys(variant.pretraining for variant in self.trained if variant.pretraining))

    def pretraining_at(self, name: str, seed: int) -> Pretraining:
        """Return the phase 1 run that arms of a seed begin with, where their variant has the pretraining of a name."""
        shared = self.pretrainings[name]
        if self.config.pretraining_seeds == "shared":
            return shared
        return Pretraining(paired_name(name, seed), dataclasses.replace(shared.config, seed=seed))

    @cached_property
    def all_pretrainings(self) -> dict[str, Pretraining]:
        """Every phase 1 run that an arm of the grid may begin with, by its name."""
        more = [seed for seeds in self.config.more_seeds.values() for seed in seeds]
        seeds = dict.fromkeys((*self.config.seeds, *more))
        runs = (self.pretraining_at(name, seed) for name in self.pretrainings for seed in seeds)
        return {run.name: run for run in runs}

    def rates_of(self, variant: Variant) -> tuple[float, ...]:
        """Return the learning rates that a variant tries; one alone is taken as it is."""
        return self.config.learning_rates if variant.learning_rate is None else (variant.learning_rate,)

    def tuned_at(self, fraction: float) -> float:
        """Return the fraction whose learning rate an arm takes."""
        return nearest_fraction(fraction, self.config.tuned_at)


def nearest_fraction(fraction: float, tuned_at: Iterable[float]) -> float:
    """Return the nearest of the fractions at which rates are tuned, by ratio, the larger of two as near."""
    return min(tuned_at, key=lambda tuned: (abs(math.log(tuned / fraction)), -tuned))


def plain(config: Any) -> dict[str, Any]:
    """Return the settings that make a run what it is (no places, no device) as plain JSON values."""
    values = {**json.loads(json.dumps(dataclasses.asdict(config), default=str)), **by_content(config)}
    return {name: value for name, value in values.items() if name not in NOT_COMPARED}


def differing(
    settings: Mapping[str, Any], wanted: Mapping[str, Any], phase: str, leave_out: Iterable[str] = ()
) -> list[str]:
    """Return the differences between the settings that a run kept and those of the plan, one text each.

    A setting that a run of an older version did not have counts as its default.
    """
    known = defaults(phase)
    found = []
    for name, now in wanted.items():
        if name in leave_out or (name in CHOSEN and now == "auto"):  # kept as what they came to
            continue
        there = settings.get(name, known[name])
        if there != now:
            found.append(f"{name} {there!r} there, {now!r} now")
    return found

"""All runs of an ablation, in the order in which they are begun."""

from collections.abc import Mapping

from experiments.grid.arms import TestedArm, TuningWork
from experiments.grid.jobs import PretrainingWork, Work
from experiments.grid.plan import Plan
from experiments.grid.prepared import Data
from experiments.grid.variants import Variant

# Of a variant at a fraction: the runs of the little grid.
Trials = dict[tuple[str, float], list[TuningWork]]


def all_works(plan: Plan, data: Data) -> list[Work]:
    """Return the runs of the grid in the order in which they are begun.

    First the rates are tuned, each pretraining right before the first run that needs it; then the arms, all variants
    and fractions of a seed before the next seed, so that a grid that is stopped is a fair comparison of fewer seeds.
    Seeds that some fractions alone have come last.
    """
    variants = [plan.variants[name] for name in plan.chosen]
    needed = dict.fromkeys(variant.pretraining for variant in variants if variant.pretraining)
    pretrainings = {name: PretrainingWork(plan, data, plan.pretrainings[name]) for name in needed}
    works: list[Work] = []
    trials: Trials = {}
    for variant in variants:
        before = _before(variant, pretrainings)
        works += [work for work in before if work not in works]
        trials |= _tuning(plan, data, variant, before)
        works += [work for (name, _), tried in trials.items() if name == variant.name for work in tried]
    return works + _arms(plan, data, variants, pretrainings, trials)


def _before(variant: Variant, pretrainings: Mapping[str, PretrainingWork]) -> list[PretrainingWork]:
    return [pretrainings[variant.pretraining]] if variant.pretraining else []


def _tuning(plan: Plan, data: Data, variant: Variant, before: list[PretrainingWork]) -> Trials:
    config = plan.config
    rates = config.learning_rates if len(config.learning_rates) > 1 else ()
    return {
        (variant.name, fraction): [
            TuningWork(plan, data, variant, fraction, config.seeds[0], rate, needs=list(before)) for rate in rates
        ]
        for fraction in dict.fromkeys(map(plan.tuned_at, config.fractions))
    }


def _arms(
    plan: Plan, data: Data, variants: list[Variant], pretrainings: Mapping[str, PretrainingWork], trials: Trials
) -> list[Work]:
    config = plan.config
    more = [seed for seeds in config.more_seeds.values() for seed in seeds]
    works: list[Work] = []
    for seed in dict.fromkeys((*config.seeds, *more)):
        for fraction in config.fractions:
            for variant in variants if seed in config.seeds_at(fraction) else ():
                needs = [*_before(variant, pretrainings), *trials[variant.name, plan.tuned_at(fraction)]]
                works.append(TestedArm(plan, data, variant, fraction, seed, needs=needs))
    return works

"""All runs of an ablation in the order in which they are begun, which are to do, and whose their run folders are."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import file_sha256
from experiments.evaluations import read_json
from experiments.grid.arms import TestedArm, TuningWork
from experiments.grid.jobs import PretrainingWork, Work
from experiments.grid.planning.prepared import GridData
from experiments.grid.planning.variants import Plan, Variant, differing

# Of a variant at a fraction: the runs of the little grid.
Trials = dict[tuple[str, float], list[TuningWork]]


class Pretrainings:
    """The phase 1 runs of a grid, each made once, when first asked for."""

    def __init__(self, plan: Plan, data: GridData) -> None:
        self._plan, self._data = plan, data
        self._made: dict[str, PretrainingWork] = {}

    def before(self, variant: Variant, seed: int) -> list[PretrainingWork]:
        """Return what an arm of a variant and seed begins with: one run or none."""
        if variant.pretraining is None:
            return []
        pretraining = self._plan.pretraining_at(variant.pretraining, seed)
        found = self._made.setdefault(pretraining.name, PretrainingWork(self._plan, self._data, pretraining))
        return [found]


def all_works(plan: Plan, data: GridData) -> list[Work]:
    """Return the runs of the grid in the order in which they are begun.

    First the rates are tuned, with the first seed; then the arms, all variants and fractions of a seed before the next
    seed, so that a grid that is stopped is a fair comparison of fewer seeds. Seeds that some fractions alone have come
    last. Each pretraining comes right before the first run that needs it.
    """
    variants = [plan.variants[name] for name in plan.chosen]
    pretrainings = Pretrainings(plan, data)
    works: dict[Work, None] = {}  # in order, each once
    trials: Trials = {}
    for variant in variants:
        before = pretrainings.before(variant, plan.config.seeds[0])
        works |= dict.fromkeys(before)
        trials |= _tuning(plan, data, variant, before)
        works |= dict.fromkeys(work for (name, _), tried in trials.items() if name == variant.name for work in tried)
    for arm in _arms(plan, data, variants, pretrainings, trials):
        works |= dict.fromkeys((*(need for need in arm.needs if isinstance(need, PretrainingWork)), arm))
    return list(works)


def _tuning(plan: Plan, data: GridData, variant: Variant, before: list[PretrainingWork]) -> Trials:
    config = plan.config
    rates = config.learning_rates if len(config.learning_rates) > 1 else ()
    return {
        (variant.name, fraction): [
            TuningWork(plan, data, variant, fraction, config.seeds[0], rate, needs=list(before)) for rate in rates
        ]
        for fraction in dict.fromkeys(map(plan.tuned_at, config.fractions))
    }


def _arms(
    plan: Plan, data: GridData, variants: list[Variant], pretrainings: Pretrainings, trials: Trials
) -> list[TestedArm]:
    config = plan.config
    more = [seed for seeds in config.more_seeds.values() for seed in seeds]
    works: list[TestedArm] = []
    for seed in dict.fromkeys((*config.seeds, *more)):
        for fraction in config.fractions:
            for variant in variants if seed in config.seeds_at(fraction) else ():
                needs = [*pretrainings.before(variant, seed), *trials[variant.name, plan.tuned_at(fraction)]]
                works.append(TestedArm(plan, data, variant, fraction, seed, needs=needs))
    return works


def works_to_do(works: Sequence[Work]) -> list[Work]:
    """Return the arms that are not finished and what they need: tuning, and pretraining where its weights are gone."""
    needed = {work for work in works if isinstance(work, TestedArm) and not work.done}
    needed |= {need for arm in needed for need in arm.needs if not isinstance(need, PretrainingWork) and not need.done}
    needed |= {need for work in needed for need in work.needs if isinstance(need, PretrainingWork) and not need.at_hand}
    return [work for work in works if work in needed]


def require_same_folders(works: Sequence[Work], data: GridData) -> None:
    """Compare the run folders of works that are to be done with what they would do there, before anything trains.

    Raises:
        UserError: names the first folder that holds a run on other data, with other settings or from another
            pretraining, and the difference.
    """
    encoders = {}
    for work in works:
        for need in work.needs:
            # Of one that is yet to be trained nothing is known.
            if isinstance(need, PretrainingWork) and need not in works and need not in encoders:
                encoders[need] = file_sha256(need.weights)
        for folder, wanted in work.run_folders():
            found = list(_differences(work, folder, wanted, data, encoders))
            if found:
                raise UserError(
                    f"{folder} holds another run ({'; '.join(found)}): delete that folder or choose another output_dir"
                )


def _differences(
    work: Work, folder: Path, wanted: dict[str, Any], data: GridData, encoders: dict[Work, str]
) -> Iterator[str]:
    path = folder / "training_config.json"
    if not path.exists():
        return
    try:
        there = read_json(path)["identity"]
    except (UserError, KeyError):
        raise UserError(f"{path} is damaged: delete {folder}") from None
    if there.get("data_fingerprint") != data.sha256:
        yield "other data"
    yield from differing(there, wanted, work.phase)
    for need in work.needs:
        if need in encoders and there.get("pretrained_encoder_sha256") != encoders[need]:
            yield f"began with other weights of {need.name}"

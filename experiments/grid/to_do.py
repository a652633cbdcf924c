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

# Whose weights other runs begin with or learn from.
BEGUN_WITH = (PretrainingWork, TestedArm)
# Of a variant at a fraction: the runs of the little grid.
Trials = dict[tuple[str, float], list[TuningWork]]


class Made:
    """The runs of a grid, each made once, when first asked for."""

    def __init__(self, plan: Plan, data: GridData) -> None:
        self._plan, self._data = plan, data
        self._pretrainings: dict[str, PretrainingWork] = {}
        self._trials: Trials = {}
        self._arms: dict[tuple[str, float, int], TestedArm] = {}

    def trials(self, variant: Variant, fraction: float) -> list[TuningWork]:
        """Return the runs that choose the rate of a variant at a fraction; none where there is one rate."""
        at, seed = self._plan.tuned_at(fraction), self._plan.config.seeds[0]
        rates = self._plan.rates_of(variant) if len(self._plan.rates_of(variant)) > 1 else ()
        if (variant.name, at) not in self._trials:
            self._trials[variant.name, at] = [
                TuningWork(self._plan, self._data, variant, at, seed, rate, needs=self._before(variant, at, seed))
                for rate in rates
            ]
        return self._trials[variant.name, at]

    def arm(self, variant: Variant, fraction: float, seed: int) -> TestedArm:
        """Return an arm."""
        key = (variant.name, fraction, seed)
        if key not in self._arms:
            needs = [*self._before(variant, fraction, seed), *self.trials(variant, fraction)]
            self._arms[key] = TestedArm(self._plan, self._data, variant, fraction, seed, needs=needs)
        return self._arms[key]

    def _before(self, variant: Variant, fraction: float, seed: int) -> list[Work]:
        """Return what a run begins with: a phase 1, and the arm that teaches it."""
        before: list[Work] = []
        if variant.pretraining is not None:
            pretraining = self._plan.pretraining_at(variant.pretraining, seed)
            made = PretrainingWork(self._plan, self._data, pretraining)
            before.append(self._pretrainings.setdefault(pretraining.name, made))
        if variant.taught_by is not None:
            before.append(self.arm(self._plan.variants[variant.taught_by], fraction, seed))
        return before


def _with_needs(work: Work) -> Iterator[Work]:
    """Yield what a work needs, and what that needs, before the work."""
    for need in work.needs:
        yield from _with_needs(need)
    yield work


def all_works(plan: Plan, data: GridData) -> list[Work]:
    """Return the runs of the grid in the order in which they are begun.

    First the rates are tuned, with the first seed; then the arms, all variants and fractions of a seed before the next
    seed, so that a grid that is stopped is a fair comparison of fewer seeds. Seeds that some fractions alone have come
    last. Each pretraining, and each arm that teaches another, comes right before the first run that needs it.
    """
    config, made = plan.config, Made(plan, data)
    variants = [plan.variants[name] for name in plan.chosen]
    works: dict[Work, None] = {}  # in order, each once
    for variant in variants:
        for fraction in config.fractions:
            for trial in made.trials(variant, fraction):
                works |= dict.fromkeys(_with_needs(trial))
    more = [seed for seeds in config.more_seeds.values() for seed in seeds]
    for seed in dict.fromkeys((*config.seeds, *more)):
        for fraction in config.fractions:
            for variant in variants if seed in config.seeds_at(fraction) else ():
                works |= dict.fromkeys(_with_needs(made.arm(variant, fraction, seed)))
    return list(works)


def works_to_do(works: Sequence[Work]) -> list[Work]:
    """Return the arms that are not finished and what they need: tuning, and what they begin with where it is gone."""
    needed: set[Work] = set()

    def need(work: Work) -> None:
        needed.add(work)
        for other in work.needs:
            lacks = not other.at_hand if isinstance(other, BEGUN_WITH) else not other.done
            if lacks and other not in needed:
                need(other)

    for work in works:
        if isinstance(work, TestedArm) and not work.done and work not in needed:
            need(work)
    return [work for work in works if work in needed]


def require_same_folders(works: Sequence[Work], data: GridData) -> None:
    """Compare the run folders of works that are to be done with what they would do there, before anything trains.

    Raises:
        UserError: names the first folder that holds a run on other data, with other settings or from another
            pretraining, and the difference.
    """
    begun_with: dict[Work, str] = {}
    for work in works:
        for need in work.needs:
            # Of one that is yet to be trained nothing is known.
            if isinstance(need, BEGUN_WITH) and need not in works and need not in begun_with:
                begun_with[need] = file_sha256(need.weights)
            if need not in works:
                _require_checkpoints(work, need)
        for folder, wanted in work.run_folders():
            found = list(_differences(work, folder, wanted, data, begun_with))
            if found:
                raise UserError(
                    f"{folder} holds another run ({'; '.join(found)}): delete that folder or choose another output_dir"
                )


def _require_checkpoints(work: Work, teacher: Work) -> None:
    """Raise UserError where a pupil goes by the checkpoints of a finished teacher that has none (any more)."""
    if not isinstance(teacher, TestedArm) or work.config.stable == 1 or teacher.has_checkpoints:
        return
    raise UserError(
        f"{work.name} goes by the checkpoints of {teacher.name}, and {teacher.folder} has none: delete that "
        "folder, and the same command trains it again"
    )


def _differences(
    work: Work, folder: Path, wanted: dict[str, Any], data: GridData, begun_with: dict[Work, str]
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
        kept = "teacher_weights_sha256" if isinstance(need, TestedArm) else "pretrained_encoder_sha256"
        if need in begun_with and there.get(kept) != begun_with[need]:
            yield f"began with other weights of {need.name}"

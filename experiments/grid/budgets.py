"""Whether the arms of a grid can be compared within budgets of picture passes, known before anything trains."""

from collections.abc import Iterator
from dataclasses import replace

from core.errors import UserError
from experiments.grid.arms import TestedArm, TuningWork
from experiments.grid.jobs import Work
from experiments.grid.planning.prepared import GridData
from experiments.grid.planning.variants import Plan
from experiments.grid.to_do import all_works


def total_passes(arm: TestedArm) -> int:
    """Return the picture passes of an arm and of all that it needs, each once: phase 1 whole, no tuning."""
    return sum(work.passes for work in dict.fromkeys(_with_needs(arm)))


def _with_needs(work: Work) -> Iterator[Work]:
    yield work
    for need in work.needs:
        if not isinstance(need, TuningWork):
            yield from _with_needs(need)


def require_met(plan: Plan, data: GridData) -> None:
    """Raise UserError where no arm of the whole grid, whatever part of it is called for, lies within a budget.

    A phase 1 that may stop early counts in full length.
    """
    works = all_works(replace(plan, chosen=tuple(plan.variants)), data) if plan.config.budgets else []
    arms = [work for work in works if isinstance(work, TestedArm)]
    cheapest = min(arms, key=total_passes, default=None)
    if cheapest is None:
        return
    least = total_passes(cheapest)
    unmet = [str(budget) for budget in plan.config.budgets if budget < least]
    if unmet:
        raise UserError(
            f"budgets: no arm of the grid meets {' or '.join(unmet)}, the cheapest ({cheapest.variant.name}) takes "
            f"{least} picture passes, its phase 1 among them: leave {'it' if len(unmet) == 1 else 'them'} out"
        )

"""Whether the arms of a grid can be compared within budgets of picture passes, known before anything trains."""

from dataclasses import replace

from core.errors import UserError
from experiments.grid.arms import TestedArm
from experiments.grid.jobs import PretrainingWork
from experiments.grid.planning.prepared import GridData
from experiments.grid.planning.variants import Plan
from experiments.grid.to_do import all_works


def total_passes(arm: TestedArm) -> int:
    """Return the picture passes of an arm and of its phase 1, which counts whole; tuning is not among them."""
    phase_1 = sum(need.passes for need in arm.needs if isinstance(need, PretrainingWork))
    return arm.passes + phase_1 + (total_passes(arm.teacher) if arm.teacher else 0)


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

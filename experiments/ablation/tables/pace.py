"""How soon the arms of an ablation come to where their baseline's training ends: mean IoU on Val over the steps."""

from collections.abc import Sequence

from experiments.ablation.statistics import Analysis, Group
from experiments.table_formats import UNKNOWN

COLUMN = "steps to its best"
NOTE = (
    f"{COLUMN.capitalize()}: after how many the variant's mean IoU on Val was that of the best step of what it is "
    "compared with, instead of how many there; means over the seeds that reached it, each against its own seed, as "
    "exactly as Val was looked at."
)


def has_pace(analysis: Analysis) -> bool:
    """Say whether any arm tells its scores over the steps, which those of before did not."""
    return any(arm.content.log for arm in analysis.ablation.arms)


def steps_to_reach(log: Sequence[tuple[int, float | None]], score: float) -> int | None:
    """Return after how many steps a score was first reached; None where it never was."""
    return next((step for step, value in log if value is not None and value >= score), None)


def pace(analysis: Analysis, group: Group) -> str:
    """Return the cell of a variant: steps until its baseline's best on Val is reached, and what the baseline took."""
    if group.difference is None or not (other := analysis.get(group.fraction, group.difference.baseline)):
        return UNKNOWN
    theirs = {arm.name.seed: arm.content for arm in other.arms}
    pairs = [(arm.content, theirs[arm.name.seed]) for arm in group.arms if arm.name.seed in theirs and arm.content.log]
    found = [
        (steps, base.best_step)
        for own, base in pairs
        if (steps := steps_to_reach(own.log, base.val_mean_iou)) is not None and base.best_step is not None
    ]
    if not found:
        return "not reached" if pairs else UNKNOWN
    own, base = (sum(column) / len(found) for column in zip(*found, strict=True))
    some = f" ({len(found)} of {len(pairs)} seeds)" if len(found) < len(pairs) else ""
    return f"{own:.0f} instead of {base:.0f}{some}"

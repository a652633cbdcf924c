"""What is best within each budget of picture passes: the table, and the entries of summary.json."""

from collections.abc import Sequence
from typing import Any

from experiments.ablation.budgets import Contest, Entrants
from experiments.ablation.differences import VariantDifference
from experiments.ablation.statistics import Analysis, Group
from experiments.table_formats import UNKNOWN, Table, listed, number, share, signed

NOTES = (
    "Of all variants whose arms take no more picture passes than the budget, phase 1 counted whole (a forward pass "
    "counts 1 a picture, one with its way back 3): the best on Val from scratch, and the best on Val at all, any two "
    "by their means over the seeds that both have. Controls take part; other networks than the "
    "baseline's with outside weights alone. The passes of learning rates that were tried are told apart.",
    "Scores: mean IoU on Test, means over the seeds that both have; intervals as of the other differences. p: "
    "two-sided, the smallest level at which the interval leaves 0 out, adjusted for all that this table asks, the same "
    "two once (Holm 1979); verdicts go by it.",
)

STANDINGS_NOTES = (
    "Mean IoU on Test: of the best on Val from scratch within the budget, and of each other variant, over the seeds "
    "that both have. Intervals as of the other differences, each for itself: of many, one in twenty leaves the truth "
    "out, and with one seed they are over images only. Verdicts are those of the table of budgets.",
)


def budget_table(analysis: Analysis, found: Sequence[Contest]) -> Table:
    """Return what is best within each budget, a row a contest."""
    rows = []
    for contest in found:
        difference, alone = contest.difference, contest.best is contest.baseline
        first, second = (difference and difference.means) or (None, None)
        limits = difference.interval if difference and not alone else None
        flags = [*(["outside weights"] if contest.outside_weights else []), *contest.tags]
        rows.append(
            [
                f"{analysis.labels(contest.fraction)} ({share(contest.fraction)})",
                f"{contest.budget:,}",
                _with_passes(contest.baseline),
                number(first),
                _with_passes(contest.best),
                listed(flags) if contest.best else UNKNOWN,
                number(second),
                str(len(difference.seeds)) if difference else UNKNOWN,
                signed(difference.value if difference and not alone else None),
                f"{signed(limits[0])} to {signed(limits[1])}" if limits else UNKNOWN,
                number(None if alone else contest.p),
                "; ".join([contest.verdict, *contest.remarks]),
            ]
        )
    columns = ["labels", "budget", "best from scratch", "its score", "best", "with", "score", "seeds", "difference"]
    columns += ["95 % interval", "p", "reading"]
    text = ["labels", "best from scratch", "best", "with", "reading"]
    return Table("The best within a budget of picture passes", columns, rows, text, _of_data(analysis) + NOTES)


def standings_table(analysis: Analysis, found: Sequence[tuple[Entrants, Group, VariantDifference]]) -> Table:
    """Return how far all others within the largest budget are from the best from scratch, a row a variant."""
    rows = []
    for field, group, difference in found:
        first, second = difference.means or (None, None)
        limits = difference.interval
        outside = analysis.ablation.plan.variants[group.variant].outside_weights
        rows.append(
            [
                f"{analysis.labels(field.fraction)} ({share(field.fraction)})",
                _with_passes(group),
                "outside weights" if outside else UNKNOWN,
                difference.baseline,
                str(len(difference.seeds)),
                number(first),
                number(second),
                signed(difference.value),
                f"{signed(limits[0])} to {signed(limits[1])}" if limits else UNKNOWN,
            ]
        )
    columns = ["labels", "variant", "with", "compared with", "seeds", "its score", "score", "difference"]
    title = f"All within {max(analysis.ablation.plan.budgets):,} picture passes"
    text = ["labels", "variant", "with", "compared with"]
    return Table(title, [*columns, "95 % interval"], rows, text, _of_data(analysis) + STANDINGS_NOTES)


def _of_data(analysis: Analysis) -> tuple[str, ...]:
    note = analysis.ablation.plan.data_note
    return (f"All of it is said of these data: {note}.",) if note else ()


def entry_of(contest: Contest) -> dict[str, Any]:
    """Return what summary.json says of a contest; None where there is nothing."""
    difference = contest.difference
    first, second = (difference and difference.means) or (None, None)
    low, high = (difference and difference.interval) or (None, None)
    return {
        "budget": contest.budget,
        "outside_weights": contest.outside_weights,
        "tags": list(contest.tags),
        "baseline": contest.baseline.variant if contest.baseline else None,
        "best_variant": contest.best.variant if contest.best else None,
        "baseline_score": _alone(contest.baseline) if first is None else first,
        "best_score": _alone(contest.best) if second is None else second,
        "difference": difference.value if difference else None,
        "ci_low": low,
        "ci_high": high,
        "p": difference.p if difference else None,
        "p_holm": contest.p,
        "verdict": contest.verdict,
        "remark": "; ".join(contest.remarks),
        "seeds": list(difference.seeds) if difference else [],
        "baseline_compute": _compute(contest.baseline),
        "best_compute": _compute(contest.best),
    }


def _alone(group: Group | None) -> float | None:
    return group.test.mean if group else None


def _compute(group: Group | None) -> dict[str, Any] | None:
    """Return the cost of a group's dearest arm."""
    if group is None:
        return None
    content = max((arm.content for arm in group.arms), key=lambda content: content.total_passes() or 0)
    return {
        "passes": content.total_passes(),
        "phase_1_passes": content.phase_1_passes,
        "multiply_adds": content.total_multiply_adds,
    }


def _with_passes(group: Group | None) -> str:
    return UNKNOWN if group is None else f"{group.variant} ({group.passes:,})"

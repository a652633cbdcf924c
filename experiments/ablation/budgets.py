"""Who is best within a budget of picture passes: all arms of a fraction, whatever their steps, phase 1 whole."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.statistics import holm
from experiments.ablation.differences import VariantDifference, difference_of, mean_iou
from experiments.ablation.results import Arm
from experiments.ablation.statistics import Analysis, Group

# A smaller p value, adjusted, is a verdict.
SIGNIFICANT = 0.05
OTHER_NETWORK = "another network, whose passes cost otherwise"


@dataclass(frozen=True)
class Contest:
    """The best on Val from scratch and the best on Val at all, of those that a budget allows at one fraction.

    Args:
        baseline: from scratch; None where no such variant is within the budget.
        best: of all, that from scratch among them; None likewise.
        difference: of the best from the baseline in mean IoU on Test; None without both.
        outside_weights: whether weights from outside were allowed.
        tags: what the best learned from beside pictures and masks.
        unlike_seeds: whether the means on Val by which both were chosen are over other seeds.
        p: of the difference, adjusted for all questions of the folder; None where it has none.
    """

    fraction: float
    budget: int
    baseline: Group | None
    best: Group | None
    difference: VariantDifference | None
    outside_weights: bool
    tags: tuple[str, ...]
    unlike_seeds: bool
    p: float | None = None

    @property
    def question(self) -> tuple[float, str | None, str | None]:
        """What it asks, whatever the budget: the fraction, and who is compared with whom."""
        sides = (group.variant if group else None for group in (self.best, self.baseline))
        return (self.fraction, *sides)

    @property
    def verdict(self) -> str:
        """What the adjusted p value says, in words, or why there is none."""
        if self.best is None:
            return "no arm within the budget"
        if self.baseline is None or self.difference is None:
            return "nothing from scratch within the budget"
        if self.best is self.baseline:
            return "from scratch is the best"
        if self.difference.value is None or self.p is None:
            return self.difference.verdict
        if self.p >= SIGNIFICANT:
            return "not told apart"
        return "ahead" if self.difference.value > 0 else "behind"

    @property
    def remarks(self) -> list[str]:
        """What a reader must know about it."""
        if self.best is None or self.baseline is None or self.difference is None:
            return []
        sides = (self.best, self.baseline)
        few = any(group.descriptive_only for group in sides)
        told = self.difference.value is not None and self.best is not self.baseline
        found = [self.difference.remark] if told else []
        found += ["descriptive only"] if few else []
        found += ["chosen over unlike seeds"] if self.unlike_seeds else []
        found += [OTHER_NETWORK] if len({_parameters(group) for group in sides}) > 1 else []
        return [remark for remark in found if remark]


def contests(analysis: Analysis) -> list[Contest]:
    """Return the contests of every fraction and budget, by both rising; none where the plan has no budgets.

    They are of the network that the plan's baseline has, since passes compare within one network alone. Where weights
    from outside make another the best, that is a contest of its own, after the one without them, and open to other
    networks. All of several seeds are adjusted for together (Holm 1979), those that the baseline wins as p = 1; the
    same two at the same fraction are one question, however many budgets ask it.
    """
    found = [
        contest
        for fraction in analysis.fractions
        for budget in analysis.ablation.plan.budgets
        for contest in _contests(analysis, fraction, budget)
    ]
    asked = {contest.question: contest.difference.p for contest in found if contest.difference}
    p_values = {question: p for question, p in asked.items() if p is not None}
    adjusted = dict(zip(p_values, holm([*p_values.values()]), strict=True))
    return [replace(contest, p=adjusted.get(contest.question)) for contest in found]


@dataclass(frozen=True)
class Entrants:
    """The variants that a budget allows at one fraction.

    Args:
        baseline: the best on Val from scratch; None where no such variant is within the budget.
        own: of the network that the plan's baseline has, without weights from outside.
        allowed: those, and any with weights from outside.
    """

    fraction: float
    budget: int
    baseline: Group | None
    own: list[Group]
    allowed: list[Group]


def entrants(analysis: Analysis, fraction: float, budget: int) -> Entrants:
    """Return the variants that take no more picture passes than a budget, phase 1 whole."""
    variants = analysis.ablation.plan.variants
    # Scores on a few masks of Val do not compare with scores on all of them.
    of_all = [group for group in analysis.at(fraction) if not any(_few_of_val(arm) for arm in group.arms)]
    within = [group for group in of_all if group.passes is not None and group.passes <= budget]
    network = _network(analysis, fraction)
    own = [group for group in within if not variants[group.variant].outside_weights and _parameters(group) in network]
    allowed = [group for group in within if group in own or variants[group.variant].outside_weights]
    baseline = _best([group for group in own if is_from_scratch(analysis, group)])
    return Entrants(fraction, budget, baseline, own, allowed)


def standings(analysis: Analysis) -> list[tuple[Entrants, Group, VariantDifference]]:
    """Return how far all others within the largest budget are from the best from scratch, at every fraction."""
    budgets = analysis.ablation.plan.budgets
    fields = [entrants(analysis, fraction, max(budgets)) for fraction in analysis.fractions] if budgets else []
    return [
        (field, group, difference)
        for field in fields
        for group in field.allowed
        if group is not field.baseline and (difference := _difference(analysis, field.baseline, group))
    ]


def _contests(analysis: Analysis, fraction: float, budget: int) -> list[Contest]:
    field = entrants(analysis, fraction, budget)
    best, anyone = _best(field.own), _best(field.allowed)

    def contest(best: Group | None, among: Sequence[Group], outside: bool) -> Contest:
        tags = analysis.ablation.plan.variants[best.variant].tags if best else ()
        difference = _difference(analysis, field.baseline, best)
        unlike = len({group.seeds for group in among}) > 1
        return Contest(fraction, budget, field.baseline, best, difference, outside, tags, unlike)

    return [contest(best, field.own, False), *([] if anyone is best else [contest(anyone, field.allowed, True)])]


def _network(analysis: Analysis, fraction: float) -> set[int | None]:
    """Return the parameters of the networks that compete: the plan's baseline's where it ran, else all that ran."""
    baseline = analysis.get(fraction, analysis.ablation.plan.baseline)
    return {_parameters(group) for group in ([baseline] if baseline else analysis.at(fraction))}


def _best(groups: Sequence[Group]) -> Group | None:
    """Return the group with the best mean on Val over its seeds, the first in the plan's order among equals."""
    return max(groups, key=lambda group: group.val.mean, default=None)


def is_from_scratch(analysis: Analysis, group: Group) -> bool:
    """Say whether nothing but masks taught a group's arms: no phase 1, no weights from outside, no other pictures."""
    variant = analysis.ablation.plan.variants[group.variant]
    if variant.outside_weights or variant.autoencoder:
        return False
    return all(
        arm.content.pretraining is None
        and arm.content.settings.get("unlabelled", "off") == "off"
        and arm.content.settings.get("auxiliary", "none") == "none"
        for arm in group.arms
    )


def _difference(analysis: Analysis, baseline: Group | None, best: Group | None) -> VariantDifference | None:
    if baseline is None or best is None:
        return None
    return difference_of(best.arms, baseline.arms, baseline.variant, analysis.drawn, mean_iou)


def _few_of_val(arm: Arm) -> bool:
    """Say whether some masks of Val alone chose an arm's weights (`--val_labels`)."""
    return bool(arm.content.settings.get("val_labels"))


def _parameters(group: Group) -> int | None:
    return group.arms[0].content.compute.parameters

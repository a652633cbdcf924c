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
# What takes so many times the passes of the longest from scratch may be ahead by its length: a reader must know.
NOTEWORTHY = 1.05


@dataclass(frozen=True)
class Contest:
    """The best on Val from scratch and the best on Val at all, of those that a budget allows at one fraction.

    Args:
        baseline: from scratch; None where no such variant is within the budget.
        best: of all, that from scratch among them; None likewise.
        difference: of the best from the baseline in mean IoU on Test; None without both.
        outside_weights: whether weights from outside were allowed.
        tags: what the best learned from beside pictures and masks.
        without: variants that were not chosen among, having one seed where others have more.
        longest_scratch: picture passes of the longest from scratch that the baseline was chosen among; None likewise.
        p: of the difference, adjusted for all questions of the folder; None where it has none.
    """

    fraction: float
    budget: int
    baseline: Group | None
    best: Group | None
    difference: VariantDifference | None
    outside_weights: bool
    tags: tuple[str, ...]
    without: tuple[str, ...]
    longest_scratch: int | None
    p: float | None = None

    @property
    def question(self) -> tuple[float, str | None, str | None]:
        """What it asks, whatever the budget: the fraction, and who is compared with whom."""
        best, baseline = (group.variant if group else None for group in (self.best, self.baseline))
        return self.fraction, best, baseline

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
        other_network = len({_parameters(group) for group in sides}) > 1
        if not other_network and (self.best.passes or 0) > NOTEWORTHY * (self.longest_scratch or 0):
            found += [f"of those from scratch the longest took {self.longest_scratch:,} picture passes"]
        found += ["descriptive only"] if few else []
        found += [f"not chosen among, for their one seed: {', '.join(self.without)}"] if self.without else []
        found += [OTHER_NETWORK] if other_network else []
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
        own: of the network that the plan's baseline has, without weights from outside.
        outside: with weights from outside, of any network.
        baseline: the best of them from scratch; None where no such variant is within the budget.
        longest_scratch: the most picture passes of those that this was chosen among; None likewise.
    """

    fraction: float
    budget: int
    own: list[Group]
    outside: list[Group]
    baseline: Group | None
    longest_scratch: int | None


def entrants(analysis: Analysis, fraction: float, budget: int) -> Entrants:
    """Return the variants that take no more picture passes than a budget, phase 1 whole."""
    variants = analysis.ablation.plan.variants
    # Scores on a few masks of Val do not compare with scores on all of them.
    of_all = [group for group in analysis.at(fraction) if not any(_few_of_val(arm) for arm in group.arms)]
    within = [group for group in of_all if group.passes is not None and group.passes <= budget]
    network = _network(analysis, fraction)
    own = [group for group in within if not variants[group.variant].outside_weights and _parameters(group) in network]
    outside = [group for group in within if variants[group.variant].outside_weights]
    scratch = [group for group in own if is_from_scratch(analysis, group)]
    longest = max((group.passes or 0 for group in _chosen_among(scratch)), default=None)
    return Entrants(fraction, budget, own, outside, best_on_val(scratch), longest)


def standings(analysis: Analysis) -> list[tuple[Entrants, Group, VariantDifference]]:
    """Return how far all others within the largest budget are from the best from scratch, at every fraction."""
    budgets = analysis.ablation.plan.budgets
    fields = [entrants(analysis, fraction, max(budgets)) for fraction in analysis.fractions] if budgets else []
    return [
        (field, group, difference)
        for field in fields
        for group in (*field.own, *field.outside)
        if group is not field.baseline and (difference := _difference(analysis, field.baseline, group))
    ]


def _contests(analysis: Analysis, fraction: float, budget: int) -> list[Contest]:
    field = entrants(analysis, fraction, budget)

    def contest(best: Group | None, among: Sequence[Group], outside: bool) -> Contest:
        tags = analysis.ablation.plan.variants[best.variant].tags if best else ()
        difference = _difference(analysis, field.baseline, best)
        told = {group.variant for group in _chosen_among(among)}
        without = tuple(group.variant for group in among if group.variant not in told)
        longest = field.longest_scratch
        return Contest(fraction, budget, field.baseline, best, difference, outside, tags, without, longest)

    best, other = best_on_val(field.own), best_on_val(field.outside)
    found = [contest(best, field.own, False)]
    return [*found, contest(other, field.outside, True)] if other and (not best or _better(other, best)) else found


def best_on_val(groups: Sequence[Group]) -> Group | None:
    """Return the best of groups of a fraction by mean IoU on Val; None where there is none.

    Labels, first weights and order differ by seed, so any two are compared over the seeds that both have: begun with
    the one that has the most, each of the others, by falling number of seeds and in the plan's order, takes its place
    where it is ahead. What was tried with one seed is chosen only where nothing was tried with more.
    """
    best: Group | None = None
    for group in sorted(_chosen_among(groups), key=lambda group: -len(group.seeds)):
        if best is None or _better(group, best):
            best = group
    return best


def _chosen_among(groups: Sequence[Group]) -> list[Group]:
    return [group for group in groups if len(group.seeds) > 1] or [*groups]


def _better(group: Group, other: Group) -> bool:
    """Say whether a group is ahead of another on Val, over the seeds that both have or else over each one's own."""
    common = {*group.seeds} & {*other.seeds}
    return group.val_over(common or group.seeds) > other.val_over(common or other.seeds)


def _network(analysis: Analysis, fraction: float) -> set[int | None]:
    """Return the parameters of the networks that compete: the plan's baseline's where it ran, else all that ran."""
    baseline = analysis.get(fraction, analysis.ablation.plan.baseline)
    return {_parameters(group) for group in ([baseline] if baseline else analysis.at(fraction))}


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

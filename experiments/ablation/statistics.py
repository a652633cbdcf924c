"""Means and spreads of an ablation's arms, their differences from the baseline, and which variant is the best."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.statistics import RESAMPLES
from experiments.ablation.case_dice import MEASURE, case_dice, is_by_case, resampled_case_dice
from experiments.ablation.differences import VariantDifference, difference_of, mean_iou, resampled_mean_iou
from experiments.ablation.format import OneObject
from experiments.ablation.one_object import one_object_means
from experiments.ablation.results import Ablation, Arm

# Below this number of labels a score says which pictures were drawn; below the next one, at least so many seeds must
# have drawn them. The tables call such fractions "descriptive only".
TOO_FEW_LABELS = 10
FEW_LABELS, ENOUGH_SEEDS = 30, 5


@dataclass(frozen=True)
class Spread:
    """The values of several seeds."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class CaseScores:
    """The mean Dice of a case on Test, of volumes; the difference is that from the same baseline."""

    test: Spread
    difference: VariantDifference | None


@dataclass(frozen=True)
class Group:
    """The arms of one variant at one label fraction, one a seed.

    Args:
        num_labels: mean over the seeds, which differ where groups of pictures are drawn.
        classes: class -> mean over the seeds of the IoU on Test; None where nothing was scored.
        foreground: likewise of all foreground as one.
        pixel_accuracy: mean over the seeds of the share of pixels on Test that are right.
        difference: None for the variant that the others are compared with.
        by_case: None of pictures, or where there is no background.
        one_object: means over the seeds, where pictures hold one foreground class each.
    """

    variant: str
    fraction: float
    num_labels: int
    arms: tuple[Arm, ...]
    val: Spread
    test: Spread
    classes: Mapping[str, float | None]
    foreground: float | None
    pixel_accuracy: float | None
    difference: VariantDifference | None
    by_case: CaseScores | None
    one_object: OneObject

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of its arms, rising."""
        return tuple(arm.name.seed for arm in self.arms)

    @property
    def labels(self) -> str:
        """The masks that its arms learned from and, where they say so, those of Val that selected: "52 + 131"."""
        return labels_in_words([self])

    @property
    def passes(self) -> int | None:
        """Picture passes of its dearest arm, its phase 1 whole; None where an arm's are not known."""
        found = [arm.content.total_passes() for arm in self.arms]
        return None if None in found else max(passes for passes in found if passes is not None)

    @property
    def learning_rates(self) -> tuple[float, ...]:
        """The rates that its arms were trained with: one, unless the arms were made at different times."""
        return tuple(sorted({arm.name.learning_rate for arm in self.arms}))

    def val_over(self, seeds: Collection[int]) -> float:
        """Return the mean on Val over some of its seeds."""
        return float(np.mean([arm.content.val_mean_iou for arm in self.arms if arm.name.seed in seeds]))

    def test_over(self, seeds: Collection[int]) -> float:
        """Return the mean on Test over some of its seeds."""
        return float(np.mean([mean_iou(arm) for arm in self.arms if arm.name.seed in seeds]))

    @property
    def drawn(self) -> "CaseScores | Group":
        """What of it is drawn: see `Analysis.measure`."""
        return self.by_case or self

    @property
    def descriptive_only(self) -> bool:
        """Whether the number of labels is too small to conclude anything from so many seeds."""
        few = self.num_labels < FEW_LABELS and len(self.arms) < ENOUGH_SEEDS
        return self.num_labels < TOO_FEW_LABELS or few


@dataclass(frozen=True)
class Analysis:
    """An ablation with what its arms amount to.

    Args:
        groups: by rising fraction, then in the plan's order of variants.
        drawn: id of an arm -> its mean IoU on the drawn images [B], the same images for all.
    """

    ablation: Ablation
    groups: tuple[Group, ...]
    drawn: Mapping[int, np.ndarray]

    @property
    def measure(self) -> str:
        """The score that is drawn: the mean Dice of a case where there is one."""
        return MEASURE if is_by_case(self.ablation) else "mean IoU"

    @property
    def fractions(self) -> list[float]:
        """The label fractions that have an arm, rising."""
        return sorted({group.fraction for group in self.groups})

    @property
    def variants(self) -> list[str]:
        """The variants that have an arm, in the plan's order."""
        return [name for name in self.ablation.plan.variants if any(group.variant == name for group in self.groups)]

    def at(self, fraction: float) -> list[Group]:
        """Return the groups of a fraction."""
        return [group for group in self.groups if group.fraction == fraction]

    def get(self, fraction: float, variant: str) -> Group | None:
        """Return a group, None where it has no arm."""
        return next((group for group in self.at(fraction) if group.variant == variant), None)

    def labels(self, fraction: float) -> str:
        """Return the number of masks at a fraction: see `labels_in_words`."""
        return labels_in_words(self.at(fraction))

    def of(self, variant: str) -> list[Group]:
        """Return the groups of a variant."""
        return [group for group in self.groups if group.variant == variant]

    def candidates(self, fraction: float) -> list[Group]:
        """Return what may be the best at a fraction: the autoencoder variants without outside weights, no controls.

        Only variants that are compared with the plan's baseline: one with another encoder has a baseline of its own.
        """
        plan = self.ablation.plan
        open_to = {
            name
            for name, variant in plan.variants.items()
            if variant.autoencoder
            and not (variant.outside_weights or variant.control)
            and variant.baseline in (None, plan.baseline)
        }
        return [group for group in self.at(fraction) if group.variant in open_to]

    def deciding_seeds(self, fraction: float) -> tuple[int, ...]:
        """Return the seeds over which the best is chosen: those of the plan that more than half the candidates have.

        In a finished grid these are all of the plan's. While it runs, a variant that is a seed ahead of the others is
        neither preferred nor left out for it.
        """
        candidates = self.candidates(fraction)
        return tuple(
            seed
            for seed in self.ablation.plan.seeds_at(fraction)
            if 2 * sum(seed in group.seeds for group in candidates) > len(candidates)
        )

    def best(self, fraction: float) -> Group | None:
        """Return the candidate with the best mean on Val over the deciding seeds, among those that have them all.

        The first in the plan's order among equals; None where there is no such variant.
        """
        seeds = self.deciding_seeds(fraction)
        complete = [group for group in self.candidates(fraction) if seeds and set(seeds) <= set(group.seeds)]
        return max(complete, key=lambda group: group.val_over(seeds), default=None)

    @property
    def reference(self) -> str | None:
        """The variant with outside weights that is best on Val with the most labels; None where there is none.

        Among those with the most seeds there: a single lucky one is no reference.
        """
        plan = self.ablation.plan
        outside = {name for name, variant in plan.variants.items() if variant.outside_weights and not variant.control}
        groups = [group for group in self.groups if group.variant in outside]
        best = max(groups, key=lambda group: (group.fraction, len(group.seeds), group.val.mean), default=None)
        return best.variant if best else None


def analysed(ablation: Ablation, resamples: int = RESAMPLES) -> Analysis:
    """Return what the arms of an ablation amount to, every difference with its interval from `resamples` draws."""
    drawn = dict(zip(map(id, ablation.arms), resampled_mean_iou(ablation, resamples).T, strict=True))
    return Analysis(ablation, tuple(_groups(ablation, drawn, resamples)), drawn)


def labels_in_words(groups: Sequence[Group]) -> str:
    """Return the number of masks that groups of one fraction learned from, and of those of Val that selected."""
    selecting = (arm.content.num_val_labels for group in groups for arm in group.arms)
    numbers = {number for number in selecting if number is not None}
    told = " to ".join(f"{number}" for number in sorted({min(numbers), max(numbers)})) if numbers else ""
    return f"{groups[0].num_labels} + {told}" if told else f"{groups[0].num_labels}"


def _groups(ablation: Ablation, drawn: Mapping[int, np.ndarray], resamples: int) -> list[Group]:
    ids = [id(arm) for arm in ablation.arms]
    of_cases = dict(zip(ids, resampled_case_dice(ablation, resamples).T, strict=True)) if is_by_case(ablation) else {}
    cells: dict[tuple[float, str], list[Arm]] = {}
    for arm in ablation.arms:
        cells.setdefault((arm.name.fraction, arm.name.variant), []).append(arm)
    groups = []
    for (fraction, variant), arms in cells.items():
        baseline = ablation.plan.variants[variant].baseline or ablation.plan.baseline
        others = cells.get((fraction, baseline), [])
        compared = None if variant == baseline else (arms, others, baseline)
        groups.append(
            Group(
                variant,
                fraction,
                round(float(np.mean([arm.content.num_labels for arm in arms]))),
                tuple(arms),
                spread([arm.content.val_mean_iou for arm in arms]),
                spread([mean_iou(arm) for arm in arms]),
                *_class_scores(arms),
                difference_of(*compared, drawn, mean_iou) if compared else None,
                _by_case(arms, compared, of_cases) if of_cases else None,
                one_object_means(arms),
            )
        )
    return groups


def _by_case(
    arms: Sequence[Arm], compared: tuple[Sequence[Arm], Sequence[Arm], str] | None, drawn: Mapping[int, np.ndarray]
) -> CaseScores:
    difference = difference_of(*compared, drawn, case_dice) if compared else None
    return CaseScores(spread([case_dice(arm) for arm in arms]), difference)


def _class_scores(arms: Sequence[Arm]) -> tuple[dict[str, float | None], float | None, float | None]:
    from transfer_learning.scores.confusion import scores_of_counts

    scores = scores_of_counts(np.stack([arm.counts.sum(axis=0) for arm in arms]), arms[0].content.class_set)
    classes = {name: _known_mean(of_class["iou"]) for name, of_class in scores["classes"].items()}
    return classes, _known_mean(scores["foreground_iou"]), _known_mean(scores["pixel_accuracy"])


def _known_mean(values: np.ndarray) -> float | None:
    return None if np.isnan(values).any() else float(values.mean())


def spread(values: Sequence[float]) -> Spread:
    """Return the mean of values with the lowest and the highest."""
    low, high = min(values), max(values)
    return Spread(float(np.clip(np.mean(values), low, high)), low, high)  # of equal ones the mean is rounded

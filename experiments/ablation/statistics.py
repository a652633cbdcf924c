"""Means, spreads and paired differences of an ablation's arms.

The interval of a difference is a paired bootstrap (Efron 1979) over images and over seeds, which cross (Owen 2007): in
each resample images are drawn with replacement, the same for every arm, and seeds are drawn with replacement, the same
for both variants; the mean IoU of each drawn arm comes from its confusion matrices summed over the drawn images, and
the difference is that of the means over the drawn seeds. With three seeds the share of the seeds is drawn from three
values only and comes out narrow: other seeds may well give more than the interval says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.statistics import RESAMPLES, interval, resampled_sums
from experiments.ablation.results import Ablation, Arm

# Below this number of labels a score says which pictures were drawn; below the next one, at least so many seeds must
# have drawn them. The tables call such fractions "descriptive only".
TOO_FEW_LABELS = 10
FEW_LABELS, ENOUGH_SEEDS = 30, 5
# Seeds are drawn from another stream than images.
SEED_STREAM = 1


@dataclass(frozen=True)
class Spread:
    """The values of several seeds."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """How far a variant is ahead of the one that it is compared with, in mean IoU on Test.

    Args:
        baseline: the other variant.
        value: difference of the means over `seeds`; None where `remark` says why there is none.
        interval: 95 % of the resampled differences; None without a value.
        seeds: those that both have.
        remark: what a reader must know about it.
    """

    baseline: str
    value: float | None = None
    interval: tuple[float, float] | None = None
    seeds: tuple[int, ...] = ()
    remark: str = ""

    @property
    def verdict(self) -> str:
        """What the interval says, in words."""
        if self.value is None or self.interval is None:
            return self.remark
        low, high = self.interval
        return "ahead" if low > 0 else "behind" if high < 0 else "not told apart"


@dataclass(frozen=True)
class Group:
    """The arms of one variant at one label fraction, one a seed.

    Args:
        scores: class name or "foreground" -> mean over the seeds of the IoU on Test; None where nothing was scored.
        difference: None for the variant that the others are compared with.
    """

    variant: str
    fraction: float
    num_labels: int
    arms: tuple[Arm, ...]
    val: Spread
    test: Spread
    scores: Mapping[str, float | None]
    difference: Difference | None

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of its arms, rising."""
        return tuple(arm.name.seed for arm in self.arms)

    @property
    def learning_rates(self) -> tuple[float, ...]:
        """The rates that its arms were trained with: one, unless the arms were made at different times."""
        return tuple(sorted({arm.name.learning_rate for arm in self.arms}))

    @property
    def descriptive_only(self) -> bool:
        """Whether the number of labels is too small to conclude anything from so many seeds."""
        few = self.num_labels < FEW_LABELS and len(self.arms) < ENOUGH_SEEDS
        return self.num_labels < TOO_FEW_LABELS or few


@dataclass(frozen=True)
class Analysis:
    """An ablation with what its arms amount to; groups by rising fraction, then in the plan's order of variants."""

    ablation: Ablation
    groups: tuple[Group, ...]

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

    def of(self, variant: str) -> list[Group]:
        """Return the groups of a variant."""
        return [group for group in self.groups if group.variant == variant]

    def best(self, fraction: float) -> Group | None:
        """Return the autoencoder variant without outside weights that has the best mean on Val at a fraction.

        Only variants that are compared with the plan's baseline: one with another encoder has a baseline of its own.
        The first in the plan's order among equals; None where there is no such variant.
        """
        plan = self.ablation.plan
        known = {name: variant for name, variant in plan.variants.items() if variant.autoencoder}
        open_to = [
            group
            for group in self.at(fraction)
            if group.variant in known
            and not known[group.variant].outside_weights
            and known[group.variant].baseline in (None, plan.baseline)
        ]
        return max(open_to, key=lambda group: group.val.mean, default=None)


def analysed(ablation: Ablation, resamples: int = RESAMPLES) -> Analysis:
    """Return what the arms of an ablation amount to, every difference with its interval from `resamples` draws."""
    return Analysis(ablation, tuple(_groups(ablation, resamples)))


def _groups(ablation: Ablation, resamples: int) -> list[Group]:
    drawn = dict(zip(map(id, ablation.arms), _resampled_mean_iou(ablation, resamples).T, strict=True))
    cells: dict[tuple[float, str], list[Arm]] = {}
    for arm in ablation.arms:
        cells.setdefault((arm.name.fraction, arm.name.variant), []).append(arm)
    groups = []
    for (fraction, variant), arms in cells.items():
        baseline = ablation.plan.variants[variant].baseline or ablation.plan.baseline
        others = cells.get((fraction, baseline), [])
        difference = None if variant == baseline else _difference(arms, others, baseline, drawn)
        groups.append(
            Group(
                variant,
                fraction,
                arms[0].content.num_labels,
                tuple(arms),
                _spread([arm.content.val_mean_iou for arm in arms]),
                _spread([_mean_iou(arm) for arm in arms]),
                _class_scores(arms),
                difference,
            )
        )
    return groups


def _resampled_mean_iou(ablation: Ablation, resamples: int) -> np.ndarray:
    """Return the mean IoU of every arm on the same drawn images [B, arms]."""
    counts = np.stack([arm.matrices for arm in ablation.arms], axis=1)  # [N, arms, C, C]
    sums = resampled_sums(counts.reshape(len(counts), -1), resamples)
    return _mean_ious(sums.reshape(-1, *counts.shape[2:]), ablation.class_names).reshape(resamples, -1)


def _difference(
    arms: Sequence[Arm], others: Sequence[Arm], baseline: str, drawn: Mapping[int, np.ndarray]
) -> Difference:
    if not others:
        return Difference(baseline, remark=f"no arm of {baseline} at this fraction")
    first = {arm.name.seed: arm for arm in others}
    second = {arm.name.seed: arm for arm in arms}
    seeds = tuple(sorted(first.keys() & second.keys()))
    if not seeds:
        return Difference(baseline, remark=f"no seed that {baseline} has too")
    values = np.array([_mean_iou(second[seed]) - _mean_iou(first[seed]) for seed in seeds])
    gains = np.stack([drawn[id(second[seed])] - drawn[id(first[seed])] for seed in seeds], axis=1)  # [B, S]
    limits = interval(mean_over_drawn_seeds(gains))
    alone = sorted(first.keys() ^ second.keys())
    remarks = [f"only seed{'s' * (len(seeds) > 1)} {_listed(seeds)}: {_listed(alone)} not in both"] if alone else []
    if len(seeds) == 1:
        remarks.append("one seed: the interval is over images only")
    return Difference(
        baseline, float(values.mean()), (limits[0], limits[1]) if limits else None, seeds, "; ".join(remarks)
    )


def mean_over_drawn_seeds(values: np.ndarray) -> np.ndarray:
    """Return the mean [B] over S of each row's values [B, S], drawn with replacement, each row by its own draw."""
    resamples, seeds = values.shape
    times = np.random.default_rng(SEED_STREAM).multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
    # A seed that was not drawn has no say, even where its score is not known.
    return np.where(times > 0, times * values, 0).sum(axis=1) / seeds


def _mean_ious(matrices: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    from transfer_learning.metrics import scores_of_matrices

    return scores_of_matrices(matrices, class_names)["mean_iou"]


def _mean_iou(arm: Arm) -> float:
    return float(_mean_ious(arm.matrices.sum(axis=0)[None], arm.content.class_names)[0])


def _class_scores(arms: Sequence[Arm]) -> dict[str, float | None]:
    from transfer_learning.metrics import scores_of_matrices

    names = arms[0].content.class_names
    scores = scores_of_matrices(np.stack([arm.matrices.sum(axis=0) for arm in arms]), names)
    columns = {name: scores[name]["iou"] for name in names} | {"foreground": scores["foreground_iou"]}
    return {name: None if np.isnan(values).any() else float(values.mean()) for name, values in columns.items()}


def _spread(values: Sequence[float]) -> Spread:
    return Spread(float(np.mean(values)), min(values), max(values))


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))

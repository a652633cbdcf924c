"""Paired differences of an ablation's arms, with intervals.

The interval of a difference is a paired bootstrap (Efron 1979) over images and over seeds, which cross (Owen 2007): in
each resample images are drawn with replacement, the same for every arm, and seeds are drawn with replacement, the same
for both variants; the mean IoU of each drawn arm comes from its counts summed over the drawn images, and
the difference is that of the means over the drawn seeds.

A bootstrap of S values spreads too little by sqrt((S - 1) / S), and its quantiles are those of a normal distribution
where Student's t with S - 1 degrees of freedom is due (Hesterberg 2015, "What Teachers Should Know About the
Bootstrap"). With three seeds that matters: where only seeds vary, 75 % of such "95 %" intervals hold the truth. So how
far the drawn seeds lie from all seeds is widened by both factors; the images' part stays as it is. Simulated with 2 to
10 seeds, 93 to 99 % of the intervals then hold the truth, the more the larger the images' part.

That factor belongs to a level: t is farther from the normal distribution the farther out one looks. The p value is
therefore the smallest level at which the interval, widened for that level, leaves 0 out; p values of one widening
for all levels are far too small with few seeds, which matters where several are adjusted for (Holm 1979).

Where all arms of a variant start from the same phase 1, what another seed of phase 1 would change is not in it; where
each starts from a phase 1 of its own seed (`pretraining_seeds: paired`), it is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.statistics import LEVEL, interval, resampled_sums, two_sided_p
from experiments.ablation.results import Ablation, Arm

# Seeds are drawn from another stream than images.
SEED_STREAM = 1
# A p value is found to so many binary digits.
HALVINGS = 20
# Arms are drawn together as far as they have so many numbers a picture, which bounds the memory of the sums.
COLUMNS = 2000


@dataclass(frozen=True)
class VariantDifference:
    """How far a variant is ahead of the one that it is compared with, in a score on Test.

    Args:
        baseline: the other variant.
        value: difference of the means over `seeds`; None where `remark` says why there is none.
        interval: 95 % of the resampled differences; None without a value.
        p: two-sided, the smallest level at which the interval leaves 0 out; None without a value or with one seed.
        seeds: those that both have.
        means: of the baseline and of the variant, over `seeds`; None without a value.
        remark: what a reader must know about it.
    """

    baseline: str
    value: float | None = None
    interval: tuple[float, float] | None = None
    seeds: tuple[int, ...] = ()
    means: tuple[float, float] | None = None
    remark: str = ""
    p: float | None = None

    @property
    def verdict(self) -> str:
        """What the interval says, in words; one seed says nothing."""
        if self.value is None or self.interval is None:
            return self.remark
        if len(self.seeds) == 1:
            return "one seed"
        low, high = self.interval
        return "ahead" if low > 0 else "behind" if high < 0 else "not told apart"


def resampled_mean_iou(ablation: Ablation, resamples: int) -> np.ndarray:
    """Return the mean IoU of every arm on the same drawn images [B, arms]."""
    from transfer_learning.scores.confusion import scores_of_counts

    together = max(1, COLUMNS // ablation.arms[0].counts[0].size)
    drawn = []
    for start in range(0, len(ablation.arms), together):
        counts = np.stack([arm.counts for arm in ablation.arms[start : start + together]], axis=1)  # [N, arms, C, 3]
        sums = resampled_sums(counts.reshape(len(counts), -1), resamples).reshape(-1, *counts.shape[2:])
        drawn.append(scores_of_counts(sums, ablation.class_set)["mean_iou"].reshape(resamples, -1))
    return np.concatenate(drawn, axis=1)


def difference_of(
    arms: Sequence[Arm],
    others: Sequence[Arm],
    baseline: str,
    drawn: Mapping[int, np.ndarray],
    score: Callable[[Arm], float],
) -> VariantDifference:
    """Return how far arms are ahead of others, one a seed each.

    Args:
        arms: of the variant, at least one.
        others: of the baseline at the same fraction.
        baseline: its name.
        drawn: id of an arm -> its score on the drawn images [B].
        score: of an arm, on all images.
    """
    if not others:
        return VariantDifference(baseline, remark=f"no arm of {baseline} at this fraction")
    first = {arm.name.seed: arm for arm in others}
    second = {arm.name.seed: arm for arm in arms}
    seeds = tuple(sorted(first.keys() & second.keys()))
    if not seeds:
        return VariantDifference(baseline, remark=f"no seed that {baseline} has too")
    of_others, own = (float(np.mean([score(side[seed]) for seed in seeds])) for side in (first, second))
    gains = np.stack([drawn[id(second[seed])] - drawn[id(first[seed])] for seed in seeds], axis=1)  # [B, S]
    limits = interval(mean_over_drawn_seeds(gains))
    p = p_over_seeds(gains) if len(seeds) > 1 else None
    alone = sorted(first.keys() ^ second.keys())
    remarks = [f"only seed{'s' * (len(seeds) > 1)} {_listed(seeds)}: {_listed(alone)} not in both"] if alone else []
    if len(arms[0].counts) == 1:
        remarks.append("one image has no interval")
    elif len(seeds) == 1:
        remarks.append("the interval is over images only")
    ends = (limits[0], limits[1]) if limits else None
    return VariantDifference(baseline, own - of_others, ends, seeds, (of_others, own), "; ".join(remarks), p)


def mean_over_drawn_seeds(values: np.ndarray) -> np.ndarray:
    """Return the mean [B] over S of each row's values [B, S], drawn with replacement, each row by its own draw.

    How far it lies from the mean of all S is widened by `widening` at `LEVEL`. NaN where a value of the row is.
    """
    whole, beside = _of_all_and_beside(values)
    return whole + widening(values.shape[1]) * beside


def p_over_seeds(values: np.ndarray) -> float | None:
    """Return the smallest level at which an interval of the mean of values [B, S], S above 1, leaves 0 out.

    The interval of a level alpha holds 1 - alpha of the means over drawn seeds, widened as alpha asks. None where every
    row has NaN.
    """
    whole, beside = _of_all_and_beside(values)

    def share_beyond(alpha: float) -> float | None:
        return two_sided_p(whole + widening(values.shape[1], 1 - alpha) * beside)

    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        share = share_beyond(middle)
        if share is None:
            return None
        low, high = (low, middle) if share <= middle else (middle, high)
    return high


def _of_all_and_beside(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean [B] of all S values of each row [B, S], and how far the mean of those drawn lies beside it."""
    resamples, seeds = values.shape
    times = np.random.default_rng(SEED_STREAM).multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
    whole = values.mean(axis=1)
    return whole, (times * values).sum(axis=1) / seeds - whole


def widening(seeds: int, level: float = LEVEL) -> float:
    """Return by what the spread of a bootstrap over so few seeds falls short, for an interval of a level inside (0, 1).

    1 for one seed, which spreads nothing.
    """
    from scipy.stats import norm, t

    if seeds == 1:
        return 1.0
    tail = (1 + level) / 2
    return float(np.sqrt(seeds / (seeds - 1)) * t.ppf(tail, seeds - 1) / norm.ppf(tail))


def mean_iou(arm: Arm) -> float:
    """Return the mean IoU on Test of an arm, from its counts."""
    from transfer_learning.scores.confusion import scores_of_counts

    return float(scores_of_counts(arm.counts.sum(axis=0)[None], arm.content.class_set)["mean_iou"][0])


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))

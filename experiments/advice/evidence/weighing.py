"""A difference from a user's own folds, weighed with what the same way brought on other data sets.

A few masks in folds say little: among ways that are alike the highest score is chance. So what the folds say of a way
is weighed with a prior, by how sure each is (a normal mean under a normal prior; Efron and Morris, "Stein's Paradox in
Statistics", 1977). What is expected of the way that is taken does not flatter as the best of several does: the weighing
has shrunk it. The priors are those of the replay study on public data sets: prior.json, which
`benchmarks.advise_replay --adopt` writes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import UserError
from core.filing.json_file import read_json

TABLE = Path(__file__).with_name("prior.json")
# No data set is like another: what a way brings on the next differs by this at least.
NARROWEST = 0.03


@dataclass(frozen=True)
class Prior:
    """What a way brings beyond training from scratch, or an exponent, before a user's own folds say anything.

    Args:
        mean: of it.
        spread: standard deviation of it on one more data set, above 0.
        data_sets: on how many that was seen.
    """

    mean: float
    spread: float
    data_sets: int = 0


# Of a way that no replay has: as likely ahead as behind.
UNKNOWN = Prior(0.0, 0.05)
# The chance of being ahead that is called probable.
PROBABLY = 0.8


@dataclass(frozen=True)
class Weighed:
    """The difference of a way from scratch after weighing.

    Args:
        value: its mean.
        spread: its standard deviation.
        chance: that it is above 0.
        data_sets: how many others were weighed in.
        elsewhere: what it brought on them.
    """

    value: float
    spread: float
    chance: float
    data_sets: int
    elsewhere: float

    @property
    def interval(self) -> tuple[float, float]:
        """Where it lies with 95 %."""
        return self.value - 1.96 * self.spread, self.value + 1.96 * self.spread

    @property
    def preferable(self) -> bool:
        """Whether it is to be preferred to scratch: a way that brought nothing elsewhere is so if probably ahead.

        Else a few folds decide by chance between what is plain and what costs more.
        """
        doubted = self.data_sets > 0 and self.elsewhere <= 0
        return self.chance >= PROBABLY if doubted else self.value > 0


def prior_of(differences: Mapping[str, Sequence[float]], noise: Mapping[str, Sequence[float]] | None = None) -> Prior:
    """Return the prior for one more data set.

    Args:
        differences: data set -> what the way brought there in each replay; two data sets or more, of which one alone
            would say nothing of the next.
        noise: the variances of these alone, as if each were measured again: taken from the scatter, where what is
            predicted is what was true, without it (the moments of DerSimonian and Laird 1986).
    """
    from scipy import stats

    means = [float(np.mean(values)) for values in differences.values()]
    mean, count = float(np.mean(means)), len(differences)
    scatter = np.mean([np.mean((np.asarray(values) - mean) ** 2) for values in differences.values()])
    if noise:
        scatter = max(0.0, float(scatter - np.mean([np.mean(values) for values in noise.values()])))
    # The mean is itself of so many data sets, and so is their spread: both leave it uncertain, as with folds.
    wider = float(stats.t.ppf(0.975, count - 1) / stats.norm.ppf(0.975))
    spread = wider * float(np.sqrt(scatter * (count + 1) / (count - 1)))
    return Prior(mean, max(NARROWEST, spread), count)


@cache
def priors() -> dict[str, Prior]:
    """Return the priors of the replay study: arm -> prior.

    Raises:
        UserError: the table was altered.
    """
    found: dict[str, dict[str, Any]] = read_json(TABLE)
    try:
        return {arm: Prior(**row) for arm, row in found.items()}
    except (AttributeError, TypeError):
        raise UserError(f"{TABLE} is damaged: install the project anew") from None


def taken(weights: Mapping[str, Weighed], told_ahead: Collection[str]) -> str | None:
    """Return the arm that is advised; None: to train from scratch.

    Args:
        weights: arm -> its difference from scratch, weighed.
        told_ahead: arms that the folds alone tell apart from scratch, which no other is preferred to.
    """
    among = told_ahead or [arm for arm, one in weights.items() if one.preferable]
    return max(among, key=lambda arm: weights[arm].value, default=None)


def weighed(
    differences: Mapping[str, float], errors: Sequence[float], folds: int, priors: Mapping[str, Prior]
) -> dict[str, Weighed]:
    """Return differences from folds, each weighed with its prior.

    Args:
        differences: arm -> how far it is ahead of scratch.
        errors: their standard errors, which few folds tell badly: each counts as the mean of its own square and that of
            all, so that no arm is taken for an error that is low by chance. NaN: the folds say nothing of how sure they
            are.
        folds: of which the errors are; those of few count as wider, as Student's t has it.
        priors: arm -> what it brought elsewhere; of others nothing is known.
    """
    from scipy import stats

    squares = np.square(np.asarray(errors, np.float64))
    known = squares[~np.isnan(squares)]
    found = {}
    for (arm, difference), square in zip(differences.items(), squares, strict=True):
        prior = priors.get(arm, UNKNOWN)
        own, others = 0.0, prior.spread**-2
        if len(known):
            among = known.mean() if np.isnan(square) else (square + known.mean()) / 2
            wider = float(stats.t.ppf(0.975, folds - 1) / stats.norm.ppf(0.975))
            own = max(float(np.sqrt(among)) * wider, 1e-6) ** -2
        mean, spread = (own * difference + others * prior.mean) / (own + others), (own + others) ** -0.5
        chance = float(stats.norm.cdf(mean / spread))
        found[arm] = Weighed(float(mean), float(spread), chance, prior.data_sets, prior.mean)
    return found

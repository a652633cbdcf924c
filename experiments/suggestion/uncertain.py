"""Pictures of which the network is unsure, class by class and with noise.

Class-stratified, power-noised predictive entropy (Lüth et al. 2026, "Finally Outshining the Random Baseline"): each
class that is predicted has its own ranking and its own share, so that rare ones are not passed over, and rankings are
noised, since the most uncertain pictures are often alike (Kirsch et al. 2023, "Stochastic Batch Acquisition"). Here the
unit is a picture and not a patch, and the power stays as given: whoever calls again may raise it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from data.ranking import rank
from experiments.suggestion.choice import Choice

# A class counts as predicted in a picture where it takes this share of it: a few stray pixels are unsure everywhere.
LEAST_SHARE = 0.01
_TINY = 1e-12


@dataclass(frozen=True)
class Predicted:
    """What a network predicts in P pictures of C classes.

    Args:
        indices: [P] of the pictures in their split.
        shares: [P, C] of the picture that is predicted as each class.
        entropies: [P, C] mean entropy over those pixels as a share of the largest possible, 0 to 1; 0 without a pixel.
    """

    indices: np.ndarray
    shares: np.ndarray
    entropies: np.ndarray

    @property
    def holds(self) -> np.ndarray:
        """[P, C] bool, whether a class counts as predicted; the largest one always does."""
        largest = self.shares == self.shares.max(axis=1, keepdims=True)
        return largest | (self.shares >= LEAST_SHARE)


def uncertain(
    predicted: Predicted, names: Sequence[str], classes: Sequence[str], number: int, beta: float, seed: int
) -> list[Choice]:
    """Choose pictures for each predicted class in turn, the rarest first.

    Args:
        predicted: of the candidates.
        names: [P] of the candidates; chance goes by them, and not by their order.
        classes: names of the classes.
        number: how many, at most as many as there are candidates.
        beta: power of the entropy in the draw; 0 is chance alone, inf the ranking itself.
        seed: which draw.

    Returns:
        The choices in their order; the score is the entropy of the class that a picture was chosen for.
    """
    keys = noised(predicted.entropies, gumbel(names, len(classes), seed), beta)
    holds = predicted.holds
    rarest_first = sorted(np.flatnonzero(holds.any(axis=0)).tolist(), key=lambda c: (holds[:, c].sum(), c))
    rankings = {c: _ranking(keys[:, c], holds[:, c]) for c in rarest_first}
    taken: dict[int, int] = {}
    while len(taken) < number:
        for c, ranking in rankings.items():
            place = next((place for place in ranking if place not in taken), None)
            if place is not None and len(taken) < number:
                taken[place] = c
    return [
        Choice(int(predicted.indices[place]), f"unsure of {classes[c]}", float(predicted.entropies[place, c]))
        for place, c in taken.items()
    ]


def noised(scores: np.ndarray, noise: np.ndarray, beta: float) -> np.ndarray:
    """Return by what pictures are ranked: beta log(score) + noise, whose top draws in proportion to score^beta.

    Args:
        scores: 0 or more.
        noise: Gumbel(0, 1) of the same shape.
        beta: 0 or more; inf leaves the noise out.
    """
    logarithms = np.log(np.maximum(scores, _TINY))
    return logarithms if math.isinf(beta) else beta * logarithms + noise


def gumbel(names: Sequence[str], classes: int, seed: int) -> np.ndarray:
    """Return noise [P, classes] of the Gumbel distribution, of each picture and class by its name and number alone."""
    bits = [[rank(f"{c}/{name}", seed)[:8] for c in range(classes)] for name in names]
    uniform = np.array([[(int.from_bytes(own) + 0.5) / 2**64 for own in row] for row in bits])
    # A double has 53 bits: the largest of 64 round to 1.
    return -np.log(-np.log(np.minimum(uniform, 1 - 2**-53))).reshape(len(names), classes)


def _ranking(keys: np.ndarray, holds: np.ndarray) -> Iterator[int]:
    """Return an iterator over the places that hold a class, the highest key first."""
    return iter([place for place in np.argsort(-keys, kind="stable").tolist() if holds[place]])

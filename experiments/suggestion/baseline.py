"""The choice by chance that others have to beat: aware of the foreground, where a network can tell it.

Most ways of choosing do not beat it (Lüth et al. 2025, nnActive): half of the pictures come from those in which the
network sees foreground, since a picture of nothing teaches little.
"""

from collections.abc import Sequence

import numpy as np

from data.ranking import rank
from experiments.suggestion.choice import Choice


def at_random(
    candidates: Sequence[int], names: Sequence[str], foreground: np.ndarray | None, number: int, seed: int
) -> list[Choice]:
    """Choose by chance.

    Args:
        candidates: [P] indices of the pictures to choose from.
        names: [P] of them; chance goes by names, and not by their order.
        foreground: [P] bool, in which of them foreground is predicted; None: nothing is known.
        number: how many, at most P.
        seed: which draw.
    """
    drawn = sorted(range(len(candidates)), key=lambda place: rank(names[place], seed))
    if foreground is None:
        return [Choice(int(candidates[place]), "drawn from all") for place in drawn[:number]]
    first = set([place for place in drawn if foreground[place]][: -(-number // 2)])
    rest = set([place for place in drawn if place not in first][: number - len(first)])
    return [
        Choice(int(candidates[place]), f"drawn from {'those with foreground' if place in first else 'all others'}")
        for place in drawn
        if place in first or place in rest
    ]

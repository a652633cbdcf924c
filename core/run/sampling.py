"""Which pictures a step reads: a function of the seed and the step's number alone."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from core.errors import UserError
from core.randomness import permutation, seed_of


class Draws:
    """The batches of a run.

    Args:
        groups: index arrays of the pictures to draw from; one group = plain shuffling, several groups are drawn
            equally often, members of a smaller group several times a pass.
        batch_size: pictures a step.
        seed: decides the order.
        refill: True fills every batch, over the end of a pass into the next; False ends each pass with what is left.

    Raises:
        UserError: if a group is empty.
    """

    def __init__(self, groups: Sequence[np.ndarray], batch_size: int, seed: int, refill: bool) -> None:
        if not all(len(group) for group in groups):
            raise UserError("a group of pictures to draw from is empty: leave out --class_balance or add pictures")
        self.groups = [np.asarray(group) for group in groups]
        self.batch_size, self.seed, self.refill = batch_size, seed, refill
        self.size = sum(len(group) for group in self.groups)
        self.steps_per_pass = -(-self.size // batch_size)
        self._order = lru_cache(maxsize=2)(self._order_of_pass)

    def pictures_in(self, step: int) -> int:
        """Return how many pictures a step draws."""
        if self.refill:
            return self.batch_size
        return min(self.batch_size, self.size - step % self.steps_per_pass * self.batch_size)

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the pass, the picture and how often the pass drew that picture before, for each place: 3 x [B]."""
        if self.refill:
            places = step * self.batch_size + np.arange(self.batch_size)
        else:
            start = step // self.steps_per_pass * self.size
            first = start + step % self.steps_per_pass * self.batch_size
            places = first + np.arange(self.pictures_in(step))
        passes = places // self.size
        rows = np.stack([self._order(int(p))[:, place % self.size] for p, place in zip(passes, places, strict=True)])
        return passes, rows[:, 0], rows[:, 1]

    def _order_of_pass(self, number: int) -> np.ndarray:  # [2, size]: picture, repeat
        share = -(-self.size // len(self.groups))
        columns = []
        for which, group in enumerate(self.groups):
            rounds = -(-share // len(group))
            orders = [permutation(seed_of(self.seed, which, again), number, len(group)) for again in range(rounds)]
            pictures = group[np.concatenate(orders)[:share]]
            columns.append(np.stack([pictures, np.repeat(np.arange(rounds), len(group))[:share]]))
        # Groups take turns, so that every batch holds its share of each.
        return np.stack(columns, axis=-1).reshape(2, -1)[:, : self.size]

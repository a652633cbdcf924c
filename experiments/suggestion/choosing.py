"""The ways of choosing over a split: what each looks at, once, and whom it then takes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.split import Split
from experiments.suggestion.baseline import at_random
from experiments.suggestion.choice import Choice
from experiments.suggestion.cold import typical
from experiments.suggestion.config import Way
from experiments.suggestion.uncertain import LEAST_SHARE, Predicted, uncertain


@dataclass(frozen=True)
class Among:
    """Whom to choose among, and what is known of them.

    Args:
        split: whose pictures they are.
        labelled: indices of those that have a label.
        candidates: indices of those to choose from.
        features: [N, C] of all pictures of the split, for `typical`.
        predicted: of the candidates in their order, for `uncertain` and the foreground of `random`.
    """

    split: Split
    labelled: Sequence[int]
    candidates: Sequence[int]
    features: np.ndarray | None = None
    predicted: Predicted | None = None

    @property
    def names(self) -> list[str]:
        """The candidates' names."""
        return [self.split.names[index] for index in self.candidates]

    @property
    def foreground(self) -> np.ndarray | None:
        """[P] bool, in which candidates a class but the background is predicted; None where that is not known."""
        background = self.split.class_set.background
        if self.predicted is None or background is None:
            return None
        return 1 - self.predicted.shares[:, background] >= LEAST_SHARE

    def choose(self, way: Way, number: int, beta: float, seed: int) -> list[Choice]:
        """Choose so many, at most as many as there are candidates, in the order in which to label them."""
        if way == "typical":
            assert self.features is not None, "an encoder looked at the pictures"
            return typical(self.features, self.labelled, self.candidates, number, seed)
        if way == "uncertain":
            assert self.predicted is not None, "a network of phase 2 looked at the candidates"
            return uncertain(self.predicted, self.names, self.split.class_set.names, number, beta, seed)
        return at_random(self.candidates, self.names, self.foreground, number, seed)

"""Whether the pictures with a mask are like the others: scores hold for pictures like those that are scored.

A classifier two-sample test (Lopez-Paz and Oquab 2017): if colours and gradients alone tell whether held out pictures
have a mask, the two are no draws from one pile. Plain features, since a trained network's would need one.
"""

from dataclasses import dataclass

import numpy as np

MOST = 400  # pictures of each kind
FEWEST = 12  # with a mask: fewer tell nothing
PERMUTATIONS = 39
LEVEL = 0.05
LEAST_AUC = 0.65  # what is less is of no weight, however sure
_BINS = 8


@dataclass(frozen=True)
class Difference:
    """How well pictures with and without a mask are told apart, and the pictures that look least like labelled ones."""

    auc: float
    p: float
    examples: tuple[str, ...]

    @property
    def is_told(self) -> bool:
        """Whether it is one to be warned of."""
        return self.p <= LEVEL and self.auc >= LEAST_AUC

    @property
    def warning(self) -> str:
        """What to be warned of, in a sentence."""
        return (
            f"the pictures with a mask differ from the others (told apart with an AUC of {self.auc:.2f} by colours and "
            f"gradients): scores hold for pictures like those with a mask; least like them: {', '.join(self.examples)}"
        )


def difference_of(images: np.ndarray, labelled: np.ndarray, names: list[str], seed: int = 0) -> Difference | None:
    """Return how pictures with and without a mask differ; None where there are too few of either.

    Args:
        images: [N, H, W, channels] uint8.
        labelled: [N] bool.
        names: of the pictures.
        seed: decides which are looked at and how they are permuted.
    """
    random = np.random.default_rng(seed)
    with_mask, without = np.flatnonzero(labelled), np.flatnonzero(~labelled)
    if min(len(with_mask), len(without)) < FEWEST:
        return None
    kept = [random.permutation(indices)[:MOST] for indices in (with_mask, without)]
    chosen = np.concatenate(kept)
    truth = np.repeat([1, 0], [len(indices) for indices in kept])
    features = np.stack([features_of(images[index]) for index in chosen])
    auc, probability = _held_out(features, truth)
    by_chance = [_held_out(features, random.permutation(truth))[0] for _ in range(PERMUTATIONS)]
    p = (1 + sum(other >= auc for other in by_chance)) / (1 + PERMUTATIONS)
    unlike = [index for index in np.argsort(probability) if not truth[index]][:3]
    return Difference(float(auc), p, tuple(names[chosen[index]] for index in unlike))


def features_of(image: np.ndarray) -> np.ndarray:
    """Return plain features of a picture [H, W, channels] uint8: means, deviations and gradients of its quarters."""
    picture = image.astype(np.float32) / 255
    grey = picture.mean(axis=-1)
    down, right = np.gradient(grey)
    strength, angle = np.hypot(down, right), np.mod(np.arctan2(down, right), np.pi)
    height, width = grey.shape
    found = []
    for rows in (slice(0, height // 2), slice(height // 2, height)):
        for columns in (slice(0, width // 2), slice(width // 2, width)):
            part = picture[rows, columns]
            found += [part.mean(axis=(0, 1)), part.std(axis=(0, 1))]
            weights = strength[rows, columns]
            found.append(np.histogram(angle[rows, columns], _BINS, (0, np.pi), weights=weights)[0] / weights.size)
    return np.concatenate(found)


def _held_out(features: np.ndarray, truth: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the AUC of pictures that were not learned from, and how likely each [N] has a mask."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced", max_iter=500))
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    probability = cross_val_predict(model, features, truth, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(truth, probability)), probability

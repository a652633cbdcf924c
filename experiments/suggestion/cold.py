"""Typical and diverse pictures, by clusters of the encoder's features: what a cold start is best served with.

As TypiClust (Hacohen, Dekel and Weinshall 2022, "Active Learning on a Budget"): as many clusters as there will be
labels, of which those without a label are served first, the largest before the others. From each comes the picture
nearest to its middle.
"""

import warnings
from collections.abc import Sequence

import numpy as np

from core.evaluation import counted
from experiments.suggestion.choice import Choice

# Clusters beyond so many hold a picture or two each, and take long; more are made only where more are asked for.
ENOUGH_CLUSTERS = 500
RESTARTS = 4


def typical(
    features: np.ndarray, labelled: Sequence[int], candidates: Sequence[int], number: int, seed: int
) -> list[Choice]:
    """Choose typical pictures from clusters that hold the fewest labels.

    Args:
        features: [N, C] of all pictures, whatever each channel's scale.
        labelled: indices of those with a label, which cover their clusters.
        candidates: indices of those to choose from, none of them labelled.
        number: how many, at most as many as there are candidates.
        seed: of the first middles.

    Returns:
        The choices in their order; the score is the share of the pictures that the cluster holds.
    """
    known = np.array([*labelled, *candidates], np.int64)
    few = min(len(known), max(number, min(len(labelled) + number, ENOUGH_CLUSTERS)))
    cluster, distance = _clusters(features[known], few, seed)
    sizes = np.bincount(cluster, minlength=few)
    with_label = np.bincount(cluster[: len(labelled)], minlength=few)
    waiting: dict[int, list[int]] = {}
    for place in sorted(range(len(labelled), len(known)), key=lambda place: (distance[place], known[place])):
        waiting.setdefault(int(cluster[place]), []).append(place)
    held = with_label.copy()
    found = []
    for _ in range(number):
        best = min(waiting, key=lambda one: (held[one], -sizes[one], one))
        place = waiting[best].pop(0)
        held[best] += 1
        if not waiting[best]:
            del waiting[best]
        why = f"typical of {counted(int(sizes[best]), 'picture')} alike, {with_label[best] or 'none'} of them labelled"
        found.append(Choice(int(known[place]), why, float(sizes[best] / len(known))))
    return found


def _clusters(features: np.ndarray, number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return of each row [N, C] its cluster and how far it is from that cluster's middle, channels standardised."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.preprocessing import StandardScaler

    standard = StandardScaler().fit_transform(features.astype(np.float64))
    with warnings.catch_warnings():
        # Pictures that are the same make fewer clusters than were asked for, which is no reason for less pictures.
        warnings.simplefilter("ignore", ConvergenceWarning)
        means = KMeans(number, n_init=RESTARTS, random_state=seed).fit(standard)
    return means.labels_, np.linalg.norm(standard - means.cluster_centers_[means.labels_], axis=1)

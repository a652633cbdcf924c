"""The mean Dice of a case, by which the arms of volumes are compared beside mean IoU, as medicine states scores."""

import numpy as np

from core.statistics import resampled_sums
from experiments.ablation.results import Ablation, Arm

MEASURE = "mean Dice of a case"


def is_by_case(ablation: Ablation) -> bool:
    """Say whether the arms have such a score: their images are volumes, and there is a background."""
    return ablation.is_of_volumes and ablation.class_set.background is not None


def case_dice(arm: Arm) -> float:
    """Return the mean over the volumes of Test of the mean Dice of the foreground classes; NaN where none has any."""
    by_case = _by_case(arm)
    known = by_case[~np.isnan(by_case)]
    return float(known.mean()) if len(known) else float("nan")


def resampled_case_dice(ablation: Ablation, resamples: int) -> np.ndarray:
    """Return the mean Dice of a case of every arm on the same drawn volumes [B, arms]."""
    by_case = np.stack([_by_case(arm) for arm in ablation.arms], axis=1)  # [N, arms]
    known = ~np.isnan(by_case)
    sums = resampled_sums(np.concatenate([np.where(known, by_case, 0), known], axis=1), resamples)
    of_dice, of_cases = np.split(sums, 2, axis=1)
    return np.divide(of_dice, of_cases, out=np.full(of_dice.shape, np.nan), where=of_cases > 0)


def _by_case(arm: Arm) -> np.ndarray:
    """Return the mean Dice [N] of the foreground classes that a volume's truth or prediction holds."""
    from transfer_learning.scores.confusion import scores_of_counts

    return scores_of_counts(arm.counts, arm.content.class_set)["mean_foreground_dice"]

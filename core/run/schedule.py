"""The learning rate as a function of the step, and with a plateau of the log's rows, which the run state holds anyway.

So a resumed run needs no scheduler state.
"""

import math
from collections.abc import Iterable

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from core.train_config import Schedule


def learning_rate_factor(step: int, total: int, schedule: Schedule, warmup_steps: int = 0) -> float:
    """Return the share of the full learning rate at a step, in [0, 1].

    Args:
        step: the optimiser step about to be taken, from 0.
        total: steps of the whole run.
        schedule: "cosine" (Loshchilov & Hutter 2017, without restarts), "poly" ((1 - t)^0.9, as in DeepLab) or
            "constant", which "plateau" is too between its rows.
        warmup_steps: steps of linear rise before the schedule begins.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = min(1.0, (step - warmup_steps) / max(1, total - warmup_steps))
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    return (1 - progress) ** 0.9 if schedule == "poly" else 1.0


def plateau_factor(scores: Iterable[float | None], maximise: bool, factor: float, patience: int) -> float:
    """Return the share of the learning rate that is left after rows of the log with these validation scores.

    What torch's `ReduceLROnPlateau` comes to when it is shown them one after the other.

    Args:
        scores: one a row, in order; a row that could not be scored (None) tells nothing.
        maximise: whether higher is better.
        factor: what the rate is multiplied by each time.
        patience: how many rows in a row may be no better before it is.
    """
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = ReduceLROnPlateau(optimizer, "max" if maximise else "min", factor=factor, patience=patience)
    for score in scores:
        if score is not None:
            scheduler.step(score)
    return float(optimizer.param_groups[0]["lr"])

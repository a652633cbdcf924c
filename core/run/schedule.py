"""The learning rate as a function of the step alone, so that a resumed run needs no scheduler state."""

import math

from core.train_config import Schedule


def learning_rate_factor(step: int, total: int, schedule: Schedule, warmup_steps: int = 0) -> float:
    """Return the share of the full learning rate at a step, in [0, 1].

    Args:
        step: the optimiser step about to be taken, from 0.
        total: steps of the whole run.
        schedule: "cosine" (Loshchilov & Hutter 2017, without restarts), "poly" ((1 - t)^0.9, as in DeepLab) or
            "constant".
        warmup_steps: steps of linear rise before the schedule begins.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = min(1.0, (step - warmup_steps) / max(1, total - warmup_steps))
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    return (1 - progress) ** 0.9 if schedule == "poly" else 1.0

"""The unlabelled pictures of each step: a function of the seed and the step, as the labelled ones are."""

import dataclasses

import numpy as np
import torch

from core.errors import UserError
from core.randomness import keys, seed_of
from core.run.sampling import Draws
from data.augment.batch import Batch
from data.augment.settings import AugmentConfig
from data.loading import training_batch
from data.split import Split

STREAM = 1  # drawn and changed independently of the labelled pictures of the same step


class Pictures:
    """Batches of pictures whose masks, where they have some, are not looked at.

    Args:
        split: Train, its arrays on the device perhaps.
        chosen: indices of the pictures.
        settings: what changes them.
        batch_size: pictures a step.
        seed: of the run.
        device: where batches go.
    """

    def __init__(
        self,
        split: Split,
        chosen: np.ndarray,
        settings: AugmentConfig,
        batch_size: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.split, self.settings, self.device = split, settings, device
        self.seed = seed_of(seed, STREAM)
        self.draws = Draws([chosen], batch_size, self.seed, refill=True)

    def batch(self, step: int) -> tuple[Batch, np.ndarray]:
        """Return the changed pictures of a step, without labels, and a key for each [N]."""
        draw = self.draws.batch(step)
        batch = training_batch(self.split, draw, self.seed, self.settings, self.device)
        return dataclasses.replace(batch, label=None), keys(self.seed, *draw)


def require_unlabelled(split: Split, pool: np.ndarray, labelled: np.ndarray) -> None:
    """Raise UserError where a pool [N] has no picture but those whose masks are learned from."""
    if not len(np.setdiff1d(pool, labelled)):
        raise UserError(
            f"{split.data_dir}: --unlabelled and --auxiliary learn from pictures without masks, and of the {len(pool)} "
            "chosen of Train the masks of all are learned from: add pictures, or leave these settings out"
        )

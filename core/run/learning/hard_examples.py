"""Draws of which a share goes to the pictures that the network finds hard."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from core.errors import UserError
from core.randomness import keys, uniform
from core.run.sampling import Draws

# Draws go by the losses as they were at the last of these steps: looking makes the host wait for the device.
LOOK_EVERY = 20
# How often a pass drew a picture is below this; so no hard draw is augmented as an ordinary one.
HARD = 1 << 32


class HardDraws(Draws):
    """Batches whose last places go to pictures with a probability in proportion to their last loss.

    The other places are those of `Draws` of a smaller batch, so that a pass still shows every picture. A picture whose
    loss is not known yet counts as the mean of the others. Which pictures are hard is a function of the seed, the step
    and the losses, so a run whose losses are kept goes on with the same draws.

    Args:
        groups, batch_size, seed, refill: as those of `Draws`.
        share: of a batch's places that go by the losses.
        device: where losses are kept.

    Raises:
        UserError: a batch has no place for one of the two kinds.
    """

    def __init__(
        self,
        groups: Sequence[np.ndarray],
        batch_size: int,
        seed: int,
        refill: bool,
        share: float,
        device: torch.device,
    ) -> None:
        self.hard = round(share * batch_size)
        if not 0 < self.hard < batch_size:
            fewest = math.ceil(1 / min(share, 1 - share))
            raise UserError(
                f"hard_examples {share:g} of --batch_size {batch_size} are {self.hard} pictures, and ordinary ones "
                f"need places too: give --batch_size {fewest} or more, or another share"
            )
        super().__init__(groups, batch_size - self.hard, seed, refill)
        self._others = Draws(groups, batch_size - self.hard, seed, refill)
        self.pictures = np.unique(np.concatenate(self.groups))
        self.last = torch.full((len(self.pictures),), torch.nan, device=device)
        self.looked_at = self.last.clone()
        self._heights: np.ndarray | None = None
        self._drawn = np.empty(0, dtype=np.int64)

    def pictures_in(self, step: int) -> int:
        """Return how many pictures a step draws."""
        return self._others.pictures_in(step) + self.hard

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what `Draws.batch` does, the hard ones last."""
        if step % LOOK_EVERY == 0:
            self.looked_at, self._heights = self.last.clone(), None
        passes, ordinary, repeats = self._others.batch(step)
        self._drawn = np.concatenate([ordinary, self._hard(step)])
        more = np.arange(self.hard)
        return np.append(passes, np.full(self.hard, step)), self._drawn, np.append(repeats, HARD + more)

    def _hard(self, step: int) -> np.ndarray:
        if self._heights is None:
            losses = self.looked_at.double().cpu().numpy()
            known = losses[~np.isnan(losses)]
            losses = np.where(np.isnan(losses), known.mean() if len(known) else 1.0, losses)
            self._heights = np.cumsum(losses if losses.any() else np.ones_like(losses))
        drawn = uniform(keys(self.seed, step, np.arange(self.hard)), "hard").double().numpy()
        places = np.searchsorted(self._heights, drawn * self._heights[-1], side="right")
        return self.pictures[places.clip(max=len(self.pictures) - 1)]

    def note(self, losses: Tensor) -> None:
        """Take in the losses [B] of the pictures of the last batch, one a place; a picture's last place counts."""
        pictures, from_behind = np.unique(self._drawn[::-1], return_index=True)
        rows = torch.from_numpy(len(self._drawn) - 1 - from_behind).to(losses.device)
        self.last[torch.from_numpy(np.searchsorted(self.pictures, pictures)).to(losses.device)] = losses[rows]

    def state(self) -> dict[str, Tensor]:
        """Return what `load` goes on from."""
        return {"last": self.last, "looked_at": self.looked_at}

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from a state. Raises LookupError or RuntimeError where it is of other pictures."""
        for name, own in self.state().items():
            own.copy_(state[name])
        self._heights = None

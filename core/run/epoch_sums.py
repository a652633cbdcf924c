"""What an epoch has added up so far: part of the run state, so that an epoch can be left and entered in the middle."""

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from core.errors import require_finite


@dataclass
class EpochSums:
    """Losses of an epoch's steps, weighted by their pictures.

    Losses wait on the device until `collect` looks at them, since looking makes the host wait for the device. They are
    added in the order of the steps, so that the sums have the same bits whenever that happens.

    Attributes:
        totals: of each loss, over the `collected` pictures.
        seconds: that the epoch has taken, in earlier processes too.
    """

    totals: dict[str, float] = field(default_factory=dict)
    collected: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self._waiting: list[tuple[str, int, dict[str, Tensor]]] = []

    def __len__(self) -> int:
        """How many steps wait to be looked at."""
        return len(self._waiting)

    def add(self, where: str, pictures: int, losses: dict[str, Tensor]) -> None:
        """Note the losses (scalars) of a step of `pictures` pictures; `where` names the step in errors."""
        self._waiting.append((where, pictures, losses))

    def collect(self) -> None:
        """Look at the losses that wait.

        Raises:
            RunError: if one is not finite.
        """
        if not self._waiting:
            return
        names = list(self._waiting[0][2])
        values = torch.stack([torch.stack([losses[name] for name in names]) for _, _, losses in self._waiting])
        for (where, pictures, _), row in zip(self._waiting, values.tolist(), strict=True):
            parts = dict(zip(names, row, strict=True))
            require_finite(parts, where)
            for name, value in parts.items():
                self.totals[name] = self.totals.get(name, 0.0) + value * pictures
            self.collected += pictures
        self._waiting.clear()

    def mean(self, name: str) -> float | None:
        """Return the mean of a loss over the pictures collected, None where there is none yet."""
        return self.totals[name] / self.collected if self.collected else None

    def means(self) -> dict[str, float]:
        """Return all of them, with the prefix `train_`."""
        return {f"train_{name}": total / self.collected for name, total in self.totals.items()}

    def state(self) -> dict[str, Any]:
        """Return plain values from which `EpochSums(**state)` goes on."""
        self.collect()
        return asdict(self)

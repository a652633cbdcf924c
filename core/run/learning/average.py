"""The exponential moving average of a network's weights (Polyak and Juditsky 1992; Izmailov et al. 2018)."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from core.weights import require_fit


class Average:
    """Averaged weights and buffers of a network, and a way to compute with them.

    The average begins with the weights after the first step.

    Args:
        model: the network, on its device, as Fabric set it up.
        decay: the share of the average that each step keeps.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._model = model.get_submodule("module")  # without what Fabric wraps it in
        # How many steps were averaged is counted on the CPU: on a GPU each step would wait for it.
        self._average = AveragedModel(self._model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)

    def update(self) -> None:
        """Take the network's weights after a step in."""
        self._average.update_parameters(self._model)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Give the network the averaged weights for a while; whatever wraps it computes with them too."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        averaged = self._average.module
        own = chain(self._model.parameters(), self._model.buffers())
        for one, other in zip(own, chain(averaged.parameters(), averaged.buffers()), strict=True):
            one.data, other.data = other.data, one.data

    def state(self) -> dict[str, Tensor]:
        """Return what `load` goes on from."""
        return self._average.state_dict()

    def load(self, state: dict[str, Tensor], folder: Path) -> None:
        """Go on from a state.

        Raises:
            UserError: it is that of another network, or there is none.
        """
        require_fit(self._average.state_dict(), state, f"the averaged weights in the state in {folder}")
        self._average.load_state_dict(state)

"""The exponential moving average of a network's weights (Polyak and Juditsky 1992; Izmailov et al. 2018)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from core.weights import require_fit


class Average:
    """Averaged weights and buffers of a network, and a way to compute with them.

    The average begins with the weights after the first step.

    Args:
        model: the network, on its device, as Fabric set it up.
        decay: the share of the average that each step keeps.
        warms_up: whether the first steps keep less: after n steps n / (n + 1) at most, which is their plain mean
            (Tarvainen & Valpola 2017).
    """

    def __init__(self, model: nn.Module, decay: float, warms_up: bool = False) -> None:
        self._model = model.get_submodule("module")  # without what Fabric wraps it in
        self._decay = decay
        average = self._warming_up if warms_up else get_ema_multi_avg_fn(decay)
        # How many steps were averaged is counted on the CPU: on a GPU each step would wait for it.
        self._average = AveragedModel(self._model, multi_avg_fn=average, use_buffers=True)

    @property
    def network(self) -> nn.Module:
        """The network with the averaged weights."""
        return self._average.module

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

    @torch.no_grad()
    def _warming_up(self, averaged: Sequence[Tensor], current: Sequence[Tensor], _: Tensor | int) -> None:
        kept = min(self._decay, 1 - 1 / (int(self._average.n_averaged) + 1))
        for one, other in zip(averaged, current, strict=True):
            if one.is_floating_point():
                one.lerp_(other, 1 - kept)
            else:
                one.copy_(other)

    def state(self) -> dict[str, Tensor]:
        """Return what `load` goes on from."""
        return self._average.state_dict()

    def load(self, state: dict[str, Tensor], called: str) -> None:
        """Go on from a state, which errors call by a name.

        Raises:
            UserError: it is that of another network, or there is none.
        """
        require_fit(self._average.state_dict(), state, called)
        self._average.load_state_dict(state)

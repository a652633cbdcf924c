"""What a run computes on is one thing for all of its processes."""

import pytest

from core.machine.choices import Choice
from core.machine.device import make_fabric
from core.machine.machine import Machine


@pytest.mark.parametrize("asked", ["auto", "torch"])
def test_all_processes_compute_as_the_first_does(monkeypatch, asked):
    fabric, _ = make_fabric("cpu", "off")
    monkeypatch.setattr("core.machine.machine.choice", lambda *_: Choice("contiguous", "own"))
    told = []

    def broadcast(mine):
        told.append(mine)
        return "channels_last", "torch"  # of the first, on another processor

    monkeypatch.setattr(fabric, "broadcast", broadcast)
    here = Machine.of(fabric, "auto", asked)
    assert told == [("contiguous", "own" if asked == "auto" else "torch")]
    assert here.choices() == {"amp": "off", "memory_format": "channels_last", "kernels": "torch"}

"""How networks lie in memory and by which kernels they compute: what was measured to be fastest on a kind of processor.

A table, not a race at every start, whose winner could change between two runs and their bits with it. The table is
kernels.json; `benchmarks.kernels` measures it and, with --adopt, writes it.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch

from core.errors import UserError
from core.filing.json_file import read_json
from core.machine.processor import processor, words_of

TABLE = Path(__file__).with_name("kernels.json")
Work = Literal["step", "forward"]


@dataclass(frozen=True)
class Choice:
    """A way to compute.

    Attributes:
        memory_format: `contiguous` or `channels_last`.
        kernels: `torch` or `own` (`core.networks.kernels`).
    """

    memory_format: str
    kernels: str


@cache
def table() -> dict[str, Any]:
    """Return kind of processor -> precision -> work -> the choice, with where it was measured."""
    return read_json(TABLE)


def measured(work: Work, device: torch.device, precision: str) -> Choice | None:
    """Return the fastest way to take a training step or to make a forward pass; None where nothing was measured.

    What was measured holds for processors of the same kind and maker.

    Args:
        work: which of the two.
        device: of this machine.
        precision: `off`, `bf16` or `fp16`.

    Raises:
        UserError: the table was altered.
    """
    here = processor(device)
    try:
        row = table().get(here.kind, {}).get(precision)
        if not row or words_of(here.name)[:1] != words_of(row["measured_on"])[:1]:
            return None
        return Choice(**row[work])
    except (AttributeError, KeyError, TypeError):
        raise UserError(f"{TABLE} is damaged: install the project anew") from None


def safe(work: Work, device: torch.device) -> Choice:
    """Return what is not slow anywhere that is known."""
    return Choice("channels_last" if work == "forward" and device.type == "cpu" else "contiguous", "torch")


def choice(work: Work, device: torch.device, precision: str, dims: int = 2) -> Choice:
    """Return the fastest way that was measured, else the safe one; arguments as those of `measured`.

    `dims` is 3 for volumes, which the table is not about. Milliseconds of a step on four patches of 32 x 48 x 32
    voxels at width 16, one thread (medians): on an AMD EPYC Zen 3, fp32, by torch's kernels 1970 in channels_last, 2540
    contiguous; on one with bf16 in fp32 990 in channels_last by our kernels, 1100 by torch's, 1110 contiguous, and in
    bf16 480, 1060, 670.
    """
    if dims == 3 and device.type == "cpu":
        return Choice("channels_last", "own")
    return measured(work, device, precision) or safe(work, device)

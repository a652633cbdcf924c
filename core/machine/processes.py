"""The processes of a run: one, or several (`torchrun`, SLURM) that share every batch and every split between them.

Losses that are ratios (weighted cross-entropy, batch Dice) are no means of the processes' own losses: numerators and
denominators are added up first, so that any number of processes computes what one would.
"""

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from core.errors import UserError

# Numerators, denominators and counts by the name of what they make up.
Sums = dict[str, tuple[Tensor, ...]]


def merged(sums: Sums, more: Sums) -> Sums:
    """Add the sums of one more batch to those of the batches before, {} for none."""
    return {
        name: tuple(a + b for a, b in zip(sums[name], tensors, strict=True)) if sums else tensors
        for name, tensors in more.items()
    }


@dataclass(frozen=True)
class Processes:
    """This process among those of the run.

    Attributes:
        rank: its number, from 0.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def say(self, line: str) -> None:
        """Print a line, once for all processes."""
        if self.is_first:
            print(line)

    def share(self, length: int) -> slice:
        """Return this process's part of `length` things in a row; parts differ by one at most, and may be empty."""
        return slice(self.rank * length // self.count, (self.rank + 1) * length // self.count)

    def require_enough(self, pictures: int, what: str) -> None:
        """Raise UserError where `pictures`, named `what`, are fewer than the processes that share them."""
        if pictures < self.count:
            raise UserError(f"{self.count} processes cannot share {what}, of which there are {pictures}: start fewer")

    def add_up(self, sums: Sums, counted: bool = True) -> Sums:
        """Add tensors over all processes, all in one message.

        The value is the whole run's; the gradient flows to this process's summands alone, as those of the others do
        there, so that the gradients of all processes add up to that of the whole.

        Args:
            sums: tensors of the same names and shapes everywhere, exact in fp64.
            counted: False leaves this process's own summands out.
        """
        if self.count == 1:
            return sums
        own = [tensor if counted else tensor * 0 for tensors in sums.values() for tensor in tensors]
        message = torch.cat([tensor.detach().double().flatten() for tensor in own])
        if dist.get_backend() == "nccl":
            message = message.cuda()
        dist.all_reduce(message)
        whole = iter(message.split([tensor.numel() for tensor in own]))
        totals = iter([next(whole).view_as(tensor).to(tensor) + (tensor - tensor.detach()) for tensor in own])
        return {name: tuple(next(totals) for _ in tensors) for name, tensors in sums.items()}

    def require_equal(self, number: int, device: torch.device, complaint: str) -> None:
        """Raise UserError with `complaint` unless the number is the same in all processes."""
        if self.highest(number, device) != number or self.highest(-number, device) != -number:
            raise UserError(complaint)

    def highest(self, number: int, device: torch.device) -> int:
        """Return the highest of the processes' numbers."""
        if self.count == 1:
            return number
        message = torch.tensor(number, device=device)
        dist.all_reduce(message, dist.ReduceOp.MAX)
        return int(message)


ALONE = Processes()


def started() -> tuple[int, int]:
    """Return how many processes `torchrun` or SLURM's `srun` started on this machine, and on how many machines.

    Raises:
        UserError: where machines have different numbers of them.
    """
    if dist.is_available() and dist.is_torchelastic_launched():
        everywhere = int(os.environ["WORLD_SIZE"])
        machines = everywhere // int(os.environ["LOCAL_WORLD_SIZE"])
    elif by_srun():
        everywhere, machines = int(os.environ["SLURM_STEP_NUM_TASKS"]), int(os.environ["SLURM_STEP_NUM_NODES"])
    else:
        return 1, 1
    if everywhere % machines:
        raise UserError(f"{everywhere} processes on {machines} machines: every machine needs the same number of them")
    return everywhere // machines, machines


def by_srun() -> bool:
    """Say whether SLURM's `srun` started this process; a job's own script has SLURM's other variables too."""
    return "SLURM_STEP_NUM_TASKS" in os.environ

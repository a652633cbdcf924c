"""Memory that is taken in a process of its own, where no earlier test has left holes in the heap to take it from."""

from collections.abc import Sequence

import torch

from core.machine.peak import Peak

CPU = torch.device("cpu")


def main(_: Sequence[str]) -> int:
    """Print the MiB of three blocks of 64 MiB one after the other, and of one beside one of half its size."""
    torch.ones(2**24)  # what it loads at its first use
    with Peak(CPU) as found:
        for _ in range(3):
            torch.ones(2**24)
    with Peak(CPU) as both:
        blocks = [torch.ones(2**24), torch.ones(2**23)]
    print(found.mebibytes, both.mebibytes, len(blocks))
    return 0

"""Gradient checkpointing (Chen et al. 2016) that changes no bit: memory for time."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from core.networks.dropout import same_share


def checkpoint_blocks(network: nn.Module) -> None:
    """Have each block of a network compute its activations anew in the backward pass instead of keeping them.

    A block is what has parts and parameters and is no mere sequence: a residual block of timm's, a stage of ours.
    Layers that stand in a plain row, as in VGG, keep what they computed.
    """
    for block in _blocks(network):
        setattr(block, "forward", partial(_twice, block, block.forward))  # noqa: B010 - torch types it as a method


def _blocks(network: nn.Module) -> Iterator[nn.Module]:
    for part in network.children():
        if isinstance(part, nn.Sequential | nn.ModuleList):
            yield from _blocks(part)
        elif any(True for _ in part.children()) and any(True for _ in part.parameters()):
            yield part


def _twice(block: nn.Module, forward: Callable[..., Any], *inputs: Any) -> Any:
    if not (block.training and torch.is_grad_enabled()):
        return forward(*inputs)
    share = same_share()

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _again(block, share)

    return checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts)


@contextmanager
def _again(block: nn.Module, share: AbstractContextManager[None]) -> Iterator[None]:
    """Compute a second time what was computed: dropout draws for the same batch, statistics have moved already."""
    norms = [module for module in block.modules() if isinstance(module, _BatchNorm)]
    with ExitStack() as stack:
        stack.enter_context(share)
        for norm in norms:
            for name, still in (("momentum", 0.0), ("num_batches_tracked", None)):
                stack.callback(setattr, norm, name, getattr(norm, name))
                setattr(norm, name, still)
        yield

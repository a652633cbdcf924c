"""Batch norms of pretrained encoders: ones that stand still, and ones that were folded into their convolutions.

Weights that come from a program for phones have each norm folded: weight 1, mean 0, variance 1 - eps, and a bias. By
its stored statistics such a norm adds its bias and no more; by those of a batch it would wipe out what it was given.
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from core.errors import UserError

# How far a folded variance may lie from 1: that of eps, which is at most 0.01.
NEAR_ONE = 0.011


def batch_norms(network: nn.Module) -> Iterator[_BatchNorm]:
    """Yield the batch norms of a network, timm's with an activation in them too."""
    return (module for module in network.modules() if isinstance(module, _BatchNorm))


def is_folded(network: nn.Module) -> bool:
    """Say whether no batch norm of a network holds statistics, only the bias of the convolution before it."""
    norms = list(batch_norms(network))
    return bool(norms) and all(map(_has_no_statistics, norms)) and any(norm.bias.any() for norm in norms)


def require_norms_fit(network: nn.Module, source: str, learn: bool) -> None:
    """Raise UserError where folded batch norms would normalise by the statistics of batches (`learn`)."""
    if learn and is_folded(network):
        raise UserError(
            f"{source} has its batch norms folded into its convolutions, and statistics of batches would destroy what "
            "it knows: give --restore_batch_norm, --freeze_batch_norm, or in phase 2 --freeze always"
        )


def hold_batch_norms(network: nn.Module) -> None:
    """Let batch norms normalise by their stored statistics, which stand still; weight and bias go on learning."""
    for norm in batch_norms(network):
        norm.eval()


def restore_encoder(model: nn.Module, pictures: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Restore the statistics of a network's encoder where they are folded away (`--restore_batch_norm`).

    Args:
        model: one of this project's, with `normalise` and `encoder`.
        pictures: batches of them as the network takes them, each with its content; at least one.
    """
    encoder = model.get_submodule("encoder")
    if not is_folded(encoder):
        print("note: no batch norm of the encoder is folded: --restore_batch_norm has nothing to restore")
        return
    normalise = model.get_submodule("normalise")
    restore_statistics(encoder.eval(), (normalise(*batch) for batch in pictures))


def restore_statistics(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give folded batch norms the statistics of pictures, and weights that take them back out again.

    In eval mode the network computes what it did before; in training mode it nearly does where a batch is like the
    pictures, so that it can go on learning as any other.

    Args:
        network: in eval mode.
        batches: [N, C, H, W], as the network takes them; at least one.
    """
    sums: dict[_BatchNorm, list[Tensor]] = {}

    def measure(norm: nn.Module, given: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, _BatchNorm)
        x = given[0].detach().double()
        counted = torch.full_like(x[0, :, 0, 0], x[:, 0].numel())
        found = [counted, x.sum((0, 2, 3)), x.square().sum((0, 2, 3))]
        sums[norm] = [a + b for a, b in zip(sums[norm], found, strict=True)] if norm in sums else found

    hooks = [norm.register_forward_pre_hook(measure) for norm in batch_norms(network)]
    try:
        with torch.no_grad():
            for batch in batches:
                network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    for norm, (count, total, squares) in sums.items():
        _set_statistics(norm, total / count, squares / count - (total / count).square())


@torch.no_grad()
def _set_statistics(norm: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    """Set a norm's statistics, and its weight and bias so that its function stays."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    slope = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    offset = norm.bias.double() - slope * norm.running_mean.double()
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance.clamp(min=0))
    norm.weight.copy_(slope * (norm.running_var.double() + norm.eps).sqrt())
    norm.bias.copy_(offset + slope * norm.running_mean.double())


def _has_no_statistics(norm: _BatchNorm) -> bool:
    if norm.running_mean is None or norm.running_var is None:
        return False
    return bool((norm.running_var - 1).abs().max() < NEAR_ONE and not norm.running_mean.any())

"""What of the encoder stands still: all of it, for good or for a while, its first parameters, or its first stages."""

import re
from collections.abc import Sequence

from torch import nn

from core.errors import UserError
from core.networks.batch_norms import batch_norms, hold_batch_norms
from core.networks.encoders import AnyEncoder
from transfer_learning.config import PARTLY, SegmentationConfig


def is_frozen(config: SegmentationConfig, epoch: int) -> bool:
    """Say whether the whole encoder stands still in an epoch (from 1)."""
    if isinstance(config.freeze, int):
        return epoch <= config.freeze
    return config.freeze == "always"


def norms_learn(config: SegmentationConfig) -> bool:
    """Say whether batch norms of the encoder will ever normalise by the statistics of a batch."""
    return config.freeze != "always" and not config.freeze_batch_norm


def still_parameters(encoder: AnyEncoder, freeze: str | int) -> list[nn.Parameter]:
    """Return the parameters that stand still for good beside others that learn.

    `first_params:50` are the first 50 tensors as the network lists them, `stage:3` those of the first three of
    `parameter_stages`; with another `freeze` there are none.

    Raises:
        UserError: that is all of them, or more.
    """
    found = re.fullmatch(PARTLY, str(freeze))
    if not found:
        return []
    kind, count = found[1], int(found[2])
    whole = list(encoder.parameters())
    stages = [[parameter] for parameter in whole] if kind == "first_params" else encoder.parameter_stages()
    if count >= len(stages):
        what = "parameter tensors" if kind == "first_params" else "stages"
        raise UserError(f"freeze {freeze}: the encoder has {len(stages)} {what} in all: give fewer, or --freeze always")
    return [parameter for stage in stages[:count] for parameter in stage]


def set_training_mode(
    model: nn.Module, frozen: bool, still: Sequence[nn.Parameter] = (), batch_norms_stand: bool = False
) -> None:
    """Set the network to training mode; what is frozen stays in eval mode: no gradient, dropout or new statistics.

    Args:
        model: the network.
        frozen: whether its whole encoder is.
        still: parameters that are in any case. A part without any other is in eval mode, and so is a batch norm with
            one of them: its statistics stand still with it.
        batch_norms_stand: whether the encoder's batch norms keep their statistics.
    """
    model.train()
    encoder = model.get_submodule("encoder")
    encoder.requires_grad_(not frozen)
    if frozen:
        encoder.eval()
        return
    for parameter in still:
        parameter.requires_grad_(False)
    names = {id(parameter) for parameter in still}
    for module in encoder.modules() if still else ():
        own = [id(parameter) for parameter in module.parameters()]
        if own and names.issuperset(own):
            module.eval()
    for norm in batch_norms(encoder) if still else ():
        if not names.isdisjoint(map(id, norm.parameters())):
            norm.eval()
    if batch_norms_stand:
        hold_batch_norms(encoder)

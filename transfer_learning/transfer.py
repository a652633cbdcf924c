"""Carrying an encoder from phase 1 into phase 2: loading, freezing, learning rates."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from core.checkpoint import load_strictly, load_weights
from core.errors import UserError
from transfer_learning.config import SegmentationConfig

# What `--transfer` carries over.
TRANSFERRED = {"encoder": ("encoder",), "all": ("encoder", "decoder")}


def load_pretrained(model: nn.Module, path: Path, normalisation: str, parts: Sequence[str]) -> dict[str, Any]:
    """Load parts of phase 1's network, of each every tensor or none.

    Args:
        model: with modules of the names in `parts`.
        path: phase 1's weights.
        normalisation: of the pictures that `model` will see.
        parts: `encoder`, `decoder`; phase 1's head has no place in phase 2.

    Returns:
        The header of the weights file.

    Raises:
        UserError: the weights are not phase 1's, a tensor is missing, left over or of another shape, or the pictures
            were normalised otherwise.
    """
    tensors, header = load_weights(path)
    if header["phase"] != "reconstruction":
        raise UserError(
            f"{path} was trained with labels ({header['phase']}): --pretrained_encoder takes phase 1's weights"
        )
    theirs = header["architecture"]["normalisation"]
    if theirs != normalisation:
        raise UserError(f"{path} was trained with --normalisation {theirs}, this run has {normalisation}")
    for part in parts:
        prefix = f"{part}."
        of_part = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        load_strictly(model.get_submodule(part), of_part, f"the {part} of {path}")
    return header


def is_frozen(config: SegmentationConfig, epoch: int) -> bool:
    """Say whether the encoder stands still in an epoch (from 1)."""
    if isinstance(config.freeze, int):
        return epoch <= config.freeze
    return config.freeze == "always"


def set_training_mode(model: nn.Module, frozen: bool) -> None:
    """Set the network to training mode; a frozen encoder stays in eval mode: no gradient, no dropout."""
    model.train()
    model.encoder.requires_grad_(not frozen)
    if frozen:
        model.encoder.eval()


def parameter_groups(model: nn.Module, config: SegmentationConfig) -> list[dict[str, Any]]:
    """Return the optimiser's groups: the encoder with its own learning rate, and the rest."""
    encoder = list(model.encoder.parameters())
    rest = [parameter for name, parameter in model.named_parameters() if not name.startswith("encoder.")]
    rates = (config.lr * config.encoder_lr_scale, config.lr)
    return [{"params": group, "initial_lr": rate} for group, rate in zip((encoder, rest), rates, strict=True)]

"""Carrying an encoder from phase 1 into phase 2: loading, learning rates."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.headers.header import Header, Network
from core.networks.unet import require_channels
from core.train_config import OWN_ENCODER
from core.weights import load_strictly, load_weights
from transfer_learning.config import SegmentationConfig
from transfer_learning.network import SegmentationUNet

# What `--transfer` carries over.
TRANSFERRED = {"encoder": ("encoder",), "all": ("encoder", "attention", "decoder")}


def load_pretrained(
    model: SegmentationUNet, path: Path, normalisation: str, parts: Sequence[str], encoder: str = OWN_ENCODER
) -> Header:
    """Load parts of phase 1's network, of each every tensor or none.

    Args:
        model: with modules of the names in `parts`.
        path: phase 1's weights.
        normalisation: of the pictures that `model` will see.
        parts: `encoder`, `decoder`; phase 1's head has no place in phase 2.
        encoder: the name of the encoder in `model`.

    Returns:
        The header of the weights file.

    Raises:
        UserError: the weights are not phase 1's, of another encoder, or of volumes where these are pictures; a tensor
            is missing, left over or of another shape; or the pictures had other channels or were normalised otherwise.
    """
    tensors, header = load_weights(path)
    if header.phase != "reconstruction":
        raise UserError(
            f"{path} was trained with labels ({header.phase}): --pretrained_encoder takes phase 1's weights"
        )
    theirs = header.network
    require_same_volumes(path, theirs, model)
    require_channels(path, theirs.in_channels, model.in_channels)
    if theirs.normalisation != normalisation:
        raise UserError(f"{path} was trained with --normalisation {theirs.normalisation}, this run has {normalisation}")
    if theirs.encoder != encoder:
        raise UserError(
            f"{path} holds --encoder {theirs.encoder}, this run has {encoder}: give --encoder {theirs.encoder}"
        )
    if "decoder" in parts and "teacher" in header.architecture:
        raise UserError(f"{path} holds an encoder alone, as --pretext distil learns it: leave out --transfer all")
    if "decoder" in parts:
        model.settings.require_same_decoder(header.parts, str(path))
    for part in parts:
        prefix = f"{part}."
        of_part = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        load_strictly(model.get_submodule(part), of_part, f"the {part} of {path}")
    return header


def require_same_volumes(path: Path, theirs: Network, model: SegmentationUNet) -> None:
    """Raise UserError where weights are of pictures and the network of volumes, or their stages differ."""
    if theirs.dims != model.dims:
        what, other = ("volumes", "pictures") if theirs.dims == 3 else ("pictures", "volumes")
        raise UserError(f"{path} was trained on {what}, these are {other}: train phase 1 on {other} too")
    if theirs.stages != model.stages:
        raise UserError(
            f"{path} has {theirs.stages} stages, by the --patch that it was trained with, this --patch asks for "
            f"{model.stages}: give a --patch of which the shortest side is as long as there"
        )


def outside_weights(config: SegmentationConfig, begun_with: Sequence[Header]) -> tuple[str, ...]:
    """Return the networks with weights from outside that a run is taught by, or what it begins with was.

    Args:
        config: of the run.
        begun_with: the headers of `config.begun_with`.
    """
    found = [name for header in begun_with for name in header.outside_weights]
    if config.teacher_weights:
        teacher = begun_with[-1]
        found += [teacher.network.encoder] if teacher.config.get("encoder_weights", "none") != "none" else []
    return tuple(dict.fromkeys(found))


def parameter_groups(model: SegmentationUNet, config: SegmentationConfig) -> list[dict[str, Any]]:
    """Return the optimiser's groups: the encoder with its own learning rate, and the rest.

    With `layer_decay` below 1 the encoder has a group a stage: stage k of K learns at `layer_decay` ** (K - 1 - k) of
    the encoder's rate, the deepest at all of it (ELECTRA, Clark et al. 2020; BEiT, Bao et al. 2022).
    """
    rate, decay = config.lr * config.encoder_lr_scale, config.layer_decay
    stages = [list(model.encoder.parameters())] if decay == 1 else model.encoder.parameter_stages()
    last = len(stages) - 1
    groups = [{"params": stage, "initial_lr": rate * decay ** (last - k)} for k, stage in enumerate(stages)]
    rest = [parameter for name, parameter in model.named_parameters() if not name.startswith("encoder.")]
    return [*groups, {"params": rest, "initial_lr": config.lr}]

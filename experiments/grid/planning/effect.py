"""Which settings of a run have a say in it: two runs that differ in the others are the same run."""

from collections.abc import Iterable
from typing import Any

from core.train_config import OWN_ENCODER, TrainConfig
from experiments.grid.planning.variants import plain
from reconstruction.config import ReconstructionConfig
from transfer_learning.config import SegmentationConfig


def with_effect(config: ReconstructionConfig | SegmentationConfig) -> dict[str, Any]:
    """Return the settings that have a say in a run, as plain JSON values; equal ones mean the same run."""
    own = _idle_in_phase_1(config) if isinstance(config, ReconstructionConfig) else _idle_in_phase_2(config)
    idle = {*_idle_in_both(config), *own}
    values = {name: value for name, value in plain(config).items() if name not in idle}
    if values.get("freeze") == 0:
        values["freeze"] = "never"
    return values


def _idle_in_both(config: TrainConfig) -> Iterable[str]:
    yield from ("epochs", "patience") if config.max_steps else ("val_every",)
    if not config.cutout:
        yield "cutout_size"


def _idle_in_phase_1(config: ReconstructionConfig) -> Iterable[str]:
    if config.pretext != "denoise":
        yield "noise_sigma"
    if config.pretext != "mask":
        yield from ("mask_ratio", "loss_on")
        if config.target != "normalised":
            yield "mask_patch"
    if config.target != "pixels":  # judged by its own squared error alone
        yield from ("mse_weight", "perceptual_weight", "ssim_weight", "image_statistics")
    if config.target != "pixels" or not config.perceptual_weight:
        yield "perceptual_network"


def _idle_in_phase_2(config: SegmentationConfig) -> Iterable[str]:
    if not config.pretrained_encoder:
        yield "transfer"
    if config.optimizer != "sgd":
        yield "momentum"
    if not config.ce_weight:
        yield "weighted_ce"
    if config.freeze == "always":  # in eval mode
        yield "encoder_dropout"
    if config.decoder == "linear":
        yield "decoder_dropout"
        if config.encoder != OWN_ENCODER:
            yield "width"

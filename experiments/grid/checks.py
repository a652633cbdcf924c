"""Whether the variants of an ablation are what they claim to be, and differ."""

import json
from collections.abc import Mapping
from typing import Any

from core.errors import UserError
from experiments.grid.variants import Variant, plain
from reconstruction.config import ReconstructionConfig

# Both phases must agree on these, as far as they have them.
OF_ENCODER = ("width", "normalisation", "encoder")
NO_WEIGHTS = (None, False, "none", "random")


def require_honest(variant: Variant, phase_1: ReconstructionConfig | None) -> None:
    """Compare a variant with its pretraining, and with what it says of weights from outside.

    Raises:
        UserError: the encoder is another than the pretraining's, there is nothing to transfer, or something in it
            learned from other pictures and it does not say so.
    """
    where = f"ablation.variants.{variant.name}"
    if phase_1 is None:
        if variant.own.get("transfer") == "all":
            raise UserError(f"{where}: transfer all, but there is no pretraining to carry over")
    else:
        for name in OF_ENCODER:
            here, there = (getattr(config, name, None) for config in (variant.config, phase_1))
            if here != there:
                raise UserError(f"{where}: {name} {here}, but {there} in its pretraining {variant.pretraining}")
    if variant.outside_weights:
        return
    if phase_1 and phase_1.target == "pixels" and phase_1.perceptual_weight:
        raise UserError(
            f"{where}: the perceptual loss of its pretraining {variant.pretraining} looks through a network that "
            "learned from other pictures: give perceptual_weight 0 there, or outside_weights true here"
        )
    for config in (variant.config, phase_1):
        if getattr(config, "encoder_weights", None) not in NO_WEIGHTS:
            raise UserError(f"{where}: encoder_weights were trained on other pictures: say outside_weights true")


def what_counts(variant: Variant) -> dict[str, Any]:
    """Return the settings that tell a variant from another."""
    values = plain(variant.config)
    if variant.pretraining is None:
        del values["transfer"]  # nothing to carry over
    return {**values, "pretraining": variant.pretraining}


def require_different(what: str, entries: Mapping[str, dict[str, Any]]) -> None:
    """Raise UserError where two of the named settings are equal."""
    seen: dict[str, str] = {}
    for name, settings in entries.items():
        key = json.dumps(settings, sort_keys=True)
        if key in seen:
            raise UserError(f"the {what} {seen[key]} and {name} differ in nothing: leave one out")
        seen[key] = name

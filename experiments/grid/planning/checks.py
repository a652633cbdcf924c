"""Whether the variants of an ablation are what they claim to be, and differ."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from core.errors import UserError
from core.filing.words import nearest
from core.networks.network_config import NetworkConfig
from core.train_config import NOT_COMPARED
from experiments.grid.config import AblationConfig
from experiments.grid.planning.effect import with_effect
from experiments.grid.planning.prepared import GridData
from experiments.grid.planning.variants import Pretraining, Variant, plain
from experiments.page.command_lines import defaults
from reconstruction.config import ReconstructionConfig

PINNED = ("off", "bf16")
# Both phases must agree on these.
OF_ENCODER = ("width", "normalisation", "encoder")
# What a variant is: how it begins, and how its encoder learns from there. Everything else the arms have in common.
OWN = (
    "freeze",
    "freeze_batch_norm",
    "restore_batch_norm",
    "transfer",
    "encoder",
    "encoder_weights",
    "normalisation",
    *(field.name for field in fields(NetworkConfig) if field.name not in NOT_COMPARED),
    "refine",
    "encoder_lr_scale",
    "layer_decay",
)


def require_comparable(variant: Variant, common: Mapping[str, Any]) -> None:
    """Raise UserError where a variant that is no control has its own steps, augmentation, optimiser or the like.

    None, control or not, may start from weights that the grid does not know, or go on from a finished run.
    """
    for name in ("init_weights", "extend_to"):
        if getattr(variant.config, name) is not None:
            raise UserError(
                f"ablation.variants.{variant.name}: {name} {getattr(variant.config, name)}: every arm of a grid begins "
                "anew, from weights that the grid trained or names: leave it out"
            )
    if variant.control:
        return
    values = plain(variant.config)
    shared = {**defaults("transfer_learning"), **common}
    for name in variant.own:
        if name in values and name not in OWN and values[name] != shared[name]:
            raise UserError(
                f"ablation.variants.{variant.name}: {name} {values[name]}, but {shared[name]} in the others: what is "
                f"compared differs in {', '.join(OWN)} and its pretraining alone; leave {name} out, or say "
                "control: true (shown, never chosen as the best variant)"
            )


def require_baselines(default: str, variants: Mapping[str, Variant]) -> None:
    """Raise UserError where a baseline is unknown or pretrained, or the grid's own is a control."""
    own = [variant.baseline for variant in variants.values() if variant.baseline is not None]
    for name, variant in variants.items():
        if variant.baseline == name:
            raise UserError(
                f"ablation.variants.{name}: baseline {name} is the variant itself: leave it out, or name another"
            )
    for name in dict.fromkeys((default, *own)):
        if name not in variants:
            raise UserError(f"baseline {name!r} is not among the variants{nearest(name, list(variants))}")
        if variants[name].pretraining:
            raise UserError(f"baseline {name} has the pretraining {variants[name].pretraining}: it must have none")
    if variants[default].control:
        raise UserError(f"baseline {default} is a control: what the grid compares with must be trained like the others")


def require_teachers(config: AblationConfig, variants: Mapping[str, Variant]) -> None:
    """Raise UserError where a variant is taught by one that does not stand above it, or cannot teach it so."""
    above: list[str] = []
    for name, variant in variants.items():
        where, teacher = f"ablation.variants.{name}", variant.taught_by
        if teacher is not None:
            if teacher not in above:
                known = nearest(teacher, above) or (f" (there are {', '.join(above)})" if above else "")
                raise UserError(f"{where}: taught_by {teacher} is none of the variants above it{known}")
            if variants[teacher].outside_weights and not variant.outside_weights:
                raise UserError(f"{where}: taught_by {teacher}, which has outside weights: say outside_weights true")
            _require_checkpoints(config, where, variant, variants[teacher])
        above.append(name)


def _require_checkpoints(config: AblationConfig, where: str, variant: Variant, teacher: Variant) -> None:
    stable = variant.config.stable
    if stable < 1 and not teacher.config.save_every:
        raise UserError(
            f"{where}: stable {stable:g} goes by the checkpoints of {teacher.name}, which keeps none: give that "
            "save_every, or leave stable out"
        )
    if stable < 1 and config.node_dir:
        raise UserError(
            f"{where}: stable {stable:g} goes by checkpoints, which --node_dir does not carry: leave one out"
        )


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
            here, there = (getattr(config, name) for config in (variant.config, phase_1))
            if here != there:
                raise UserError(f"{where}: {name} {here}, but {there} in its pretraining {variant.pretraining}")
        if variant.config.transfer == "all" and phase_1.pretext == "distil":
            raise UserError(f"{where}: transfer all, but its pretraining {variant.pretraining} has no decoder")
        if variant.config.transfer == "all":
            variant.config.require_same_decoder(phase_1, f"{where}: its pretraining {variant.pretraining}")
    if variant.outside_weights:
        return
    if phase_1 and phase_1.pretext == "distil":
        raise UserError(
            f"{where}: its pretraining {variant.pretraining} distils {phase_1.teacher}, which learned from other "
            "pictures: say outside_weights true"
        )
    if phase_1 and phase_1.predicts_pixels and phase_1.perceptual_weight:
        raise UserError(
            f"{where}: the perceptual loss of its pretraining {variant.pretraining} looks through a network that "
            "learned from other pictures: give perceptual_weight 0 there, or outside_weights true here"
        )
    for config in (variant.config, phase_1):
        if config and config.encoder_weights != "none":
            raise UserError(f"{where}: encoder_weights were trained on other pictures: say outside_weights true")


def require_own_seeds(config: AblationConfig) -> None:
    """Raise UserError where a pretraining has a seed of its own, and is to have those of the arms."""
    parts = {"pretraining_common": config.pretraining_common, **config.pretraining}
    for name, own in parts.items():
        if config.pretraining_seeds == "paired" and "seed" in (own or {}):
            where = name if name == "pretraining_common" else f"pretraining.{name}"
            raise UserError(
                f"ablation.{where}: seed {(own or {})['seed']}, but with pretraining_seeds paired each pretraining has "
                "the seed of the arms that begin with it: leave one of them out"
            )


def require_pinned(
    budgets: Sequence[int], variants: Mapping[str, Variant], pretrainings: Mapping[str, Pretraining]
) -> None:
    """Raise UserError where arms have several precisions; with budgets phase 1 counts too, and `auto` is none."""
    entries: dict[str, Variant | Pretraining] = {f"ablation.variants.{name}": one for name, one in variants.items()}
    if budgets:
        entries |= {f"ablation.pretraining.{name}": one for name, one in pretrainings.items()}
    first, expected = next(iter(entries)), next(iter(entries.values())).config.amp
    for name, entry in entries.items():
        amp = entry.config.amp
        if budgets and amp not in PINNED:
            raise UserError(f"{name}: amp {amp}, but with budgets precision is pinned: give amp {' or '.join(PINNED)}")
        if amp != expected:
            raise UserError(
                f"{name}: amp {amp}, but {expected} in {first}: one table has one precision, give all the same, or "
                "each a grid and a results folder of its own"
            )


def require_val_labels(variants: Mapping[str, Variant], data: GridData) -> None:
    """Raise UserError where more masks of Val are to choose than there are."""
    for name, variant in variants.items():
        try:
            variant.config.require_val_labels(data.val_labels, data.folder)
        except UserError as error:
            raise UserError(f"ablation.variants.{name}: {error}") from None


def require_different(what: str, entries: Mapping[str, Any], rates: Sequence[float] = ()) -> None:
    """Compare each with each by the settings that have an effect.

    Args:
        what: they are, for the error.
        entries: name -> a Variant or a Pretraining.
        rates: the learning rates that the grid tries; a variant's own that is the only one makes no difference.

    Raises:
        UserError: two of them are the same run.
    """
    seen: dict[str, str] = {}
    for name, entry in entries.items():
        begun = {about: getattr(entry, about, None) for about in ("pretraining", "taught_by", "learning_rate")}
        if len(rates) == 1:
            begun["learning_rate"] = begun["learning_rate"] or rates[0]
        counts = {**with_effect(entry.config), **begun}
        key = json.dumps(counts, sort_keys=True)
        if key in seen:
            raise UserError(f"the {what} {seen[key]} and {name} differ in nothing that has an effect: leave one out")
        seen[key] = name


def require_all_used(pretrainings: Iterable[str], variants: Iterable[Variant]) -> None:
    """Raise UserError where no variant begins with one of the pretrainings."""
    used = {variant.pretraining for variant in variants}
    unused = [name for name in pretrainings if name not in used]
    if unused:
        raise UserError(
            f"no variant begins with the pretraining {' or '.join(unused)}: leave it out, or give it a variant"
        )


def require_released(variant: Variant) -> None:
    """Raise UserError where the encoder would be let go when the run is over."""
    freeze, rows = variant.config.freeze, variant.config.rows
    if isinstance(freeze, int) and freeze >= rows:
        raise UserError(
            f"ablation.variants.{variant.name}: freeze {freeze} never lets the encoder go, the log has {rows} rows "
            f"(max_steps / val_every): give fewer than {rows}, or always"
        )

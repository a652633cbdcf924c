"""From the file of an ablation to its variants and pretrainings, every setting resolved and checked."""

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.config import from_mapping, nearest
from core.errors import UserError
from experiments.grid.config import AblationConfig
from experiments.repeat import CONFIGS, NOT_COMPARED
from reconstruction.config import ReconstructionConfig
from transfer_learning.config import SegmentationConfig

# What the grid itself sets.
MANAGED = {
    "reconstruction": ("data_dir", "output_dir"),
    "transfer_learning": ("data_dir", "output_dir", "pretrained_encoder", "label_fraction", "seed", "lr"),
}
ABOUT = ("title", "pretraining", "outside_weights", "autoencoder", "baseline")
# Both phases must agree on these, as far as they have them.
OF_ENCODER = ("width", "normalisation", "encoder")
NO_WEIGHTS = (None, False, "none", "random")


@dataclass(frozen=True)
class Pretraining:
    """A phase 1 run that variants share."""

    name: str
    config: ReconstructionConfig


@dataclass(frozen=True)
class Variant:
    """A way to begin and to train phase 2.

    Args:
        title: a line for readers.
        pretraining: name of the phase 1 run; None to start from scratch.
        outside_weights: whether anything in it was trained on other data.
        baseline: the variant that it is compared with, where it is not the plan's.
        own: the phase 2 settings that make it different.
        config: all its phase 2 settings; those that the grid sets are at their defaults.
    """

    name: str
    title: str
    pretraining: str | None
    outside_weights: bool
    baseline: str | None
    own: dict[str, Any]
    config: SegmentationConfig


@dataclass(frozen=True)
class Plan:
    """The whole grid; `chosen` are the variants that this call works on."""

    config: AblationConfig
    pretrainings: dict[str, Pretraining]
    variants: dict[str, Variant]
    chosen: tuple[str, ...]

    def tuned_at(self, fraction: float) -> float:
        """Return the fraction whose learning rate an arm takes: the nearest by ratio, the larger of two as near."""
        return min(self.config.tuned_at, key=lambda tuned: (abs(math.log(tuned / fraction)), -tuned))


def build_plan(config: AblationConfig) -> Plan:
    """Resolve and check everything that can be known without the data.

    Raises:
        UserError: names an unknown setting, variant or pretraining, two that differ in nothing, or a variant that is
            not what it claims to be.
    """
    if not config.variants:
        raise UserError("the ablation has no variants: give it a file of them, --config config/ablation.yaml")
    pretrainings = {
        name: Pretraining(name, _resolved(config, "reconstruction", f"pretraining.{name}", own or {}))
        for name, own in config.pretraining.items()
    }
    variants = {name: _variant(config, name, own or {}, pretrainings) for name, own in config.variants.items()}
    for name in config.only:
        if name not in variants:
            raise UserError(
                f"unknown variant {name!r}{nearest(name, list(variants))} (there are {', '.join(variants)})"
            )
    _require_different("pretrainings", {name: plain(entry.config) for name, entry in pretrainings.items()})
    _require_different("variants", {name: _what_counts(variant) for name, variant in variants.items()})
    for name in {config.baseline: 0, **{variant.baseline: 0 for variant in variants.values() if variant.baseline}}:
        if name not in variants:
            raise UserError(f"baseline {name!r} is not among the variants{nearest(str(name), list(variants))}")
        if variants[name].pretraining:
            raise UserError(f"baseline {name} has the pretraining {variants[name].pretraining}: it must have none")
    return Plan(
        config, pretrainings, variants, tuple(name for name in variants if name in config.only or not config.only)
    )


def plain(config: Any) -> dict[str, Any]:
    """Return the settings that make a run what it is (no places, no device) as plain JSON values."""
    values = json.loads(json.dumps(dataclasses.asdict(config), default=str))
    return {name: value for name, value in values.items() if name not in NOT_COMPARED}


def _variant(
    config: AblationConfig, name: str, own: dict[str, Any], pretrainings: Mapping[str, Pretraining]
) -> Variant:
    source = f"ablation.variants.{name}"
    settings = {key: value for key, value in own.items() if key not in ABOUT}
    pretraining = None if own.get("pretraining") in (None, "none") else own["pretraining"]
    if pretraining is not None and pretraining not in pretrainings:
        hint = nearest(str(pretraining), list(pretrainings))
        raise UserError(f"{source}: unknown pretraining {pretraining!r}{hint}")
    # Whether there is one decides which settings make sense; where it lies is the grid's.
    place = {"pretrained_encoder": "pretrained"} if pretraining else {}
    resolved = _resolved(config, "transfer_learning", f"variants.{name}", settings, **place)
    if not resolved.max_steps:
        raise UserError(f"{source}: arms are compared after equally many steps: give max_steps in common")
    outside = own.get("outside_weights", False)
    derived = own.get("autoencoder", pretraining is not None)
    if not isinstance(outside, bool) or derived != (pretraining is not None):
        raise UserError(f"{source}: outside_weights is true or false; autoencoder says whether there is a pretraining")
    title, baseline = str(own.get("title", name)), own.get("baseline")
    variant = Variant(name, title, pretraining, outside, baseline, settings, resolved)
    _require_honest(variant, pretrainings[pretraining].config if pretraining else None)
    return variant


def _resolved(config: AblationConfig, phase: str, name: str, own: Mapping[str, Any], **grid: Any) -> Any:
    common_name = "common" if phase == "transfer_learning" else "pretraining_common"
    common = getattr(config, common_name) or {}
    # Each part is looked at on its own, so that a misspelt name is blamed on the place where it stands.
    _require_known(phase, common, f"ablation.{common_name}")
    _require_known(phase, own, f"ablation.{name}", ABOUT if phase == "transfer_learning" else ())
    try:
        return from_mapping(CONFIGS[phase], {**common, **own, **grid}, f"ablation.{name}")
    except UserError as error:
        text = str(error)
        raise UserError(text if text.startswith("ablation.") else f"ablation.{name}: {text}") from None


def _require_known(phase: str, values: Mapping[str, Any], source: str, about: Iterable[str] = ()) -> None:
    known = [field.name for field in dataclasses.fields(CONFIGS[phase])]
    for name in values:
        if name in MANAGED[phase]:
            raise UserError(f"{source}: {name} is set by the grid: leave it out there")
        if name not in known:
            raise UserError(f"{source}: unknown setting {name!r}{nearest(str(name), [*known, *about])}")


def _require_honest(variant: Variant, phase_1: ReconstructionConfig | None) -> None:
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


def _what_counts(variant: Variant) -> dict[str, Any]:
    values = plain(variant.config)
    if variant.pretraining is None:
        del values["transfer"]  # nothing to carry over
    return {**values, "pretraining": variant.pretraining}


def _require_different(what: str, entries: Mapping[str, dict[str, Any]]) -> None:
    seen: dict[str, str] = {}
    for name, settings in entries.items():
        key = json.dumps(settings, sort_keys=True)
        if key in seen:
            raise UserError(f"the {what} {seen[key]} and {name} differ in nothing: leave one out")
        seen[key] = name


def differing(
    settings: Mapping[str, Any], wanted: Mapping[str, Any], phase: str, leave_out: Iterable[str] = ()
) -> list[str]:
    """Return the differences between the settings that a run kept and those of the plan, one text each.

    A setting that a run of an older version did not have counts as its default.
    """
    defaults = plain(CONFIGS[phase]())
    found = []
    for name, now in wanted.items():
        if name in leave_out or (name in ("amp", "memory_format") and now == "auto"):  # kept as what they came to
            continue
        there = settings.get(name, defaults[name])
        if there != now:
            found.append(f"{name} {there!r} there, {now!r} now")
    return found

"""From the file of an ablation to its variants and pretrainings, every setting resolved and checked."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from core.config import from_mapping
from core.errors import UserError
from core.filing.words import nearest
from experiments.grid.config import AblationConfig
from experiments.grid.planning.checks import (
    require_all_used,
    require_baselines,
    require_comparable,
    require_different,
    require_honest,
    require_own_seeds,
    require_pinned,
    require_released,
    require_teachers,
)
from experiments.grid.planning.variants import MANAGED, Plan, Pretraining, Variant
from experiments.page.command_lines import CONFIGS

# What a variant says of itself beside its settings, and what it means to say nothing.
ABOUT: dict[str, Any] = {
    "title": None,
    "pretraining": None,
    "outside_weights": False,
    "control": False,
    "baseline": None,
    "family": None,
    "taught_by": None,
    "learning_rate": None,
    "tags": [],
}


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
    for name in config.only or ():
        if name not in variants:
            raise UserError(
                f"unknown variant {name!r}{nearest(name, list(variants))} (there are {', '.join(variants)})"
            )
    require_own_seeds(config)
    require_different("pretrainings", pretrainings)
    require_different("variants", variants)
    require_all_used(pretrainings, variants.values())
    require_baselines(config.baseline, variants)
    require_teachers(config, variants)
    require_pinned(config.budgets, variants, pretrainings)
    chosen = {name: one for name, one in variants.items() if config.only is None or name in config.only}
    # Of those that a call leaves out, rates that it gives make no twins.
    require_different("variants", chosen, config.learning_rates)
    return Plan(config, pretrainings, variants, tuple(chosen))


def _variant(
    config: AblationConfig, name: str, own: dict[str, Any], pretrainings: Mapping[str, Pretraining]
) -> Variant:
    source = f"ablation.variants.{name}"
    about = _about(own, source)
    settings = {key: value for key, value in own.items() if key not in ABOUT}
    pretraining = about["pretraining"]
    if pretraining is not None and pretraining not in pretrainings:
        raise UserError(f"{source}: unknown pretraining {pretraining!r}{nearest(pretraining, list(pretrainings))}")
    # Whether there is one decides which settings make sense; where it lies is the grid's.
    place = {"pretrained_encoder": "pretrained"} if pretraining else {}
    if about["taught_by"]:
        place["teacher_weights"] = "taught"
    by_another = {**(config.common or {}), **settings}.get("unlabelled") == "self_training"
    if by_another != (about["taught_by"] is not None):
        raise UserError(f"{source}: unlabelled self_training and taught_by go together: give both, or leave both out")
    resolved = _resolved(config, "transfer_learning", f"variants.{name}", settings, **place)
    if not resolved.max_steps:
        raise UserError(f"{source}: arms are compared after equally many steps: give max_steps in common")
    variant = Variant(name=name, own=settings, config=resolved, **{**about, "title": about["title"] or name})
    require_comparable(variant, config.common or {})
    require_released(variant)
    require_honest(variant, pretrainings[pretraining].config if pretraining else None)
    return variant


def _about(own: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return what a variant says of itself beside its settings, each of its type."""
    found = {name: own.get(name, default) for name, default in ABOUT.items()}
    for name, value in found.items():
        if isinstance(ABOUT[name], bool):
            if not isinstance(value, bool):
                raise UserError(f"{source}: {name} is true or false, got {value!r}")
        elif name == "tags":
            if not isinstance(value, list) or not all(isinstance(tag, str) and tag.strip() for tag in value):
                raise UserError(f"{source}: tags is a list of names, got {value!r}")
        elif name == "learning_rate":
            number = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")
            if value is not None and not number:
                raise UserError(f"{source}: learning_rate is one number above 0, got {value!r}")
        elif not isinstance(value, str | None) or (value is not None and not value.strip()):
            raise UserError(f"{source}: {name} is one {'line' if name == 'title' else 'name'}, got {value!r}")
    if found["pretraining"] == "none":
        found["pretraining"] = None
    return {**found, "tags": tuple(found["tags"])}


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

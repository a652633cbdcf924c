"""plan.json in the results folder: what the grid is, for whoever reads the results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.files import write_json
from experiments.grid.config import AblationConfig
from experiments.grid.variants import Plan
from experiments.runs import read_json

PLAN = "plan.json"


def write_plan(plan: Plan) -> None:
    """Write plan.json: what the whole grid is, whichever part of it this call works on."""
    config = plan.config
    path = config.results_dir / PLAN
    earlier = read_json(path) if path.exists() else {}
    variants = {
        variant.name: {
            "title": variant.title,
            "outside_weights": variant.outside_weights,
            "control": variant.control,
            "autoencoder": variant.pretraining is not None,
            "settings": variant.own,
            "pretraining": variant.pretraining,
            **({"baseline": variant.baseline} if variant.baseline else {}),
        }
        for variant in plan.variants.values()
    }
    content = {
        "format": "ablation plan 1",
        "baseline": config.baseline,
        **_fractions_and_seeds(config, earlier),
        **{name: list(getattr(config, name)) for name in ("learning_rates", "tuned_at")},
        "variants": {**variants, **_still_there(config.results_dir, earlier, variants)},
    }
    write_json(path, content)


def _fractions_and_seeds(config: AblationConfig, earlier: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of this call, and those of an earlier plan that have arms: what is best is chosen over all.

    `seeds` are those of every fraction, `more_seeds` what a fraction has beside them.
    """
    arms = [read_json(path)["arm"] for path in (config.results_dir / "arms").glob("*.json")]
    ran = {(arm["fraction"], arm["seed"]) for arm in arms}
    planned = {f: {*config.seeds, *config.more_seeds.get(f, ())} for f in config.fractions}
    more = {float(fraction): seeds for fraction, seeds in earlier.get("more_seeds", {}).items()}
    for fraction in earlier.get("fractions", ()):
        there = {seed for seed in (*earlier["seeds"], *more.get(fraction, ())) if (fraction, seed) in ran}
        if there:
            planned[fraction] = planned.get(fraction, set()) | there
    shared = set.intersection(*planned.values())
    beside = {fraction: sorted(planned[fraction] - shared) for fraction in sorted(planned)}
    return {
        "fractions": sorted(planned),
        "seeds": sorted(shared),
        "more_seeds": {repr(fraction): given for fraction, given in beside.items() if given},
    }


def _still_there(results: Path, plan: Mapping[str, Any], variants: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variants of an earlier plan that have results but are in the file no more; the tables show them."""
    earlier = plan.get("variants", {})
    ran = {path.name.rsplit("__", 2)[0] for kind in ("arms", "tuning") for path in (results / kind).glob("*.json")}
    kept = {name: entry for name, entry in earlier.items() if name not in variants and name in ran}
    baselines = {entry["baseline"] for entry in kept.values() if "baseline" in entry}
    return {name: earlier[name] for name in earlier if name in kept or (name in baselines and name not in variants)}

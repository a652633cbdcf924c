"""plan.json in the results folder: what the grid is, for whoever reads the results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.files import write_json
from experiments.grid.variants import Plan
from experiments.runs import read_json

PLAN = "plan.json"


def write_plan(plan: Plan) -> None:
    """Write plan.json: what the whole grid is, whichever of its variants this call works on."""
    config = plan.config
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
    grid = {name: list(getattr(config, name)) for name in ("fractions", "seeds", "learning_rates", "tuned_at")}
    more = {fraction: seeds for fraction, seeds in config.more_seeds.items() if fraction in config.fractions}
    outside = [variant.name for variant in plan.variants.values() if variant.outside_weights]
    content = {
        "format": "ablation plan 1",
        "baseline": config.baseline,
        **grid,
        "more_seeds": {f"{fraction:g}": list(seeds) for fraction, seeds in more.items()},
        "variants": {**variants, **_still_there(config.results_dir, variants)},
        "reference": {"variant": outside[0]} if outside else None,
    }
    write_json(config.results_dir / PLAN, content)


def _still_there(results: Path, variants: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variants of an earlier plan that have results but are in the file no more; the tables show them."""
    path = results / PLAN
    earlier = read_json(path)["variants"] if path.exists() else {}
    ran = {path.name.rsplit("__", 2)[0] for kind in ("arms", "tuning") for path in (results / kind).glob("*.json")}
    kept = {name: entry for name, entry in earlier.items() if name not in variants and name in ran}
    baselines = {entry["baseline"] for entry in kept.values() if "baseline" in entry}
    return {name: earlier[name] for name in earlier if name in kept or (name in baselines and name not in variants)}

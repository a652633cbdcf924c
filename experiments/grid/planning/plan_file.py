"""plan.json in the results folder: what the grid is, for whoever reads the results."""

import sys
from pathlib import Path

from core.files import write_json
from core.train_config import by_content
from experiments.ablation.format import ArmContent, Trial, read, results_of
from experiments.ablation.plan_format import PLAN, PlanContent, VariantContent
from experiments.grid.config import AblationConfig
from experiments.grid.planning.variants import Plan, Variant


def write_plan(plan: Plan) -> None:
    """Write plan.json: what the whole grid is, whichever part of it this call works on."""
    config = plan.config
    path = config.results_dir / PLAN
    earlier = read(path, PlanContent) if path.exists() else None
    if earlier and earlier.budgets and earlier.budgets != config.budgets:
        before, now = (
            ", ".join(f"{budget}" for budget in budgets) or "none" for budgets in (earlier.budgets, config.budgets)
        )
        print(f"note: {path} had the budgets {before}: from now on tables go by {now}", file=sys.stderr)
    variants = {name: _content(variant) for name, variant in plan.variants.items()}
    fractions, seeds, more_seeds = _fractions_and_seeds(config, earlier)
    content = PlanContent(
        baseline=config.baseline,
        fractions=fractions,
        seeds=seeds,
        more_seeds=more_seeds,
        learning_rates=config.learning_rates,
        tuned_at=config.tuned_at,
        budgets=config.budgets,
        pretraining_seeds=config.pretraining_seeds,
        data_note=config.data_note,
        variants={**variants, **(_still_there(config.results_dir, earlier.variants, variants) if earlier else {})},
    )
    write_json(path, content.model_dump(mode="json"))


def _content(variant: Variant) -> VariantContent:
    # Of a file its digest, wherever it lies.
    files = {name: value for name, value in by_content(variant.config).items() if name in variant.own}
    return VariantContent(
        title=variant.title,
        outside_weights=variant.outside_weights,
        control=variant.control,
        autoencoder=variant.pretraining is not None,
        settings={**variant.own, **files},
        pretraining=variant.pretraining,
        baseline=variant.baseline,
        tags=variant.tags,
        family=variant.family,
        taught_by=variant.taught_by,
        learning_rate=variant.learning_rate,
    )


def _fractions_and_seeds(
    config: AblationConfig, earlier: PlanContent | None
) -> tuple[tuple[float, ...], tuple[int, ...], dict[float, tuple[int, ...]]]:
    """Return those of this call, and those of an earlier plan that have arms: what is best is chosen over all.

    First the fractions, then the seeds that all of them have, then those that a fraction has beside these.
    """
    ran = {(arm.arm.fraction, arm.arm.seed) for _, arm in results_of(config.results_dir, ArmContent)}
    planned = {fraction: {*config.seeds_at(fraction)} for fraction in config.fractions}
    known = {fraction: earlier.seeds_at(fraction) for fraction in earlier.fractions} if earlier else {}
    for fraction, seeds in known.items():
        there = {seed for seed in seeds if (fraction, seed) in ran}
        if there:
            planned[fraction] = planned.get(fraction, set()) | there
    shared = set.intersection(*planned.values())
    beside = {fraction: tuple(sorted(planned[fraction] - shared)) for fraction in sorted(planned)}
    return (
        tuple(sorted(planned)),
        tuple(sorted(shared)),
        {fraction: given for fraction, given in beside.items() if given},
    )


def _still_there(
    results: Path, earlier: dict[str, VariantContent], variants: dict[str, VariantContent]
) -> dict[str, VariantContent]:
    """Return the variants of an earlier plan that have results but are in the file no more; the tables show them."""
    found = [*results_of(results, ArmContent), *results_of(results, Trial)]
    ran = {content.arm.variant for _, content in found}
    kept = {name: entry for name, entry in earlier.items() if name not in variants and name in ran}
    baselines = {entry.baseline for entry in kept.values()}
    return {name: earlier[name] for name in earlier if name in kept or (name in baselines and name not in variants)}

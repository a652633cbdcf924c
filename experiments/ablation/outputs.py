"""Write what an ablation's results folder amounts to: tables in three formats, the summary, the figure."""

from pathlib import Path
from typing import Any

from core.files import atomic_path, write_csv, write_json
from experiments.ablation.budgets import contests
from experiments.ablation.figures.compute import save_compute
from experiments.ablation.figures.label_efficiency import save_label_efficiency
from experiments.ablation.pretraining_length import length_curves, save_pretraining_length
from experiments.ablation.results import read_ablation
from experiments.ablation.statistics import Analysis, Group, analysed
from experiments.ablation.tables.budgets import entry_of
from experiments.ablation.tables.public_results import public_tables
from experiments.ablation.tables.scores import foreground_name, reading, savings_of, tables_of
from experiments.table_formats import latex, markdown

FIGURE, LENGTHS, COMPUTE = "label_efficiency.png", "pretraining_length.png", "compute.png"
SUMMARY, CSV, LATEX = "summary.json", "tables.csv", "tables.tex"


def write_ablation(folder: Path, into: Path) -> str:
    """Write `tables.csv`, `tables.tex`, `summary.json` and `label_efficiency.png`; return the tables as Markdown.

    Budgets give `compute.png` too, pretrainings that differ in nothing but their steps `pretraining_length.png`. Equal
    results give equal bytes.

    Args:
        folder: of the results, with `plan.json` and `arms`.
        into: where the files go.

    Raises:
        UserError: as `read_ablation`.
    """
    analysis = analysed(read_ablation(folder))
    tables = [*tables_of(analysis), *public_tables(analysis)]
    rows = long_rows(analysis)
    write_csv(into / CSV, list(rows[0]), rows)
    head = "% By `python -m experiments.tables`; the document needs \\usepackage{booktabs}."
    parts = [head, *(latex(table, f"ablation_{number}") for number, table in enumerate(tables, start=1))]
    with atomic_path(into / LATEX) as temporary:
        temporary.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    write_json(into / SUMMARY, summary(analysis))
    save_label_efficiency(into / FIGURE, analysis)
    pictures = [f"![Label efficiency]({FIGURE})"]
    if analysis.ablation.plan.budgets:
        save_compute(into / COMPUTE, analysis)
        pictures.append(f"![Compute]({COMPUTE})")
    if curves := length_curves(analysis):
        save_pretraining_length(into / LENGTHS, curves)
        pictures.append(f"![Pretraining length]({LENGTHS})")
    return "\n\n".join(["# Ablation", *pictures, *map(markdown, tables)])


def summary(analysis: Analysis) -> list[dict[str, Any]]:
    """Return, for each label fraction, the baseline, the best variant on Val, their difference, and the other variants.

    All scores of an entry are means over its `seeds`, those that the variant and its baseline both have, so that the
    difference is that of the scores beside it. None where there is nothing: no baseline, no candidate, no difference.
    A learning rate is a list where the arms of a variant were trained with several. `equal_compute`: an entry a budget
    of the plan, and one more where weights from outside make another the best.
    """
    name, within = analysis.ablation.plan.baseline, contests(analysis)
    entries = []
    for fraction in analysis.fractions:
        best, baseline = analysis.best(fraction), analysis.get(fraction, name)
        others = [group for group in analysis.at(fraction) if group is not best and group.variant != name]
        found = _entry(best) if best else {}
        alone = baseline.test.mean if baseline else None
        compared = found.get("baseline_mean_iou")
        entries.append(
            {
                "fraction": fraction,
                "num_labels": analysis.at(fraction)[0].num_labels,
                "seeds": found["seeds"] if best else list(baseline.seeds) if baseline else [],
                "scratch_mean_iou": alone if compared is None else compared,
                "best_variant": found.get("variant"),
                "best_mean_iou": found.get("mean_iou"),
                **{key: found.get(key) for key in ("difference", "ci_low", "ci_high")},
                "best_learning_rate": found.get("learning_rate"),
                "remark": found.get("remark"),
                "data_note": analysis.ablation.plan.data_note,
                "variants": [_entry(group) for group in others],
                "equal_compute": [entry_of(contest) for contest in within if contest.fraction == fraction],
            }
        )
    return entries


def _entry(group: Group) -> dict[str, Any]:
    difference = group.difference
    low, high = (difference and difference.interval) or (None, None)
    baseline, score = (difference and difference.means) or (None, group.test.mean)
    seeds = (difference and difference.seeds) or group.seeds
    return {
        "variant": group.variant,
        "mean_iou": score,
        "val_mean_iou": group.val_over(seeds),
        "compared_with": difference.baseline if difference else None,
        "baseline_mean_iou": baseline,
        "difference": difference.value if difference else None,
        "ci_low": low,
        "ci_high": high,
        "seeds": list(seeds),
        "learning_rate": group.learning_rates[0] if len(group.learning_rates) == 1 else list(group.learning_rates),
        "remark": "; ".join(reading(group)),
        **_case_scores(group),
    }


def _case_scores(group: Group) -> dict[str, Any]:
    """Return what rows and entries say of the mean Dice of a case, nothing where there is none."""
    if group.by_case is None:
        return {}
    test, difference = group.by_case.test, group.by_case.difference
    low, high = (difference and difference.interval) or (None, None)
    return {
        "case_dice": test.mean,
        "case_dice_lowest": test.low,
        "case_dice_highest": test.high,
        "case_dice_difference": difference.value if difference else None,
        "case_dice_ci_low": low,
        "case_dice_ci_high": high,
    }


def long_rows(analysis: Analysis) -> list[dict[str, Any]]:
    """Return one row a group of arms, with all that is known of it, unrounded; None where nothing is."""
    return [_long_row(analysis, group) for group in analysis.groups]


def _long_row(analysis: Analysis, group: Group) -> dict[str, Any]:
    plan = analysis.ablation.plan
    variant, saved = plan.variants[group.variant], savings_of(analysis, group)
    foreground = foreground_name(analysis.ablation.class_set)
    scores = {**group.classes, **({foreground: group.foreground} if foreground else {})}
    return {
        "fraction": group.fraction,
        "num_labels": group.num_labels,
        "num_val_labels": group.arms[0].content.num_val_labels,
        "variant": group.variant,
        "title": variant.title,
        "is_baseline": group.variant == plan.baseline,
        "autoencoder": variant.autoencoder,
        "outside_weights": variant.outside_weights,
        "tags": "; ".join(variant.tags),
        "best_on_val": group is analysis.best(group.fraction),
        "num_seeds": len(group.seeds),
        "seeds": " ".join(map(str, group.seeds)),
        "learning_rate": " ".join(f"{rate:g}" for rate in group.learning_rates),
        "val_mean_iou": group.val.mean,
        "val_mean_iou_lowest": group.val.low,
        "val_mean_iou_highest": group.val.high,
        "test_mean_iou": group.test.mean,
        "test_mean_iou_lowest": group.test.low,
        "test_mean_iou_highest": group.test.high,
        "test_pixel_accuracy": group.pixel_accuracy,
        **{f"test_iou_{name}": score for name, score in scores.items()},
        **{f"test_{name}": score for name, score in group.one_object},
        "control": variant.control,
        **_difference_cells(group),
        "descriptive_only": group.descriptive_only,
        "label_savings": saved.factor if saved else None,
        "label_savings_more_than": saved.more_than if saved else None,
        **_cost_cells(analysis, group),
        **_case_scores(group),
    }


def _difference_cells(group: Group) -> dict[str, Any]:
    difference = group.difference
    low, high = (difference and difference.interval) or (None, None)
    return {
        "compared_with": difference.baseline if difference else None,
        "baseline_mean_iou": difference.means[0] if difference and difference.means else None,
        "difference": difference.value if difference else None,
        "ci_low": low,
        "ci_high": high,
        "shared_seeds": " ".join(map(str, difference.seeds)) if difference else None,
        "remark": difference.remark if difference else None,
    }


def _cost_cells(analysis: Analysis, group: Group) -> dict[str, Any]:
    first = group.arms[0].content
    costs, encoder = [arm.content.compute for arm in group.arms], first.pretraining
    return {
        "pretraining": analysis.ablation.plan.phase_1_of(first),
        "pretraining_seconds": encoder.seconds if encoder else None,
        "pretraining_images": encoder.images if encoder else None,
        "seconds": sum(cost.seconds for cost in costs) / len(costs),
        "images": sum(cost.images for cost in costs) / len(costs),
        "parameters": costs[0].parameters,
        "total_passes": group.passes,
        "total_multiply_adds": first.total_multiply_adds,
        "device": "; ".join(dict.fromkeys(cost.device for cost in costs)),
    }

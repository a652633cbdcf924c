"""The tables of an ablation, from what its arms amount to."""

from collections.abc import Sequence

from core.classes import ClassSet
from core.evaluation import counted
from experiments.ablation import one_object
from experiments.ablation.budgets import contests, standings
from experiments.ablation.case_dice import is_by_case
from experiments.ablation.label_savings import Savings, label_savings
from experiments.ablation.plan_format import PlanContent
from experiments.ablation.pretraining_length import length_curves, length_table
from experiments.ablation.statistics import Analysis, Group
from experiments.ablation.tables.budgets import budget_table, standings_table
from experiments.ablation.tables.cases import case_table
from experiments.ablation.tables.costs import compute_table, passes_table, tuning_table
from experiments.ablation.tables.pace import COLUMN, NOTE, has_pace, pace
from experiments.ablation.tables.provenance_notes import origin_notes, phase_1_notes
from experiments.evaluations import with_unit
from experiments.table_formats import MOST_CLASS_COLUMNS, UNKNOWN, Table, listed, number, share, signed


def tables_of(analysis: Analysis) -> list[Table]:
    """Return all tables that speak of this ablation alone, in reading order."""
    curves = length_curves(analysis)
    within, others = contests(analysis), standings(analysis)
    return [
        variants_table(analysis),
        *([budget_table(analysis, within)] if within else []),
        *(main_table(analysis, fraction) for fraction in analysis.fractions),
        *([case_table(analysis)] if is_by_case(analysis.ablation) else []),
        difference_table(analysis),
        *([standings_table(analysis, others)] if others else []),
        savings_table(analysis),
        *([length_table(curves)] if curves else []),
        tuning_table(analysis),
        compute_table(analysis),
        passes_table(analysis),
    ]


def variants_table(analysis: Analysis) -> Table:
    """Return what each variant is that has an arm or a rate tried."""
    plan = analysis.ablation.plan
    ran = {trial.arm.variant for trial in analysis.ablation.trials}.union(analysis.variants)
    told = {name: variant for name, variant in plan.variants.items() if name in ran}
    rows = []
    for name, variant in told.items():
        outside = "outside weights" if variant.outside_weights else UNKNOWN
        rows.append([name, variant.title, _kind(plan, name), variant.pretraining or UNKNOWN, outside])
    columns = ["variant", "what it is", "kind", "phase 1", "outside weights"]
    ablation = analysis.ablation
    image = "test " + ablation.called("image")
    arms, images = counted(len(ablation.arms), "arm"), counted(len(ablation.image_names), image)
    size = with_unit(ablation.resolution)
    at = f"on volumes of up to {size}" if ablation.is_of_volumes else f"at {size}"
    notes = [f"{arms} {at}, each scored on the same {images} at their masks' original size."]
    if any(variant.control for variant in told.values()):
        within = ", but within a budget" if plan.budgets else ""
        notes.append(
            f"Variants that the plan names controls may differ in more than one thing, and are never the best{within}."
        )
    return Table("The variants", columns, rows, columns, notes)


def _kind(plan: PlanContent, name: str) -> str:
    variant = plan.variants[name]
    if name == plan.baseline:
        return "baseline"
    if variant.control:
        return "control"
    if variant.autoencoder:
        return "autoencoder"
    return "reference" if variant.outside_weights else "no pretraining"


def main_table(analysis: Analysis, fraction: float) -> Table:
    """Return the scores of all variants at one label fraction."""
    groups = analysis.at(fraction)
    classes = analysis.ablation.class_set
    names = classes.names if len(classes) <= MOST_CLASS_COLUMNS else ()
    foreground = foreground_name(classes)
    alike = classes.background is None  # so that the share of right pixels says something
    told = one_object.has_one_object(groups[0].one_object)
    best = analysis.best(fraction)
    rows = []
    for group in groups:
        spreads = [f"{spread.mean:.3f} ({spread.low:.3f} to {spread.high:.3f})" for spread in (group.val, group.test)]
        scores = [number(group.classes[name]) for name in names]
        scores += [number(group.foreground)] if foreground else []
        scores += [number(value) for _, value in group.one_object] if told else []
        accuracy = [number(group.pixel_accuracy)] if alike else []
        rows.append([group.variant, str(len(group.seeds)), rates(group), *spreads, *accuracy, *scores])
    further = ["Test pixel accuracy"] if alike else []
    columns = ["variant", "seeds", "learning rate", "Val mean IoU", "Test mean IoU", *further, *names]
    columns += [foreground] if foreground else []
    columns += one_object.COLUMNS if told else []
    notes = ["Means over the seeds; in brackets the lowest and the highest seed. Columns of classes: IoU on Test."]
    if not names:
        notes = [f"{notes[0].split('.')[0]}. The IoU of each of the {len(classes)} classes is in tables.csv."]
    if told:
        notes.append(one_object.NOTE)
    if len({group.seeds for group in groups}) > 1:
        notes.append("Not all variants have the same seeds here.")
    if best and len(analysis.candidates(fraction)) == 1:
        notes.append(
            f"Bold: {best.variant}, the only candidate: an autoencoder variant without outside weights, no control, "
            f"compared with {analysis.ablation.plan.baseline}."
        )
    elif best:
        notes.append(f"Bold: the best on Val among the autoencoder variants without outside weights, {best.variant}.")
    if "+" in (labels := analysis.labels(fraction)):
        notes.append(f"{labels}: masks that are learned from, and masks of Val that select the checkpoint.")
    planned = analysis.ablation.plan.variants
    if given := [group.variant for group in groups if planned[group.variant].learning_rate is not None]:
        notes.append(f"Not tuned here, their learning rates are the plan's own: {', '.join(given)}.")
    notes += _choice(analysis, fraction)
    notes += _descriptive([group for group in groups if group.descriptive_only])
    bold = frozenset(row for row, group in enumerate(groups) if group is best)
    pictures = counted(analysis.labels(fraction), analysis.ablation.called("picture"))
    title = f"{share(fraction)} of the labels ({pictures})"
    return Table(title, columns, rows, ["variant"], notes, bold)


def foreground_name(classes: ClassSet) -> str | None:
    """Return what the score of all foreground as one is called; None where there is none, or it is that of a class."""
    if len(classes.foreground) < 2:
        return None
    name = "foreground"
    while name in classes.names:
        name += " as one"
    return name


def _choice(analysis: Analysis, fraction: float) -> list[str]:
    """Say over which seeds the best was chosen, and among which variants, where these are not all."""
    seeds, planned = analysis.deciding_seeds(fraction), analysis.ablation.plan.seeds_at(fraction)
    candidates = analysis.candidates(fraction)
    if not candidates or all(group.seeds == planned for group in candidates):
        return []
    told, of_plan = (", ".join(map(str, values)) or "none" for values in (seeds, planned))
    notes = [f"Of the plan's seeds ({of_plan}) the choice is over those that most candidates have: {told}."]
    incomplete = [group.variant for group in candidates if not set(seeds) <= set(group.seeds)]
    if incomplete:
        notes.append(f"Not chosen among, for want of these seeds: {', '.join(incomplete)}.")
    return notes


def difference_table(analysis: Analysis) -> Table:
    """Return by how much each variant is ahead of its baseline at each fraction, with 95 % intervals."""
    rows: list[list[str]] = []
    bold, missing, paced = [], [], has_pace(analysis)
    for fraction in analysis.fractions:
        best = analysis.best(fraction)
        if not analysis.get(fraction, analysis.ablation.plan.baseline):
            missing.append(share(fraction))
        for group in analysis.at(fraction):
            if group.difference is None:
                continue
            if group is best:
                bold.append(len(rows))
            row = _difference_row(group)
            rows.append([*row[:-1], *([pace(analysis, group)] if paced else []), row[-1]])
    further = [COLUMN] if paced else []
    columns = ["labels", "variant", "compared with", "seeds", "difference", "95 % interval", *further, "reading"]
    notes = [
        "Mean IoU on Test, the variant's mean over the seeds minus the baseline's. Intervals: paired bootstrap over "
        f"{analysis.ablation.called('image')}s and seeds, the same draws for both; "
        '"not told apart": the interval holds 0.',
        "Few seeds, drawn again, spread too little: their part of an interval is widened as Student's t asks for so "
        "many. It stays an estimate from few seeds; with one there is no such part, and no verdict.",
        "Bold: the best on Val at this fraction, as in its table.",
    ]
    if paced:
        notes.append(NOTE)
    notes += [*phase_1_notes(analysis), *origin_notes(analysis)]
    if missing:
        notes.append(f"No arm of {analysis.ablation.plan.baseline} at {', '.join(missing)}: no difference there.")
    title = "Differences from the baseline in mean IoU"
    return Table(title, columns, rows, ["labels", "variant", "compared with", "reading"], notes, frozenset(bold))


def _difference_row(group: Group) -> list[str]:
    difference = group.difference
    assert difference is not None
    limits = UNKNOWN
    if difference.interval:
        limits = f"{signed(difference.interval[0])} to {signed(difference.interval[1])}"
    return [
        f"{group.labels} ({share(group.fraction)})",
        group.variant,
        difference.baseline,
        str(len(difference.seeds)),
        signed(difference.value),
        limits,
        "; ".join(reading(group)),
    ]


def reading(group: Group) -> list[str]:
    """Return what the difference of a group says and what limits it; nothing for a baseline."""
    difference = group.difference
    if difference is None:
        return []
    remarks = [difference.verdict]
    if difference.value is not None:
        remarks += [difference.remark, "descriptive only" if group.descriptive_only else ""]
    return [remark for remark in remarks if remark]


def savings_of(analysis: Analysis, group: Group) -> Savings | None:
    """Return how many times the labels the group's baseline needs for its score; None for the baseline itself.

    Variant and baseline over the same seeds: those that the group and every point of the curve have. None without any.
    """
    if group.difference is None:
        return None
    others = analysis.of(group.difference.baseline)
    seeds = set(group.seeds).intersection(*(other.seeds for other in others))
    if not seeds:
        return None
    curve = [(other.num_labels, other.test_over(seeds)) for other in others]
    return label_savings(curve, group.num_labels, group.test_over(seeds))


def savings_table(analysis: Analysis) -> Table:
    """Return how many times the labels the baseline needs for the score of each variant."""
    rows = []
    for variant in analysis.variants:
        groups = [analysis.get(fraction, variant) for fraction in analysis.fractions]
        if all(group is None or group.difference is None for group in groups):
            continue
        found = [savings_of(analysis, group) if group else None for group in groups]
        rows.append([variant, *(UNKNOWN if saved is None else str(saved) for saved in found)])
    heads = [f"{analysis.labels(fraction)} ({share(fraction)})" for fraction in analysis.fractions]
    notes = [
        "How many times the labels the baseline needs for the same mean IoU on Test, read off its own curve over the "
        "logarithm of the number of labels (made to rise by isotonic regression): below 1, the variant wastes labels. "
        '"More than": the baseline\'s longest training set does not reach the score.',
        "Variant and curve over the seeds that the variant and all points of the curve have.",
        f"{UNKNOWN}: not defined, because the score lies below the whole curve, the curve has fewer than two points, "
        "or they share no seed.",
    ]
    return Table("Label savings", ["variant", *heads], rows, ["variant"], notes)


def _descriptive(groups: Sequence[Group]) -> list[str]:
    by_seeds: dict[int, list[str]] = {}
    for group in groups:
        by_seeds.setdefault(len(group.seeds), []).append(group.variant)
    return [
        f"Descriptive only: {counted(groups[0].num_labels, 'label')} are too few for {counted(number, 'seed')} to "
        f"conclude from ({', '.join(variants)})."
        for number, variants in sorted(by_seeds.items())
    ]


def rates(group: Group) -> str:
    """Return the learning rates of a group's arms."""
    return listed(f"{rate:g}" for rate in group.learning_rates)

"""The tables of an ablation, from what its arms amount to."""

from collections.abc import Iterable, Sequence

from experiments.ablation_statistics import Analysis, Group
from experiments.label_savings import Savings, label_savings
from experiments.table_formats import Table

UNKNOWN = "–"
MINUS = "−"


def tables_of(analysis: Analysis) -> list[Table]:
    """Return all tables that speak of this ablation alone, in reading order."""
    return [
        variants_table(analysis),
        *(main_table(analysis, fraction) for fraction in analysis.fractions),
        difference_table(analysis),
        savings_table(analysis),
        tuning_table(analysis),
        compute_table(analysis),
    ]


def variants_table(analysis: Analysis) -> Table:
    """Return what each variant is."""
    plan = analysis.ablation.plan
    rows = []
    for name in analysis.variants:
        variant = plan.variants[name]
        control = "reference" if variant.outside_weights else "control"
        kind = "baseline" if name == plan.baseline else "autoencoder" if variant.autoencoder else control
        outside = "outside weights" if variant.outside_weights else UNKNOWN
        rows.append([name, variant.title, kind, variant.pretraining or UNKNOWN, outside])
    columns = ["variant", "what it is", "kind", "phase 1", "outside weights"]
    ablation = analysis.ablation
    notes = [
        f"{len(ablation.arms)} arms at {ablation.resolution} px, each scored on the same {len(ablation.image_names)} "
        f"test images at their masks' original size."
    ]
    return Table("The variants", columns, rows, columns, notes)


def main_table(analysis: Analysis, fraction: float) -> Table:
    """Return the scores of all variants at one label fraction."""
    groups = analysis.at(fraction)
    classes = list(groups[0].scores)
    best = analysis.best(fraction)
    rows = []
    for group in groups:
        spreads = [f"{spread.mean:.3f} ({spread.low:.3f} to {spread.high:.3f})" for spread in (group.val, group.test)]
        scores = [number(group.scores[name]) for name in classes]
        rows.append([group.variant, str(len(group.seeds)), rates(group), *spreads, *scores])
    columns = ["variant", "seeds", "learning rate", "Val mean IoU", "Test mean IoU", *classes]
    notes = ["Means over the seeds; in brackets the lowest and the highest seed. The last columns: IoU on Test."]
    if len({group.seeds for group in groups}) > 1:
        notes.append("Not all variants have the same seeds here.")
    if best:
        notes.append(f"Bold: the best on Val among the autoencoder variants without outside weights, {best.variant}.")
    if any(group.descriptive_only for group in groups):
        notes.append(_descriptive(groups[0]))
    bold = frozenset(row for row, group in enumerate(groups) if group is best)
    title = f"{share(fraction)} of the labels ({groups[0].num_labels} pictures)"
    return Table(title, columns, rows, ["variant"], notes, bold)


def difference_table(analysis: Analysis) -> Table:
    """Return by how much each variant is ahead of its baseline at each fraction, with 95 % intervals."""
    rows, bold, missing = [], [], []
    for fraction in analysis.fractions:
        best = analysis.best(fraction)
        if not analysis.get(fraction, analysis.ablation.plan.baseline):
            missing.append(share(fraction))
        for group in analysis.at(fraction):
            if group.difference is None:
                continue
            if group is best:
                bold.append(len(rows))
            rows.append(_difference_row(group))
    columns = ["labels", "variant", "compared with", "seeds", "difference", "95 % interval", "reading"]
    notes = [
        "Mean IoU on Test, the variant's mean over the seeds minus the baseline's. Intervals: paired bootstrap over "
        'images and seeds, the same draws for both; "not told apart": the interval holds 0.',
        "Bold: the autoencoder variant that is best on Val at this fraction.",
    ]
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
    remarks = [difference.verdict]
    if difference.value is not None:
        remarks += [difference.remark, "descriptive only" if group.descriptive_only else ""]
    return [
        f"{group.num_labels} ({share(group.fraction)})",
        group.variant,
        difference.baseline,
        str(len(difference.seeds)),
        signed(difference.value),
        limits,
        "; ".join(remark for remark in remarks if remark),
    ]


def savings_of(analysis: Analysis, group: Group) -> Savings | None:
    """Return how many times the labels the group's baseline needs for its score; None for the baseline itself."""
    if group.difference is None:
        return None
    curve = [(other.num_labels, other.test.mean) for other in analysis.of(group.difference.baseline)]
    return label_savings(curve, group.num_labels, group.test.mean)


def savings_table(analysis: Analysis) -> Table:
    """Return how many times the labels the baseline needs for the score of each variant."""
    rows = []
    for variant in analysis.variants:
        groups = [analysis.get(fraction, variant) for fraction in analysis.fractions]
        if all(group is None or group.difference is None for group in groups):
            continue
        found = [savings_of(analysis, group) if group else None for group in groups]
        rows.append([variant, *(UNKNOWN if saved is None else str(saved) for saved in found)])
    heads = [f"{analysis.at(fraction)[0].num_labels} ({share(fraction)})" for fraction in analysis.fractions]
    notes = [
        "How many times the labels the baseline needs for the same mean IoU on Test, read off its own curve over the "
        "logarithm of the number of labels (made to rise by isotonic regression): below 1, the variant wastes labels. "
        '"More than": the baseline\'s longest training set does not reach the score.',
        f"{UNKNOWN}: not defined, because the score lies below the whole curve or the curve has fewer than two points.",
    ]
    return Table("Label savings", ["variant", *heads], rows, ["variant"], notes)


def tuning_table(analysis: Analysis) -> Table:
    """Return the little learning-rate grid: every run, and which rate was chosen."""
    trials = analysis.ablation.trials
    found = sorted({trial.arm.learning_rate for trial in trials})
    cells: dict[tuple[float, str], dict[float, float]] = {}
    labels = {}
    for trial in trials:
        place = (trial.arm.fraction, trial.arm.variant)
        cells.setdefault(place, {})[trial.arm.learning_rate] = trial.val_mean_iou
        labels[trial.arm.fraction] = trial.num_labels
    rows, others = [], []
    for (fraction, variant), scores in cells.items():
        group = analysis.get(fraction, variant)
        chosen = group.learning_rates if group else ()
        if any(scores.get(rate, -1.0) < max(scores.values()) for rate in chosen):
            others.append(f"{variant} at {share(fraction)}")
        marks = [f"{scores[rate]:.3f}{' *' * (rate in chosen)}" if rate in scores else UNKNOWN for rate in found]
        rows.append([f"{labels[fraction]} ({share(fraction)})", variant, *marks, str(len(scores))])
    columns = ["labels", "variant", *(f"{rate:g}" for rate in found), "runs"]
    notes = ["Mean IoU on Val, one run each. *: the rate that the arms of this row were trained with.", _effort(cells)]
    untried = [share(fraction) for fraction in analysis.fractions if fraction not in labels]
    if cells and untried:
        notes.append(f"No rates were tried at {', '.join(untried)}: there the main tables say which one was used.")
    if others:
        notes.append(f"Trained with another rate than the best of their row: {', '.join(others)}.")
    title = "Learning rates tried, and what each gave on Val"
    return Table(title, columns, rows, ["labels", "variant"], notes)


def _effort(cells: dict[tuple[float, str], dict[float, float]]) -> str:
    numbers = sorted({len(scores) for scores in cells.values()})
    if not numbers:
        return "No run of the grid is in the folder: the rates were set, not chosen."
    if len(numbers) == 1:
        return f"Every variant had the same effort: {numbers[0]} runs at each fraction at which rates were tried."
    return f"Not the same effort: between {numbers[0]} and {numbers[-1]} runs, see the last column."


def compute_table(analysis: Analysis) -> Table:
    """Return what the arms of each variant cost, the shared phase 1 apart."""
    rows = []
    for variant in analysis.variants:
        arms = [arm.content for group in analysis.of(variant) for arm in group.arms]
        costs = [arm.compute for arm in arms]
        encoders = {arm.pretraining.sha256: arm.pretraining for arm in arms if arm.pretraining}
        rows.append(
            [
                variant,
                str(len(arms)),
                between(sorted({cost.parameters for cost in costs if cost.parameters is not None})),
                between([cost.images for cost in costs]),
                between([round(cost.seconds) for cost in costs]),
                listed(encoder.name for encoder in encoders.values()),
                between([encoder.images for encoder in encoders.values() if encoder.images is not None]),
                between([round(encoder.seconds) for encoder in encoders.values() if encoder.seconds is not None]),
                listed(cost.device for cost in costs),
            ]
        )
    columns = ["variant", "arms", "parameters", "images", "seconds", "phase 1", "its images", "its seconds", "device"]
    notes = [
        "Images and seconds are those of one arm of phase 2, as a range where its arms differ; images count every time "
        "one is drawn. Several variants may share a phase 1.",
        _total(analysis),
    ]
    return Table(
        "Compute of an arm, and of the phase 1 behind it", columns, rows, ["variant", "phase 1", "device"], notes
    )


def _total(analysis: Analysis) -> str:
    ablation = analysis.ablation
    encoders = {run.name: run.seconds for run in ablation.pretraining.values()}
    for arm in ablation.arms:
        encoder = arm.content.pretraining
        if encoder and encoder.seconds is not None:
            encoders.setdefault(encoder.name, encoder.seconds)
    parts = {
        "phase 1 (each once)": sum(encoders.values()),
        "learning rates": sum(trial.compute.seconds for trial in ablation.trials),
        "arms": sum(arm.content.compute.seconds for arm in ablation.arms),
    }
    told = ", ".join(f"{name} {seconds / 3600:.1f} h" for name, seconds in parts.items())
    return f"In all {sum(parts.values()) / 3600:.1f} hours: {told}."


def _descriptive(group: Group) -> str:
    return f"Descriptive only: {group.num_labels} labels are too few for {len(group.seeds)} seeds to conclude from."


def number(value: float | None) -> str:
    """Return a score with three places."""
    return UNKNOWN if value is None else f"{value:.3f}"


def signed(value: float | None) -> str:
    """Return a difference with its sign and three places."""
    return UNKNOWN if value is None else f"{value:+.3f}".replace("-", MINUS)


def share(fraction: float) -> str:
    """Return a fraction in per cent."""
    return f"{100 * fraction:g} %"


def rates(group: Group) -> str:
    """Return the learning rates of a group's arms."""
    return listed(f"{rate:g}" for rate in group.learning_rates)


def between(values: Sequence[int]) -> str:
    """Return whole numbers as one, or as the range that they span."""
    if not values:
        return UNKNOWN
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def listed(values: Iterable[str]) -> str:
    """Return the different values in their first order."""
    return ", ".join(dict.fromkeys(values)) or UNKNOWN

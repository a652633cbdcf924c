"""The tables of what an ablation spent: learning rates tried, and compute."""

from collections.abc import Mapping, Sequence

from experiments.ablation.format import ArmContent
from experiments.ablation.statistics import Analysis
from experiments.table_formats import UNKNOWN, Table, between, listed, share

BROKEN = "broke"
TASKS = (5, 20)  # that may share a phase 1


def tuning_table(analysis: Analysis) -> Table:
    """Return the little learning-rate grid: every run, and which rate was chosen."""
    trials = analysis.ablation.trials
    found = sorted({trial.arm.learning_rate for trial in trials})
    cells: dict[tuple[float, str], dict[float, float | None]] = {}
    labels = {}
    for trial in trials:
        place = (trial.arm.fraction, trial.arm.variant)
        cells.setdefault(place, {})[trial.arm.learning_rate] = trial.val_mean_iou
        labels[trial.arm.fraction] = trial.num_labels
    rows, others, at_end = [], [], []
    for (fraction, variant), scores in cells.items():
        group = analysis.get(fraction, variant)
        chosen = group.learning_rates if group else ()
        best = max((score for score in scores.values() if score is not None), default=None)
        if any(scores.get(rate) != best for rate in chosen):
            others.append(f"{variant} at {share(fraction)}")
        if len(scores) > 1 and any(rate in (min(scores), max(scores)) for rate in chosen):
            at_end.append(f"{variant} at {share(fraction)}")
        marks = [_score(scores, rate) + " *" * (rate in chosen and rate in scores) for rate in found]
        rows.append([f"{labels[fraction]} ({share(fraction)})", variant, *marks, str(len(scores))])
    columns = ["labels", "variant", *(f"{rate:g}" for rate in found), "runs"]
    notes = ["Mean IoU on Val, one run each. *: the rate that the arms of this row were trained with.", _effort(cells)]
    if any(score is None for scores in cells.values() for score in scores.values()):
        notes.append(f"{BROKEN}: training stopped being finite at this rate.")
    untried = [share(fraction) for fraction in analysis.fractions if fraction not in labels]
    if cells and untried:
        notes.append(f"No rates were tried at {', '.join(untried)}: there the main tables say which one was used.")
    if others:
        notes.append(f"Trained with another rate than the best of their row: {', '.join(others)}.")
    if at_end:
        notes.append(
            f"The chosen rate is the lowest or the highest of those tried, so that a better one may lie beyond: "
            f"{', '.join(at_end)}."
        )
    title = "Learning rates tried, and what each gave on Val"
    return Table(title, columns, rows, ["labels", "variant"], notes)


def _score(scores: Mapping[float, float | None], rate: float) -> str:
    if rate not in scores:
        return UNKNOWN
    score = scores[rate]
    return BROKEN if score is None else f"{score:.3f}"


def _effort(cells: Mapping[tuple[float, str], Mapping[float, float | None]]) -> str:
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
                _digits([cost.images / cost.seconds for cost in costs if cost.seconds]),
                listed(_phase_1(analysis, arm) for arm in arms if arm.pretraining),
                between([encoder.images for encoder in encoders.values() if encoder.images is not None]),
                between([round(encoder.seconds) for encoder in encoders.values() if encoder.seconds is not None]),
                listed(cost.device for cost in costs),
            ]
        )
    columns = ["variant", "arms", "parameters", "images", "seconds", "images/s", "phase 1"]
    columns += ["its images", "its seconds", "device"]
    notes = [
        "Images and seconds are those of one arm of phase 2, as a range where its arms differ; images count every time "
        "one is drawn; images/s holds validation too, and what else the machine did. Several variants may share a "
        "phase 1.",
        _total(analysis),
    ]
    return Table(
        "Compute of an arm, and of the phase 1 behind it", columns, rows, ["variant", "phase 1", "device"], notes
    )


def passes_table(analysis: Analysis) -> Table:
    """Return what an arm of each variant takes in picture passes, its phase 1 whole and shared, and multiply-adds."""
    rows = []
    for variant in analysis.variants:
        arms = [arm.content for group in analysis.of(variant) for arm in group.arms]
        encoders = [arm.phase_1_passes for arm in arms if arm.pretrained]
        own = [arm.phase_2_passes for arm in arms]
        tried = [trial.compute.picture_passes for trial in analysis.ablation.trials if trial.arm.variant == variant]
        rows.append(
            [
                variant,
                between([passes for passes in own if passes is not None]),
                between([passes for passes in encoders if passes is not None]),
                *(_total_passes(arms, tasks) for tasks in (1, *TASKS)),
                _multiply_adds(arms),
                f"{sum(tried):,}" if tried else UNKNOWN,
            ]
        )
    shared = [f"phase 1 shared by {tasks}" for tasks in TASKS]
    columns = ["variant", "phase 2", "phase 1", "total", *shared, "multiply-adds (trillions)", "rates tried"]
    notes = [
        "Picture passes of an arm: a forward pass counts 1 a picture, one with its way back 3. Arms of before counted "
        "none: there they are 3 a picture. What taught an arm counts as its own. Passes compare within one network "
        "alone. Shared: with so many tasks that begin with the same phase 1.",
        f"Multiply-adds: each pass as a forward pass of the network, with phase 1's; {UNKNOWN} where they were not "
        "counted. Rates tried: passes of all runs that chose the variant's learning rates, which no total holds.",
    ]
    return Table("Picture passes of an arm, and of the phase 1 behind it", columns, rows, ["variant"], notes)


def _total_passes(arms: Sequence[ArmContent], tasks: int) -> str:
    found = [arm.total_passes(tasks) for arm in arms]
    return UNKNOWN if None in found else between([passes for passes in found if passes is not None])


def _multiply_adds(arms: Sequence[ArmContent]) -> str:
    """Return trillions (10^12) of multiply-adds with three digits; unknown where they are of any arm."""
    found = [arm.total_multiply_adds for arm in arms]
    known = [number / 1e12 for number in found if number is not None]
    return _digits(known) if len(known) == len(found) else UNKNOWN


def _digits(found: Sequence[float]) -> str:
    """Return numbers with three digits, as one or as the range that they span."""
    if not found:
        return UNKNOWN
    ends = (min(found), max(found))
    return " to ".join(dict.fromkeys(f"{value:.3g}" if value < 1000 else f"{value:,.0f}" for value in ends))


def _phase_1(analysis: Analysis, arm: ArmContent) -> str:
    own = " (one a seed)" if analysis.ablation.plan.is_paired(arm) else ""
    return f"{analysis.ablation.plan.phase_1_of(arm)}{own}"


def _total(analysis: Analysis) -> str:
    """Say what everything took; a trial that went on to be an arm, and a phase 1 that arms share, count once."""
    ablation = analysis.ablation
    encoders = {(run.name, run.sha256): run.seconds for run in ablation.pretraining.values()}
    for arm in ablation.arms:
        encoder = arm.content.pretraining
        if encoder and encoder.seconds is not None:
            encoders.setdefault((encoder.name, encoder.sha256), encoder.seconds)
    arms = {arm.name for arm in ablation.arms}
    parts = {
        "phase 1 (each once)": sum(encoders.values()),
        "learning rates (without the runs that are arms)": sum(
            trial.compute.seconds for trial in ablation.trials if trial.arm not in arms
        ),
        "arms": sum(arm.content.compute.seconds for arm in ablation.arms),
    }
    told = ", ".join(f"{name} {seconds / 3600:.1f} h" for name, seconds in parts.items())
    return f"In all {sum(parts.values()) / 3600:.1f} hours: {told}."

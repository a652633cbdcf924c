"""The label-efficiency curve of an ablation: scores over the number of labels, and what they are ahead by."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.evaluation import counted
from core.figures.style import LINE_COLOURS, save
from experiments.ablation.figures.forest import draw_differences, draw_rows, height_of
from experiments.ablation.format import ArmContent
from experiments.ablation.statistics import Analysis, Group
from experiments.page.command_lines import defaults
from experiments.table_formats import share

DOTS_PER_INCH = 150
BASELINE_COLOUR, GREY = "#000000", "#9A9A9A"
COLOURS = tuple(colour for colour in LINE_COLOURS if colour != BASELINE_COLOUR)
# (colour, marker) of lines that are drawn out; with more of them, none would stand out.
STYLES = tuple(zip((BASELINE_COLOUR, *COLOURS), "osD^vP", strict=False))
Style = tuple[str, str]
SCORES = "Scores: mean and range of the seeds"
# Names at the ends of lines stand at least so far apart, as a share of the axis's height.
LINE_HEIGHT = 0.048
# Neighbouring bars at one number of labels stand apart by this share of the axis's length.
APART = 0.012
AXIS_MARGIN = 1.1  # a factor on either side


def save_label_efficiency(path: Path, analysis: Analysis) -> None:
    """Save two panels: the score on Test over the number of labels, and the differences from the baseline.

    Left, a line a variant through the means of the seeds, bars from the lowest to the highest seed; right, the
    differences of the variants that are drawn out, with 95 % intervals, where they are compared with the plan's
    baseline: zero would mean another thing to the others. With one number of labels a row a variant instead of a line.
    The score is mean IoU, of volumes the mean Dice of a case. Where no difference can be drawn there is no right panel.
    Equal results give equal bytes.
    """
    from matplotlib.figure import Figure

    alone, styles = len(analysis.fractions) == 1, emphasised(analysis)
    height = height_of(analysis) if alone else 4.9
    compared = any(_drawable(group, analysis) for group in analysis.groups if alone or group.variant in styles)
    figure = Figure(figsize=(11.5 if compared else 7.5, height), layout="constrained", dpi=DOTS_PER_INCH)
    axes = figure.subplots(1, 2, width_ratios=(1.25, 1)) if compared else [figure.subplots()]
    (_draw_rows if alone else _draw_curves)(axes, analysis, styles)
    for axis in axes:
        axis.title.set_fontsize(11)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def _draw_curves(axes: Sequence[Any], analysis: Analysis, styles: Mapping[str, Style]) -> None:
    for axis, draw in zip(axes, (_draw_scores, _draw_differences), strict=False):
        draw(axis, analysis, styles)
        _label_axis(axis, analysis)
        axis.grid(axis="y", color="0.92")


def _draw_rows(axes: Sequence[Any], analysis: Analysis, styles: Mapping[str, Style]) -> None:
    left, *others = axes
    told = {name: styles.get(name, (GREY, ".")) for name in analysis.variants}
    shown = [group for group in analysis.groups if _drawable(group, analysis)]
    draw_rows(left, analysis, told)
    labels = counted(analysis.labels(analysis.fractions[0]), f"labelled {analysis.ablation.called('picture')}")
    left.set(xlabel=f"{analysis.measure} on Test", title=f"{SCORES}, {labels}")
    for right in others:
        draw_differences(right, analysis, shown, told)
        right.set(xlabel=f"{analysis.measure} ahead of it", title=_title_of_differences(analysis, shown))


def emphasised(analysis: Analysis) -> dict[str, Style]:
    """Return colour and marker of the variants that are drawn out, each role's the same in every ablation.

    They are the baseline, the best on Val with the most labels, the original's setting, the reference, and those that
    are best with fewer labels.
    """
    best = [group.variant for group in map(analysis.best, reversed(analysis.fractions)) if group]
    originals = [name for name in analysis.variants if _is_original(analysis.of(name)[0].arms[0].content)]
    first, others = next(iter(best), None), list(dict.fromkeys(best))[1:]
    roles = [analysis.ablation.plan.baseline, first, next(iter(originals), None), analysis.reference, *others]
    styles: dict[str, Style] = {}
    for role, style in zip(roles, STYLES, strict=False):
        if role in analysis.variants:
            styles.setdefault(role, style)
    return styles


def _is_original(arm: ArmContent) -> bool:
    """Say whether an arm has the original project's setting: reconstruction through all skips, then frozen."""
    if arm.pretraining is None:
        return False
    before = {**defaults("reconstruction"), **arm.pretraining.settings}
    reconstructs = (before["pretext"], before["target"], before["skips"]) == ("reconstruct", "pixels", "all")
    return reconstructs and arm.settings.get("freeze") == "always" and arm.settings.get("decoder", "unet") == "unet"


def _draw_scores(axis: Any, analysis: Analysis, styles: Mapping[str, Style]) -> None:
    ends = {}
    for variant in sorted(analysis.variants, key=lambda name: name in styles):  # those drawn out lie on top
        groups = analysis.of(variant)
        tests = [group.drawn.test for group in groups]
        means = [test.mean for test in tests]
        if variant not in styles:
            labels: list[float] = [group.num_labels for group in groups]
            axis.plot(labels, means, color=GREY, linewidth=0.9, marker=".", markersize=4)
        else:
            labels = _side_by_side(analysis, groups, list(styles), variant)
            below = [test.mean - test.low for test in tests]
            above = [test.high - test.mean for test in tests]
            bars = {"elinewidth": 1, "capsize": 2, "linewidth": 1.8}
            _draw_bars(axis, labels, means, [below, above], styles[variant], **bars)
        ends[variant] = (labels[-1], means[-1])
    axis.set(ylabel=f"{analysis.measure} on Test", title=SCORES)
    _name_lines(axis, ends, {name: colour for name, (colour, _) in styles.items()})


def _draw_bars(axis: Any, labels: Sequence[float], values: Any, bars: Any, style: Style, **settings: Any) -> None:
    colour, marker = style
    axis.errorbar(labels, values, yerr=bars, color=colour, marker=marker, markersize=5, **settings)


def _side_by_side(analysis: Analysis, groups: Sequence[Group], shown: Sequence[str], variant: str) -> list[float]:
    """Return where the points of one of the variants shown stand, so that no bar hides another's."""
    counts = [group.num_labels for group in analysis.groups]
    unit = (AXIS_MARGIN**2 * max(counts) / min(counts)) ** APART
    place = shown.index(variant) - (len(shown) - 1) / 2
    return [group.num_labels * unit**place for group in groups]


def _name_lines(axis: Any, ends: Mapping[str, tuple[float, float]], colours: Mapping[str, str]) -> None:
    low, high = axis.get_ylim()
    step = LINE_HEIGHT * (high - low)
    names = sorted(ends, key=lambda name: ends[name][1])
    places = spread_out([ends[name][1] for name in names], step)
    edge = max(labels for labels, _ in ends.values())
    for name, place in zip(names, places, strict=True):
        colour = colours.get(name, "#6A6A6A")
        arrow = {"arrowstyle": "-", "linestyle": ":", "color": colour, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 3}
        weight = "bold" if name in colours else "normal"
        axis.annotate(
            name,
            ends[name],
            (edge * 1.25, place),
            color=colour,
            fontsize=8,
            fontweight=weight,
            va="center",
            arrowprops=arrow,
            annotation_clip=False,
        )
    axis.set_ylim(min(low, places[0] - step), max(high, places[-1] + step))


def spread_out(values: Sequence[float], step: float) -> list[float]:
    """Return rising places near rising values [N], neighbours at least `step` apart."""
    # Shifted by its rank's steps, the nearest such sequence in least squares is an isotonic regression.
    from scipy.optimize import isotonic_regression

    ranks = step * np.arange(len(values))
    return (isotonic_regression(np.asarray(values) - ranks).x + ranks).tolist()


def _draw_differences(axis: Any, analysis: Analysis, styles: Mapping[str, Style]) -> None:
    drawn = {name: [group for group in analysis.of(name) if _drawable(group, analysis)] for name in styles}
    shown = [name for name, groups in drawn.items() if groups]
    axis.axhline(0, color=BASELINE_COLOUR, linewidth=1)
    for variant in shown:
        differences = [group.drawn.difference for group in drawn[variant] if group.drawn.difference]
        values = np.array([difference.value for difference in differences])
        limits = np.array([difference.interval for difference in differences])  # [F, 2]
        labels = _side_by_side(analysis, drawn[variant], shown, variant)
        bars = {"elinewidth": 1.5, "capsize": 2.5, "linestyle": "none", "label": variant}
        _draw_bars(axis, labels, values, [values - limits[:, 0], limits[:, 1] - values], styles[variant], **bars)
    title = _title_of_differences(analysis, [group for name in shown for group in drawn[name]])
    axis.set(ylabel=f"{analysis.measure} ahead of it", title=title)
    if shown:
        axis.legend(fontsize=8, frameon=False)


def _title_of_differences(analysis: Analysis, shown: Sequence[Group]) -> str:
    alone = any(group.difference and len(group.difference.seeds) == 1 for group in shown)
    note = f"\n(one seed: over {analysis.ablation.called('image')}s only)" * alone
    return f"Differences from {analysis.ablation.plan.baseline}, 95 % intervals{note}"


def _drawable(group: Group, analysis: Analysis) -> bool:
    """Say whether a group has a difference from the plan's baseline, with an interval."""
    difference = group.drawn.difference
    if difference is None or difference.value is None or difference.interval is None:
        return False
    return difference.baseline == analysis.ablation.plan.baseline


def _label_axis(axis: Any, analysis: Analysis) -> None:
    labels = [analysis.at(fraction)[0].num_labels for fraction in analysis.fractions]
    told = [analysis.labels(fraction) for fraction in analysis.fractions]
    axis.set_xscale("log")
    axis.set_xticks(labels, [f"{count}\n{share(part)}" for count, part in zip(told, analysis.fractions, strict=True)])
    axis.set_xticks([], minor=True)
    margin = AXIS_MARGIN * (max(labels) / min(labels)) ** 0.05
    axis.set_xlim(min(labels) / margin, max(labels) * margin)
    pictures = analysis.ablation.called("picture")
    selecting = " + those of Val that select\n" * any("+" in text for text in told)
    axis.set_xlabel(f"labelled training {pictures}s{selecting or ' '}(logarithmic), share of all")

"""The label-efficiency curve of an ablation: scores over the number of labels, and what they are ahead by."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.figures import LINE_COLOURS, save
from experiments.ablation.format import ArmContent
from experiments.ablation.statistics import Analysis, Group
from experiments.ablation.table_formats import share
from experiments.repeat import defaults

DOTS_PER_INCH = 150
# With more lines drawn out than this, none stands out.
MOST_EMPHASISED = 6
BASELINE_COLOUR, GREY = "#000000", "#9A9A9A"
COLOURS = tuple(colour for colour in LINE_COLOURS if colour != BASELINE_COLOUR)
MARKERS = "osD^vP"
# Names at the ends of lines stand at least so far apart, as a share of the axis's height.
LINE_HEIGHT = 0.048
# Neighbouring intervals at one number of labels stand apart by this factor.
APART = 1.07


def save_label_efficiency(path: Path, analysis: Analysis) -> None:
    """Save two panels: mean IoU on Test over the number of labels, and the differences from the baseline.

    Left, a line a variant through the means of the seeds, bars from the lowest to the highest seed; right, the
    differences of the variants that are drawn out, with 95 % intervals. Equal results give equal bytes.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.5, 4.9), layout="constrained", dpi=DOTS_PER_INCH)
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    colours = _colours(analysis)
    markers = {name: MARKERS[place % len(MARKERS)] for place, name in enumerate(colours)}
    _draw_scores(left, analysis, colours, markers)
    _draw_differences(right, analysis, colours, markers)
    for axis in (left, right):
        _label_axis(axis, analysis)
        axis.grid(axis="y", color="0.92")
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def emphasised(analysis: Analysis) -> list[str]:
    """Return the variants that are drawn out: the baseline, the best on Val, the original's setting, the reference."""
    plan = analysis.ablation.plan
    best = [group.variant for group in map(analysis.best, reversed(analysis.fractions)) if group]
    originals = [name for name in analysis.variants if _is_original(analysis.of(name)[0].arms[0].content)]
    wanted = dict.fromkeys([plan.baseline, *best[:1], *originals[:1], analysis.reference, *best[1:]])
    return [name for name in wanted if name in analysis.variants][:MOST_EMPHASISED]


def _is_original(arm: ArmContent) -> bool:
    """Say whether an arm has the original project's setting: reconstruction through all skips, then frozen."""
    if arm.pretraining is None:
        return False
    before = {**defaults("reconstruction"), **arm.pretraining.settings}
    reconstructs = (before["pretext"], before["target"], before["skips"]) == ("reconstruct", "pixels", "all")
    return reconstructs and arm.settings.get("freeze") == "always" and arm.settings.get("decoder", "unet") == "unet"


def _colours(analysis: Analysis) -> dict[str, str]:
    plan = analysis.ablation.plan
    names = emphasised(analysis)
    others = iter(COLOURS)
    return {name: BASELINE_COLOUR if name == plan.baseline else next(others) for name in names}


def _draw_scores(axis: Any, analysis: Analysis, colours: Mapping[str, str], markers: Mapping[str, str]) -> None:
    ends = {}
    for variant in sorted(analysis.variants, key=lambda name: name in colours):  # those drawn out lie on top
        groups = analysis.of(variant)
        labels = [group.num_labels for group in groups]
        means = [group.test.mean for group in groups]
        ends[variant] = (labels[-1], means[-1])
        if variant not in colours:
            axis.plot(labels, means, color=GREY, linewidth=0.9, marker=".", markersize=4)
            continue
        bars = [
            [group.test.mean - group.test.low for group in groups],
            [group.test.high - group.test.mean for group in groups],
        ]
        axis.errorbar(
            labels,
            means,
            yerr=bars,
            color=colours[variant],
            marker=markers[variant],
            markersize=5,
            linewidth=1.8,
            elinewidth=1,
            capsize=2,
        )
    axis.set(ylabel="mean IoU on Test", title="Scores: mean and range of the seeds")
    axis.title.set_fontsize(11)
    _name_lines(axis, ends, colours)


def _name_lines(axis: Any, ends: Mapping[str, tuple[int, float]], colours: Mapping[str, str]) -> None:
    low, high = axis.get_ylim()
    step = LINE_HEIGHT * (high - low)
    names = sorted(ends, key=lambda name: ends[name][1])
    places = spread_out([ends[name][1] for name in names], step)
    edge = max(labels for labels, _ in ends.values())
    for name, place in zip(names, places, strict=True):
        colour = colours.get(name, "#6A6A6A")
        arrow = {"arrowstyle": "-", "color": colour, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}
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


def _draw_differences(axis: Any, analysis: Analysis, colours: Mapping[str, str], markers: Mapping[str, str]) -> None:
    shown = [name for name in colours if any(_drawable(group) for group in analysis.of(name))]
    axis.axhline(0, color=BASELINE_COLOUR, linewidth=1)
    for place, variant in enumerate(shown):
        groups = [group for group in analysis.of(variant) if _drawable(group)]
        differences = [group.difference for group in groups]
        values = np.array([difference.value for difference in differences])
        limits = np.array([difference.interval for difference in differences])  # [F, 2]
        labels = np.array([group.num_labels for group in groups]) * APART ** (place - (len(shown) - 1) / 2)
        axis.errorbar(
            labels,
            values,
            yerr=[values - limits[:, 0], limits[:, 1] - values],
            color=colours[variant],
            marker=markers[variant],
            markersize=5,
            linestyle="none",
            elinewidth=1.5,
            capsize=2.5,
            label=variant,
        )
    alone = any(_drawable(group) and len(group.difference.seeds) == 1 for name in shown for group in analysis.of(name))
    title = "Differences from the baseline, 95 % intervals" + "\n(one seed: over images only)" * alone
    axis.set(ylabel="mean IoU ahead of the baseline", title=title)
    axis.title.set_fontsize(11)
    if shown:
        axis.legend(fontsize=8, frameon=False)


def _drawable(group: Group) -> bool:
    return group.difference is not None and group.difference.value is not None and group.difference.interval is not None


def _label_axis(axis: Any, analysis: Analysis) -> None:
    labels = {analysis.at(fraction)[0].num_labels: share(fraction) for fraction in analysis.fractions}
    axis.set_xscale("log")
    axis.set_xticks(list(labels), [f"{count}\n{part}" for count, part in labels.items()])
    axis.set_xticks([], minor=True)
    margin = 1.1 * (max(labels) / min(labels)) ** 0.05
    axis.set_xlim(min(labels) / margin, max(labels) * margin)
    axis.set_xlabel("labelled training pictures (logarithmic), share of all")

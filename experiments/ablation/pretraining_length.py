"""Scores over the length of phase 1, where pretrainings of the grid differ in nothing but their steps."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from os.path import commonprefix
from pathlib import Path
from typing import Any

from core.figures.style import LINE_COLOURS, save
from core.train_config import CHOSEN
from experiments.ablation.statistics import Analysis, Group
from experiments.page.command_lines import defaults
from experiments.table_formats import UNKNOWN, Table, number, share, signed

# The number of steps, what has no effect once it is given, and what the machine decides.
OF_LENGTH = ("max_steps", "epochs", *CHOSEN)


@dataclass(frozen=True)
class Point:
    """A group of arms, and how long their phase 1 was; without a phase 1 both numbers are 0."""

    steps: int
    images: int
    group: Group
    pretraining: str = UNKNOWN


@dataclass(frozen=True)
class LengthCurve:
    """Variants at one fraction that differ in nothing but the steps of their phase 1, rising; two or more lengths.

    `untrained`, where the grid has it, is the same without a phase 1.
    """

    name: str
    fraction: float
    points: tuple[Point, ...]
    untrained: Point | None


def length_curves(analysis: Analysis) -> list[LengthCurve]:
    """Return the curves that the grid holds, if any; by rising fraction."""
    families: dict[tuple[float, str], list[Point]] = {}
    for group in analysis.groups:
        encoder = group.arms[0].content.pretraining
        if encoder and encoder.images is not None and encoder.settings.get("max_steps"):
            called = analysis.ablation.plan.phase_1_of(group.arms[0].content) or UNKNOWN
            point = Point(encoder.settings["max_steps"], encoder.images, group, called)
            families.setdefault((group.fraction, _without_length(analysis, point)), []).append(point)
    curves = []
    for (fraction, _), points in families.items():
        if len({point.steps for point in points}) > 1:
            points.sort(key=lambda point: point.steps)
            names = [point.group.variant for point in points]
            name = commonprefix(names).rstrip("_") or names[0]  # noqa: RUF071 - of names, not of paths
            curves.append(LengthCurve(name, fraction, tuple(points), _untrained(analysis, points[0])))
    return curves


def _without_length(analysis: Analysis, point: Point) -> str:
    encoder = point.group.arms[0].content.pretraining
    assert encoder is not None
    plan = analysis.ablation.plan
    variant = plan.variants[point.group.variant]
    # A setting that an older version did not have counts as its default.
    settings = {**defaults("reconstruction"), **encoder.settings}
    left_out = {*OF_LENGTH, "seed"} if plan.is_paired(point.group.arms[0].content) else OF_LENGTH
    before = {name: value for name, value in settings.items() if name not in left_out}
    return json.dumps([before, variant.settings, variant.baseline], sort_keys=True)


def _untrained(analysis: Analysis, point: Point) -> Point | None:
    """Return what has the same settings without a phase 1; without one there is nothing to transfer."""
    variants = analysis.ablation.plan.variants

    def settings(name: str) -> dict[str, Any]:
        return {key: value for key, value in variants[name].settings.items() if key != "transfer"}

    for group in analysis.at(point.group.fraction):
        variant = variants[group.variant]
        same = settings(group.variant) == settings(point.group.variant)
        if same and not (variant.pretraining or variant.outside_weights):
            return Point(0, 0, group)
    return None


def length_table(curves: Iterable[LengthCurve]) -> Table:
    """Return the scores over the length of phase 1, a row a length."""
    rows = []
    for curve in curves:
        for point in [curve.untrained, *curve.points] if curve.untrained else curve.points:
            group, difference = point.group, point.group.difference
            rows.append(
                [
                    f"{group.labels} ({share(group.fraction)})",
                    group.variant,
                    point.pretraining,
                    f"{point.steps:,}",
                    f"{point.images:,}",
                    str(len(group.seeds)),
                    number(group.val.mean),
                    number(group.test.mean),
                    signed(difference.value if difference else None),
                ]
            )
    columns = ["labels", "variant", "phase 1", "its steps", "pictures seen", "seeds", "Val", "Test", "difference"]
    notes = [
        "Variants that differ in nothing but the steps of their phase 1, each length a training of its own. Pictures "
        "count every time one is drawn. Val and Test: mean IoU, the mean of the seeds; difference: from the baseline."
    ]
    return Table("Pretraining length", columns, rows, ["labels", "variant", "phase 1"], notes)


def save_pretraining_length(path: Path, curves: Iterable[LengthCurve]) -> None:
    """Save mean IoU on Test over the pictures that phase 1 saw; dashed, the same without a phase 1."""
    from matplotlib.figure import Figure

    curves = list(curves)
    figure = Figure(figsize=(6.4, 3.8), layout="constrained", dpi=150)
    axis = figure.subplots()
    several = len({curve.name for curve in curves}) > 1
    for place, curve in enumerate(curves):
        colour = LINE_COLOURS[place % len(LINE_COLOURS)]
        _draw(axis, curve, colour, f"{curve.name}, {share(curve.fraction)}" if several else share(curve.fraction))
    seen = sorted({point.images for curve in curves for point in curve.points})
    axis.set_xscale("log")
    axis.set_xticks(seen, [f"{images:,}" for images in seen], rotation=30, ha="right")
    axis.set_xticks([], minor=True)
    subject = "" if several else f" of {curves[0].name}"
    axis.set(xlabel="pictures that phase 1 saw (logarithmic)", ylabel="mean IoU on Test")
    axis.set_title(f"Length of phase 1{subject}: mean and range of the seeds", fontsize=10)
    axis.grid(axis="y", color="0.92")
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    title = "labels" + "\n(dashed:\nno phase 1)" * any(curve.untrained is not None for curve in curves)
    figure.legend(loc="outside right upper", fontsize=8, title_fontsize=8, frameon=False, title=title)
    save(figure, path)


def _draw(axis: Any, curve: LengthCurve, colour: str, label: str) -> None:
    tests = [point.group.test for point in curve.points]
    means = [test.mean for test in tests]
    bars = [[test.mean - test.low for test in tests], [test.high - test.mean for test in tests]]
    images = [point.images for point in curve.points]
    axis.errorbar(images, means, yerr=bars, color=colour, marker="o", markersize=4, capsize=2, label=label)
    if curve.untrained:
        axis.axhline(curve.untrained.group.test.mean, color=colour, linestyle="--", linewidth=1)

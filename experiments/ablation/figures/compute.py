"""The compute figure of an ablation: scores over all that an arm cost, phase 1 counted whole, beside the budgets."""

import itertools
import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.evaluation import counted
from core.figures.style import LINE_COLOURS, as_written, save
from experiments.ablation.budgets import contests
from experiments.ablation.figures.label_efficiency import spread_out
from experiments.ablation.statistics import Analysis, Group, Spread, spread
from experiments.table_formats import share

DOTS_PER_INCH = 150
PANEL, HEIGHT, LEGEND_ROW = 4.6, 3.9, 0.2  # inches
ACROSS = 3  # panels side by side
# Of families that win no budget: grey, told apart by their markers.
GREY = "#9A9A9A"
MARKERS = (*"osD^vPX*<>d", (4, 1, 0), (3, 1, 0), (6, 1, 0), (3, 1, 180), "p")  # (points, 1, degrees): stars
LONGEST = 62  # characters of a legend's line
# Arms with as many passes would hide one another: each stands so much to the right of the last, or a little less, so
# that all stay within so much.
BESIDE, WITHIN = 1.06, 1.35
MARGIN = 1.3  # beside the first and the last
Style = tuple[str, str | tuple[int, int, int]]  # colour, marker


@dataclass(frozen=True)
class Family:
    """Variants that are one curve; its title is the variant's where it has one alone."""

    title: str
    variants: tuple[str, ...]
    outside_weights: bool


@dataclass(frozen=True)
class Measure:
    """What a row of panels shows of a variant; None where it has none."""

    title: str
    of: Callable[[Group], Spread | None]


def save_compute(path: Path, analysis: Analysis) -> None:
    """Save a panel a fraction: the score on Test over the picture passes of an arm, a curve a family of variants.

    Where pictures hold one foreground class each, as many panels below say of what share the class was told. A point is
    a variant's mean over its seeds, bars reach from the lowest to the highest seed. Families that are best within a
    budget, or the best from scratch, are drawn in colour; those with weights from outside dashed and hollow. Variants
    with as many passes stand a little beside one another. Budgets are vertical lines. The score is mean IoU, of volumes
    the mean Dice of a case. Variants whose passes are not known are left out. Equal results give equal bytes.
    """
    from matplotlib.figure import Figure

    shown = [family for family in families(analysis) if any(_points(analysis, family, f) for f in analysis.fractions)]
    styles = dict(zip([family.title for family in shown], _styles(analysis, shown), strict=True))
    measures = measures_of(analysis)
    panels, columns = len(analysis.fractions), 2 if len(analysis.fractions) > 1 else 1
    across, down = min(panels, ACROSS), -(-panels // ACROSS)
    width = PANEL * max(across, 1.35)
    height = HEIGHT * down * len(measures) + LEGEND_ROW * -(-len(shown) // columns)
    figure = Figure(figsize=(width, height), layout="constrained", dpi=DOTS_PER_INCH)
    rows = figure.subplots(down * len(measures), across, squeeze=False).reshape(len(measures), -1)
    for axes, measure in zip(rows, measures, strict=True):
        _draw_panels([*axes], analysis, measure, shown, styles)
        for axis in axes[:panels:across]:
            axis.set_ylabel(measure.title)
    handles = [_handle(family, styles[family.title]) for family in shown]
    legend = figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, fontsize=8, frameon=False, handlelength=3
    )
    as_written(legend)
    save(figure, path)


def measures_of(analysis: Analysis) -> list[Measure]:
    """Return what is drawn: the score, and of pictures of one foreground class each the share whose class is told."""
    found = [Measure(f"{analysis.measure} on Test", lambda group: group.drawn.test)]
    told = Measure(f"share of {analysis.ablation.called('picture')}s whose class is told", _class_told)
    return [*found, told] if any(_class_told(group) for group in analysis.groups) else found


def _class_told(group: Group) -> Spread | None:
    known = [told for arm in group.arms if (told := arm.one_object.class_accuracy) is not None]  # all, or none
    return spread(known) if known else None


def families(analysis: Analysis) -> list[Family]:
    """Return the families that have an arm, in the plan's order of their first variants."""
    plan = analysis.ablation.plan
    members: dict[str, list[str]] = {}
    for name in analysis.variants:
        members.setdefault(plan.variants[name].family or name, []).append(name)
    return [
        Family(
            plan.variants[names[0]].title if len(names) == 1 else family,
            tuple(names),
            any(plan.variants[name].outside_weights for name in names),
        )
        for family, names in members.items()
    ]


def _points(analysis: Analysis, family: Family, fraction: float) -> list[Group]:
    """Return the groups of a family whose passes are known, by rising passes."""
    groups = [group for name in family.variants if (group := analysis.get(fraction, name)) and group.passes]
    return sorted(groups, key=lambda group: group.passes or 0)


def places_of(groups: Sequence[Group]) -> dict[str, float]:
    """Return where the point of each variant stands: at its passes, or a little beside those of others as many."""
    rising = sorted(groups, key=lambda group: group.passes or 0)  # those as many as in the legend
    each = min(BESIDE, WITHIN ** (1 / max(len(rising), 1)))
    places = spread_out([math.log(group.passes or 1) for group in rising], math.log(each))
    return {group.variant: math.exp(place) for group, place in zip(rising, places, strict=True)}


def _styles(analysis: Analysis, shown: Sequence[Family]) -> Iterable[Style]:
    """Return colour and marker of each family: a colour for those that the verdicts speak of, as far as they go."""
    told = [group for contest in contests(analysis) for group in (contest.baseline, contest.best) if group]
    names = dict.fromkeys(group.variant for group in told)
    winners = [family for family in shown if not names.keys().isdisjoint(family.variants)]
    colours = dict(zip([family.title for family in winners], LINE_COLOURS, strict=False))
    markers = itertools.cycle(MARKERS)
    return [(colours.get(family.title, GREY), next(markers)) for family in shown]


def _draw_panels(
    axes: Sequence[Any], analysis: Analysis, measure: Measure, shown: Sequence[Family], styles: Mapping[str, Style]
) -> None:
    for axis in axes[len(analysis.fractions) :]:
        axis.set_axis_off()
    for axis, fraction in zip(axes, analysis.fractions, strict=False):
        points = [_points(analysis, family, fraction) for family in shown]
        places = places_of([group for groups in points for group in groups])
        # Colours lie on top.
        for family, groups in sorted(zip(shown, points, strict=True), key=lambda one: styles[one[0].title][0] != GREY):
            _draw(axis, measure, groups, places, _look(styles[family.title], family.outside_weights))
        _finish(axis, analysis, fraction)


def _draw(
    axis: Any, measure: Measure, groups: Sequence[Group], places: Mapping[str, float], look: Mapping[str, Any]
) -> None:
    known = [(places[group.variant], found) for group in groups if (found := measure.of(group))]
    if not known:
        return
    means = [found.mean for _, found in known]
    bars = [[found.mean - found.low for _, found in known], [found.high - found.mean for _, found in known]]
    axis.errorbar([place for place, _ in known], means, yerr=bars, elinewidth=0.8, **look)


def _look(style: Style, outside: bool) -> Mapping[str, Any]:
    colour, marker = style
    return {
        "color": colour,
        "marker": marker,
        "markersize": 5,
        "linewidth": 1 if colour == GREY else 1.8,
        "linestyle": "--" if outside else "-",
        "markerfacecolor": "white" if outside else colour,
        "zorder": 2 if colour == GREY else 3,
    }


def _handle(family: Family, style: Style) -> Any:
    from matplotlib.lines import Line2D

    title = family.title + " (outside weights)" * family.outside_weights
    # A leading _ would hide it.
    label = textwrap.fill(title, LONGEST, initial_indent=" ", subsequent_indent=" ", break_on_hyphens=False)
    return Line2D([], [], label=label, **_look(style, family.outside_weights))


def _finish(axis: Any, analysis: Analysis, fraction: float) -> None:
    for budget in analysis.ablation.plan.budgets:
        axis.axvline(budget, color="0.65", linewidth=0.5, zorder=1)
    passes = [group.passes for group in analysis.groups if group.passes]
    ends = [*passes, *analysis.ablation.plan.budgets]
    axis.set_xscale("log")
    axis.set_xlim(min(ends) / MARGIN, max(ends) * MARGIN)
    axis.set_xticks(analysis.ablation.plan.budgets, [_short(budget) for budget in analysis.ablation.plan.budgets])
    axis.set_xticks([], minor=True)
    axis.set_xlabel("picture passes, phase 1 whole (logarithmic), beside the budgets", fontsize=9)
    axis.tick_params(axis="x", labelsize=8)
    labels = counted(analysis.labels(fraction), f"labelled {analysis.ablation.called('picture')}")
    axis.set_title(f"{labels} ({share(fraction)})", fontsize=11)
    axis.grid(axis="y", color="0.92")
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def _short(number: int) -> str:
    """Return a number of passes for a tick: 48k, 1.2M."""
    for size, sign in ((1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:g}{sign}"
    return str(number)

"""The figure of an ablation with one number of labels: a row a variant instead of a curve."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.ablation.statistics import Analysis, Group, Spread

LONGEST = 34  # characters of a title's line
ROW, AROUND = 0.42, 1.5  # inches of height: of a row, and of heads and axes


def height_of(analysis: Analysis) -> float:
    """Return the inches of height that a figure needs."""
    return AROUND + ROW * len(analysis.groups)


def draw_rows(axis: Any, analysis: Analysis, styles: Mapping[str, tuple[str, str]]) -> None:
    """Draw each variant's mean over the seeds and their range, named by its title; the first in the plan on top."""
    groups = analysis.groups
    for place, group in enumerate(groups):
        spread: Spread = group.drawn.test
        _draw_bar(axis, place, spread.mean, (spread.low, spread.high), styles[group.variant])
    plan = analysis.ablation.plan
    titles = [textwrap.fill(plan.variants[group.variant].title, LONGEST, break_on_hyphens=False) for group in groups]
    axis.set_yticks(range(len(groups)), titles, fontsize=8)
    _frame(axis, groups)


def draw_differences(axis: Any, analysis: Analysis, shown: Sequence[Group], styles: Mapping[str, Any]) -> None:
    """Draw the differences of some groups in the rows of `draw_rows`, with their intervals."""
    axis.axvline(0, color="black", linewidth=1)
    for place, group in enumerate(analysis.groups):
        difference = group.drawn.difference
        if group in shown and difference and difference.value is not None and difference.interval:
            _draw_bar(axis, place, difference.value, difference.interval, styles[group.variant])
    axis.set_yticks(range(len(analysis.groups)), [""] * len(analysis.groups))
    _frame(axis, analysis.groups)


def _draw_bar(axis: Any, place: int, value: float, limits: tuple[float, float], style: tuple[str, str]) -> None:
    colour, marker = style
    bars = [[value - limits[0]], [limits[1] - value]]
    axis.errorbar([value], [place], xerr=bars, color=colour, marker=marker, markersize=5, elinewidth=1.5, capsize=2.5)


def _frame(axis: Any, groups: Sequence[Group]) -> None:
    axis.set_ylim(len(groups) - 0.5, -0.5)
    axis.grid(axis="x", color="0.92")
    axis.tick_params(axis="x", labelsize=8)

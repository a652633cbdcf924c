"""The first screen of an advice's page: what to do, and the ways beside each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from experiments.page.tables import Cell, PageTable, number, score, text


@dataclass(frozen=True)
class AdviceScreen:
    """What to do, what is said besides, what to mind, and the table of the ways that were tried."""

    title: str
    action: str
    lines: list[str]
    notes: list[str]
    table: PageTable


def advice_screen(content: Mapping[str, Any]) -> AdviceScreen:
    """Return the first screen of an advice.json."""
    *lines, action = content["says"]
    rows = [_row(arm, name == content["best"]) for name, arm in content["arms"].items()]
    heads = ["way", content["score_title"], "beside scratch", "weighed", "folds"]
    kind = f"{content['folds']} folds of {content['masks']} masks, each held out once; {content['labels']:.0f} masks"
    scores = (
        "Scores are of all held-out pictures together, and the intervals of the first two columns hold together, each "
        "column's with 95 %."
    )
    weighed = "Weighed: with what the way brought on public data sets, which is what the advice goes by."
    table = PageTable(heads, rows, f"{kind} to learn from. {scores} {weighed}")
    title = f"Advice for {content['masks']} pictures with masks and {content['unlabelled']} without"
    return AdviceScreen(title, action, lines, [*content["left_out"], *content["warnings"]], table)


def _row(arm: Mapping[str, Any], is_best: bool) -> list[Cell]:
    folds = ", ".join("–" if value is None else number(value) for value in arm["folds"])
    title = f"{arm['title'][0].upper()}{arm['title'][1:]}" + (" (outside weights)" if arm["outside_weights"] else "")
    return [
        Cell(title, title.lower(), strong=is_best),
        _estimate(arm["score"]),
        _estimate(arm["difference"], signed=True),
        _estimate(arm["weighed"], signed=True),
        text(folds),
    ]


def _estimate(value: Mapping[str, float | None] | None, signed: bool = False) -> Cell:
    if value is None:
        return Cell("–")
    limits = [limit for limit in (value["low"], value["high"]) if limit is not None]
    return score(value["value"], interval=limits or None, signed=signed)

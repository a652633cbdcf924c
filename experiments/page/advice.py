"""The first screen of an advice's page: what to do, and the ways beside each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from experiments.page.tables import Cell, PageTable, label, number, score, text


@dataclass(frozen=True)
class AdviceScreen:
    """What is said, the last line first: what to do; the table of the ways that were tried."""

    action: str
    lines: list[str]
    table: PageTable


def advice_screen(content: Mapping[str, Any]) -> AdviceScreen:
    """Return the first screen of an advice.json."""
    *lines, action = content["says"]
    rows = [_row(arm, name == content["best"]) for name, arm in content["arms"].items()]
    heads = ["way", label(content["score"]), "beside scratch", "folds"]
    kind = f"{content['folds']} folds of {content['masks']} masks, each held out once; {content['labels']:.0f} masks"
    table = PageTable(heads, rows, f"{kind} to learn from. All intervals together hold with 95 %.")
    lines += [f"Note: {line}" for line in [*content["left_out"], *content["warnings"]]]
    return AdviceScreen(action, lines, table)


def _row(arm: Mapping[str, Any], is_best: bool) -> list[Cell]:
    folds = ", ".join("–" if value is None else number(value) for value in arm["folds"])
    name = text(arm["title"])
    return [
        Cell(name.text, name.sort, note="outside weights" if arm["outside_weights"] else "", strong=is_best),
        _estimate(arm["score"]),
        _estimate(arm["difference"], signed=True),
        text(folds),
    ]


def _estimate(value: Mapping[str, float | None] | None, signed: bool = False) -> Cell:
    if value is None:
        return Cell("–")
    limits = [limit for limit in (value["low"], value["high"]) if limit is not None]
    return score(value["value"], interval=limits or None, signed=signed)

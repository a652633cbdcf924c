"""The public results on the same question beside ours, and the original's own two tables."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from experiments.ablation.statistics import Analysis, Group
from experiments.ablation.table_formats import UNKNOWN, Table, share, signed

FILE = Path(__file__).with_name("public_results.json")


@cache
def public_results() -> dict[str, Any]:
    """Return the content of `public_results.json`: five projects, best scores from scratch, the original's tables."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def public_tables(analysis: Analysis) -> list[Table]:
    """Return the comparison with the five public results, and the original's own two tables."""
    return [_comparison(analysis), _original()]


def _comparison(analysis: Analysis) -> Table:
    known = public_results()
    rows = [
        [
            result["project"] or "(no name known)",
            _score(result["scratch"]),
            _score(result["pretrained"]),
            f"{result['difference']:+.2f}".replace("-", "−"),
            result["split"] or UNKNOWN,
            str(result["resolution"] or UNKNOWN),
            result["borders"] or UNKNOWN,
            result["remark"],
        ]
        for result in known["results"]
    ]
    ours = _ours(analysis)
    best = [f"{entry['score']:.2f} on {entry['split']} ({entry['remark']})" for entry in known["best_scratch"]]
    places = [result["address"] for result in known["results"] if result["address"]]
    notes = [
        *known["comparable"],
        known["reported"],
        f"Best known from scratch: {'; '.join(best)}.",
        f"Where: {', '.join(places)}.",
    ]
    columns = ["project", "scratch", "pretrained", "difference", "split", "px", "borders", "remark"]
    title = "The public results on the same question"
    bold = frozenset(range(len(rows), len(rows) + len(ours)))
    return Table(title, columns, [*rows, *ours], ["project", "split", "borders", "remark"], notes, bold)


def _ours(analysis: Analysis) -> list[list[str]]:
    fraction = analysis.fractions[-1]
    best, baseline = analysis.best(fraction), analysis.get(fraction, analysis.ablation.plan.baseline)
    if not best or not baseline:
        return []
    return [_our_row(analysis, best, baseline)]


def _our_row(analysis: Analysis, best: Group, baseline: Group) -> list[str]:
    difference = best.difference
    assert difference is not None
    limits = f", {signed(difference.interval[0])} to {signed(difference.interval[1])}" if difference.interval else ""
    images = len(analysis.ablation.image_names)
    return [
        "this project",
        _score(baseline.test.mean),
        _score(best.test.mean),
        signed(difference.value),
        "Test",
        str(analysis.ablation.resolution),
        "not scored",
        f"{best.variant}{limits}; {baseline.num_labels} labels ({share(best.fraction)}), {len(best.seeds)} seeds, "
        f"{images} test images",
    ]


def _score(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.4f}"  # as the projects print theirs


def _original() -> Table:
    original = public_results()["original"]
    rows = [
        [
            entry["table"],
            _score(entry["scratch"]),
            _score(entry["pretrained"]),
            signed(entry["pretrained"] - entry["scratch"]),
        ]
        for entry in original["tables"]
    ]
    columns = ["table", "scratch", "pretrained", "difference"]
    return Table("The original's own two tables", columns, rows, ["table"], [original["remark"]])

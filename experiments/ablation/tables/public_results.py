"""The public results on the same question beside ours, and the original's own two tables."""

from functools import cache
from pathlib import Path
from typing import Any

from core.evaluation import counted
from core.filing.json_file import read_json
from experiments.ablation.differences import VariantDifference
from experiments.ablation.statistics import Analysis, Group
from experiments.evaluations import in_pixels
from experiments.table_formats import UNKNOWN, Table, share, signed

# With fewer seeds no result of ours is claimed beside the public ones.
ENOUGH_SEEDS = 3
OURS = "this project"

FILE = Path(__file__).with_name("public_results.json")


@cache
def public_results() -> dict[str, Any]:
    """Return the content of `public_results.json`: five projects, best scores from scratch, the original's tables."""
    return read_json(FILE)


def public_tables(analysis: Analysis) -> list[Table]:
    """Return the comparison with the five public results, and the original's own two tables; none on other classes."""
    if list(analysis.ablation.class_set.names) != public_results()["classes"]:
        return []
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
    claimed = [len(rows) + place for place, row in enumerate(ours) if row[0] == OURS]
    return Table(title, columns, [*rows, *ours], ["project", "split", "borders", "remark"], notes, frozenset(claimed))


def _ours(analysis: Analysis) -> list[list[str]]:
    fraction = analysis.fractions[-1]
    best = analysis.best(fraction)
    if not best or not best.difference or not best.difference.means:
        return []
    return [_our_row(analysis, best, best.difference)]


def _our_row(analysis: Analysis, best: Group, difference: VariantDifference) -> list[str]:
    """Return our row, over the seeds that both have; where they are too few it says so in place of an interval."""
    assert difference.means is not None
    baseline, variant = difference.means
    seeds = len(difference.seeds)
    few = "one seed" if seeds == 1 else counted(seeds, "seed")
    enough = seeds >= ENOUGH_SEEDS
    limits = difference.interval if enough else None
    parts = [
        best.variant + (f", {signed(limits[0])} to {signed(limits[1])}" if limits else ""),
        f"{best.num_labels} labels ({share(best.fraction)}), {few}, {len(analysis.ablation.image_names)} test images",
        *([] if enough else [f"{few}: no result yet"]),
    ]
    return [
        OURS if enough else f"{OURS} ({few})",
        _score(baseline),
        _score(variant),
        signed(difference.value),
        "Test",
        in_pixels(analysis.ablation.resolution),
        "not scored",
        "; ".join(parts),
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

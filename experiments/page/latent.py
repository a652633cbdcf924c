"""What a report says of the latent space."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from experiments.page.tables import Cell, PageTable, is_number, score, text
from experiments.runs import Run

PROBES = {"linear_probe": "linear probe", "knn": "nearest neighbours", "silhouette": "silhouette"}


def latent_table(run: Run) -> PageTable | None:
    """Return what probes of the bottleneck find, beside a random encoder and the most frequent class."""
    space = run.evaluation.latent_space if run.evaluation else None
    if space is None:
        return None
    rows = []
    for what, found in _groups(space).items():
        for probe, name in PROBES.items():
            cells = [_probe(found.get(encoder), probe) for encoder in ("trained", "random")]
            chance = None if probe == "silhouette" else found.get("chance")
            rows.append([text(f"{what}, {name}"), *cells, score(chance)])
    caption = "Accuracy in cross-validation, below it the deviation over folds; silhouette: 1 apart, 0 mixed."
    return PageTable(("bottleneck", "trained encoder", "random encoder", "most frequent class"), rows, caption)


def _groups(space: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what groups the pictures -> what was found of it; once the tags stood beside the numbers."""
    if "tags" in space:
        strata = {"rarest class": space["strata"]} if space.get("strata") else {}
        return {**space["tags"], **strata}
    return {
        what: found or {}
        for what, found in space.items()
        if found is None or (isinstance(found, dict) and "trained" in found)
    }


def _probe(found: Any, probe: str) -> Cell:
    value = (found or {}).get(probe)
    if not isinstance(value, dict):
        return score(value)
    cell = score(value.get("mean"))
    deviation = value.get("deviation")
    return replace(cell, note=f"± {deviation:.3f}") if is_number(deviation) else cell

"""What a report says of the latent space."""

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
    for what, found in space.items():
        if not (found is None or (isinstance(found, dict) and "trained" in found)):
            continue
        found = found or {}
        for probe, name in PROBES.items():
            cells = [_probe(found.get(encoder), probe) for encoder in ("trained", "random")]
            chance = None if probe == "silhouette" else found.get("chance")
            rows.append([text(f"{what}, {name}"), *cells, score(chance)])
    caption = "Accuracy in cross-validation, below it the deviation over folds; silhouette: 1 apart, 0 mixed."
    return PageTable(("bottleneck", "trained encoder", "random encoder", "most frequent class"), rows, caption)


def _probe(found: Any, probe: str) -> Cell:
    value = (found or {}).get(probe)
    if not isinstance(value, dict):
        return score(value)
    cell = score(value.get("mean"))
    deviation = value.get("deviation")
    return replace(cell, note=f"± {deviation:.3f}") if is_number(deviation) else cell

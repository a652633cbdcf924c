"""The analysis of the latent space: trained beside random encoder, as numbers, a table and figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from core.evaluation import figure, print_table
from core.files import write_json
from data.split import Split
from reconstruction.latent.figures import few, save_panels, save_scatter
from reconstruction.latent.groups import STRATA, Grouping, groupings
from reconstruction.latent.space import (
    NEIGHBOURS,
    SEED,
    Projection,
    features_of_split,
    project,
    random_twin,
    separability,
)

OF_ENCODER = ("linear_probe", "knn", "silhouette")


def analyse(
    model: nn.Module, architecture: dict[str, Any], split: Split, folder: Path, batch_size: int, device: torch.device
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Analyse the bottleneck's features of a split; write latent_space.json and figures, print a table.

    Args:
        model: trained, in eval mode.
        architecture: its arguments, for the random encoder beside it.
        split: whose pictures are looked at.
        folder: the evaluation's output folder.
        batch_size: pictures at a time.
        device: where the network is.

    Returns:
        The content of latent_space.json, and the figures' entries.
    """
    encoders = {"trained": model, "random": random_twin(architecture, device, type(model))}
    features = {name: features_of_split(encoder, split, batch_size, device, name) for name, encoder in encoders.items()}
    print("PCA, t-SNE and probes ...")
    projections = {name: project(of_encoder) for name, of_encoder in features.items()}
    tags, strata, notes = groupings(split)
    result = {
        "num_images": len(split.names),
        "channels": features["trained"].shape[1],
        "random_seed": SEED,
        "neighbours": NEIGHBOURS,
        "explained_variance": {name: _explained(projection) for name, projection in projections.items()},
        "tags": {tag.title: compare(features, tag.labels) for tag in tags},
        "strata": compare(features, strata.labels) if strata else None,
    }
    write_json(folder / "latent_space.json", result)
    for note in notes:
        print(f"note: latent space: {note}")
    _print(result)
    return result, _draw(projections, split, [*tags, *([strata] if strata else [])], folder)


def compare(features: dict[str, np.ndarray], labels: Sequence[str | None]) -> dict[str, Any]:
    """Return `separability` of one kind of label: what both encoders share, and each one's scores below its name."""
    found = {name: separability(of_encoder, labels) for name, of_encoder in features.items()}
    shared = {key: value for key, value in found["trained"].items() if key not in OF_ENCODER}
    return {**shared, **{name: {key: of_encoder[key] for key in OF_ENCODER} for name, of_encoder in found.items()}}


def _explained(projection: Projection) -> dict[str, float | None]:
    variance = projection.variance
    return {f"first_{count}": float(variance[:count].sum()) if len(variance) else None for count in (2, 10)}


def _print(result: dict[str, Any]) -> None:
    rows = []
    strata = {STRATA: result["strata"]} if result["strata"] else {}
    for title, found in [*result["tags"].items(), *strata.items()]:
        for score in OF_ENCODER:
            of_both = [found[name][score] for name in ("trained", "random")]
            means = [value["mean"] if isinstance(value, dict) else value for value in of_both]
            chance = found["chance"] if score != "silhouette" else None
            rows.append([f"{title}, {score.replace('_', ' ')}", *means, chance])
        if found["note"]:
            print(f"note: latent space by {title}: {found['note']}")
    if rows:
        print_table("Latent space", ["accuracy or silhouette", "trained", "random", "chance"], rows)
    else:
        print("note: latent space: nothing is known that would group the pictures, so there is nothing to tell apart")


def _draw(
    projections: dict[str, Projection], split: Split, groups: Sequence[Grouping], folder: Path
) -> list[dict[str, str]]:
    titles = {f"{name} encoder": projection for name, projection in projections.items()}
    caption = (
        f"Bottleneck features of every picture of {split.name}, averaged over content, {{}}. Left the trained, right a "
        "random encoder; above PCA, below t-SNE, whose distances between clusters mean nothing."
    )
    entries = []
    for group in groups:
        if few(group.labels):
            file = f"figures/latent_{group.stem}.png"
            save_scatter(folder / file, titles, group.labels)
            said = caption.format(f"coloured by {group.title}")
            entries.append(figure(file, f"Latent space by {group.title}", said))
        else:
            entries += _draw_panels(projections, split, group, folder)
    if not any(few(group.labels) for group in groups):
        save_scatter(folder / "figures" / "latent.png", titles, [None] * len(split.names))
        said = caption.format("grey, since they are in too many groups for colours" if groups else "in no known groups")
        entries.insert(0, figure("figures/latent.png", "Latent space", said))
    return entries


def _draw_panels(
    projections: dict[str, Projection], split: Split, group: Grouping, folder: Path
) -> list[dict[str, str]]:
    entries = []
    for name, projection in projections.items():
        for view, points in (("PCA", projection.pca), ("t-SNE", projection.tsne)):
            if points is None:
                continue
            file = f"figures/latent_{group.stem}_{view.replace('-', '').lower()}_{name}.png"
            title = f"Latent space by {group.title}: {view}, {name} encoder"
            save_panels(folder / file, title, points, group.labels, split.strata)
            entries.append(
                figure(file, title, f"A panel a {group.title}: its pictures in colour over all others in grey.")
            )
    return entries

"""The analysis of the latent space: trained beside random encoder, as numbers, a table and figures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.evaluation import figure, print_table
from core.files import write_json
from data.split import Split
from reconstruction.latent.figures import save_breeds, save_species
from reconstruction.latent.space import (
    NEIGHBOURS,
    SEED,
    Projection,
    features_of_split,
    project,
    random_twin,
    separability,
)
from reconstruction.network import Autoencoder

OF_ENCODER = ("linear_probe", "knn", "silhouette")


def analyse(
    model: Autoencoder, architecture: dict[str, Any], split: Split, folder: Path, batch_size: int, device: torch.device
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
    encoders = {"trained": model, "random": random_twin(architecture, device)}
    features = {name: features_of_split(encoder, split, batch_size, device, name) for name, encoder in encoders.items()}
    print("PCA, t-SNE and probes ...")
    projections = {name: project(of_encoder) for name, of_encoder in features.items()}
    result = {
        "num_images": len(split.names),
        "channels": features["trained"].shape[1],
        "random_seed": SEED,
        "neighbours": NEIGHBOURS,
        "explained_variance": {name: _explained(projection) for name, projection in projections.items()},
        "species": compare(features, split.species),
        "breed": compare(features, split.breeds),
    }
    write_json(folder / "latent_space.json", result)
    _print(result)
    return result, _draw(projections, split, folder)


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
    for kind in ("species", "breed"):
        of_kind = result[kind]
        for score in OF_ENCODER:
            of_both = [of_kind[name][score] for name in ("trained", "random")]
            means = [value["mean"] if isinstance(value, dict) else value for value in of_both]
            chance = of_kind["chance"] if score != "silhouette" else None
            rows.append([f"{kind}, {score.replace('_', ' ')}", *means, chance])
        if of_kind["note"]:
            print(f"note: latent space by {kind}: {of_kind['note']}")
    print_table("Latent space", ["accuracy or silhouette", "trained", "random", "chance"], rows)


def _draw(projections: dict[str, Projection], split: Split, folder: Path) -> list[dict[str, str]]:
    titles = {f"{name} encoder": projection for name, projection in projections.items()}
    save_species(folder / "figures" / "latent_species.png", titles, split.species)
    coloured = "coloured by species" if any(split.species) else "grey, since no picture's species is known"
    caption = (
        f"Bottleneck features of every picture of {split.name}, averaged over content, {coloured}. Left the trained, "
        "right a random encoder; above PCA, below t-SNE, whose distances between clusters mean nothing."
    )
    entries = [figure("figures/latent_species.png", "Latent space by species", caption)]
    if not any(split.breeds):
        return entries
    for name, projection in projections.items():
        for view, points in (("PCA", projection.pca), ("t-SNE", projection.tsne)):
            if points is None:
                continue
            file = f"figures/latent_breeds_{view.replace('-', '').lower()}_{name}.png"
            title = f"Latent space by breed: {view}, {name} encoder"
            save_breeds(folder / file, title, points, split.breeds, split.species)
            entries.append(figure(file, title, "A panel a breed: its pictures in colour over all others in grey."))
    return entries

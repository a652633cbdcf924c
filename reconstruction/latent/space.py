"""What the bottleneck of an autoencoder knows of its pictures: one vector a picture, and numbers that judge it.

A linear probe (Alain & Bengio 2017), nearest neighbours and the silhouette (Rousseeuw 1987) ask whether the vectors
tell groups of pictures apart (by a tag, by a class), none of which the encoder was ever told. The same is asked of a
random encoder, since random convolutions tell a good deal apart already: only what the trained one adds was learned.
"""

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from core.machine.device import for_inference
from core.networks.unet import initialise
from core.terminal.progress import track
from data.loading import plain_batches
from data.split import Split
from reconstruction.network import Autoencoder

SEED = 0
FOLDS = 5
NEIGHBOURS = 20
PERPLEXITY = 30.0
TSNE_INPUTS = 50
# t-SNE needs a few neighbours for each point.
FEWEST = 5
# The silhouette compares every picture with every other: beyond so many, a fixed draw of them stands for all.
SILHOUETTE_PICTURES = 5000


@dataclass(frozen=True)
class Projection:
    """Features [N, C] seen from two sides.

    Attributes:
        pca: [N, 2] the first two principal components of the standardised features; None where nothing varies.
        variance: [K] share of the variance that each component explains, largest first; empty likewise.
        tsne: [N, 2] t-SNE; None for too few pictures or where nothing varies.
    """

    pca: np.ndarray | None
    variance: np.ndarray
    tsne: np.ndarray | None


def random_twin(
    architecture: dict[str, Any], device: torch.device, network: type[nn.Module] = Autoencoder
) -> nn.Module:
    """Return an untrained network of the same architecture, its weights those of a fixed seed, in eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        twin = network(**architecture)
        initialise(twin)
    return for_inference(twin, device)


def pooled_bottleneck(model: nn.Module, images: Tensor, content: Tensor) -> Tensor:
    """Return the mean over content positions of the encoder's last stage, [N, C] float32.

    Args:
        model: of phase 1, in eval mode.
        images: [N, C, H, W] in [0, 1].
        content: [N, 1, H, W] bool; a position counts by the share of its area that is content.
    """
    normalise, encoder = model.get_submodule("normalise"), model.get_submodule("encoder")
    features = encoder(normalise(images, content))[-1].float()
    weight = F.interpolate(content.float(), size=features.shape[-2:], mode="area")
    return (features * weight).sum((2, 3)) / weight.sum((2, 3))


def features_of_split(model: nn.Module, split: Split, batch_size: int, device: torch.device, what: str) -> np.ndarray:
    """Return `pooled_bottleneck` of every picture, [N, C] float32; `what` names the encoder beside the progress bar."""
    everything = np.arange(len(split.names))
    batches = plain_batches(split, everything, batch_size, device)
    parts = []
    with torch.inference_mode():
        for _, batch in track(batches, f"{what} encoder on {split.name}", -(-len(everything) // batch_size)):
            parts.append(pooled_bottleneck(model, batch.input, batch.content).cpu())
    return torch.cat(parts).numpy()


def project(features: np.ndarray) -> Projection:
    """Project features [N, C] by PCA and by t-SNE (van der Maaten & Hinton 2008), each channel standardised first.

    t-SNE sees the first 50 components, begins with the first two, and takes a perplexity of 30, less for few pictures.
    """
    standard = StandardScaler().fit_transform(features.astype(np.float64))
    if len(standard) < 3 or not standard.any():
        return Projection(None, np.empty(0), None)
    pca = PCA(min(TSNE_INPUTS, len(standard) - 1, standard.shape[1]), svd_solver="full")
    components = pca.fit_transform(standard)
    components = np.pad(components, ((0, 0), (0, max(0, 2 - components.shape[1]))))
    points = None
    if len(standard) >= FEWEST:
        perplexity = min(PERPLEXITY, (len(standard) - 1) / 3)
        points = TSNE(perplexity=perplexity, init="pca", random_state=SEED).fit_transform(components)
    return Projection(components[:, :2], pca.explained_variance_ratio_, points)


def separability(features: np.ndarray, labels: Sequence[str | None]) -> dict[str, Any]:
    """Say how well features [N, C] tell labels apart, None where a picture has no label.

    Returns:
        `linear_probe` (logistic regression) and `knn` (20 nearest by cosine, weighted by the inverse distance): each
        the accuracy's `mean` and standard `deviation` over the same stratified folds, on features standardised by the
        training folds. `silhouette` in [-1, 1], Euclidean, likewise standardised. `chance`: the share of the most
        frequent label. `images`, `classes` and `folds`: what that rests on. `note`: why something is None or pictures
        were left out, or None.
    """
    chosen, note = _usable(labels)
    classes = Counter(labels[index] for index in chosen)
    result = {
        **dict.fromkeys(("linear_probe", "knn", "silhouette")),
        "chance": max(classes.values()) / len(chosen) if len(chosen) else None,
        **{"images": len(chosen), "classes": len(classes), "folds": None, "note": note},
    }
    if len(classes) < 2:
        return {**result, "note": note or "a single class: there is nothing to tell apart"}
    features, wanted = features[chosen].astype(np.float64), np.array([labels[index] for index in chosen])
    folds = StratifiedKFold(min(FOLDS, *classes.values()), shuffle=True, random_state=SEED)
    training = len(chosen) - -(-len(chosen) // folds.n_splits)
    # Nearer ones count more, so that few pictures of a label are not outvoted by many far ones.
    neighbours = KNeighborsClassifier(min(NEIGHBOURS, training), metric="cosine", weights="distance")
    return {
        **result,
        "linear_probe": _accuracy(LogisticRegression(max_iter=1000), features, wanted, folds),
        "knn": _accuracy(neighbours, features, wanted, folds),
        "silhouette": _silhouette(features, wanted),
        "folds": folds.n_splits,
    }


def _usable(labels: Sequence[str | None]) -> tuple[np.ndarray, str | None]:
    """Return the pictures whose label at least one other has, and a note where some are left out."""
    counts = Counter(label for label in labels if label is not None)
    if not counts:
        return np.empty(0, np.int64), "no picture's label is known"
    shared = {label for label, count in counts.items() if count > 1}
    chosen = np.array([index for index, label in enumerate(labels) if label in shared], np.int64)
    unknown, single = sum(label is None for label in labels), sum(count == 1 for count in counts.values())
    reasons = [f"{unknown} without a known label"] * bool(unknown) + [f"{single} alone in a class"] * bool(single)
    return chosen, f"left out: {', '.join(reasons)}" if reasons else None


def _accuracy(classifier: Any, features: np.ndarray, wanted: np.ndarray, folds: StratifiedKFold) -> dict[str, float]:
    with warnings.catch_warnings():
        # A probe that is not quite at its optimum after 1,000 iterations is as good a probe.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = cross_val_score(make_pipeline(StandardScaler(), classifier), features, wanted, cv=folds)
    return {"mean": float(found.mean()), "deviation": float(found.std())}


def _silhouette(features: np.ndarray, wanted: np.ndarray) -> float | None:
    standard = StandardScaler().fit_transform(features)
    if not standard.any() or len(set(wanted)) >= len(wanted):
        return None
    size = SILHOUETTE_PICTURES if len(wanted) > SILHOUETTE_PICTURES else None
    return float(silhouette_score(standard, wanted, sample_size=size, random_state=SEED))

"""The weights that look at the pictures, of either phase, and what they see there."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from core.errors import UserError
from core.headers.header import Header, read_header
from core.terminal.progress import track
from data.loading import plain_batches
from data.split import Split
from experiments.suggestion.uncertain import Predicted
from transfer_learning.inference.backends import Network


@dataclass(frozen=True)
class Weights:
    """A trained network that looks at pictures.

    Args:
        path: where it comes from.
        header: what it says of itself.
        device: where it computes.
        model: of phase 1 or 2, in eval mode.
        network: of phase 2, computes the scores; None for phase 1.
    """

    path: Path
    header: Header
    device: torch.device
    model: nn.Module
    network: Network | None


def load(path: Path, split: Split, device: str) -> Weights:
    """Load weights of either phase that fit the pictures.

    Raises:
        UserError: unreadable, of volumes, of other classes or channels, or of pictures prepared otherwise.
    """
    if path.suffix != ".safetensors":
        raise UserError(f"{path}: weights of a training run are needed, its best_model.safetensors")
    header = read_header(path)
    if header.network.dims == 3:
        raise UserError(f"{path} was trained on volumes, {split.data_dir} holds pictures: give weights of pictures")
    return (_of_phase_2 if header.phase == "transfer_learning" else _of_phase_1)(path, header, split, device)


def _of_phase_1(path: Path, header: Header, split: Split, device: str) -> Weights:
    from core.evaluation import load_model
    from core.machine.device import resolve_device
    from core.networks.unet import require_channels
    from reconstruction.distillation.network import network_of

    here = resolve_device(device)
    model, _ = load_model(path, "reconstruction", network_of(header), here)
    require_channels(path, header.network.in_channels, split.channels)
    return Weights(path, header, here, model, None)


def _of_phase_2(path: Path, header: Header, split: Split, device: str) -> Weights:
    from transfer_learning.inference.backends import load_network
    from transfer_learning.inference.fitting import classes_of, difference
    from transfer_learning.inference.options import ReadoutOptions

    theirs, ours = header.classes.names, split.class_set.names
    if problem := difference(str(path), theirs, f"{split.data_dir} holds", ours):
        raise UserError(f"{problem}: give weights that were trained for these classes, or weights of phase 1")
    classes_of(header, split, path, None)
    loaded = load_network(path, ReadoutOptions(), device)
    assert loaded.model is not None, "weights of our own are of torch"
    return Weights(path, header, loaded.network.device, loaded.model, loaded.network)


def features_of(weights: Weights, split: Split, batch_size: int) -> np.ndarray:
    """Return what the encoder makes of every picture of a split, [N, C] float32: the mean over its content."""
    from reconstruction.latent.space import features_of_split

    return features_of_split(weights.model, split, batch_size, weights.device, "the")


def predicted_of(
    network: Network, split: Split, indices: Sequence[int], batch_size: int, what: str = "predicting"
) -> Predicted:
    """Return what a network of phase 2 predicts in pictures of a split, over their content at the prepared size."""
    everything = np.array(indices, np.int64)
    shares, entropies = [], []
    batches = plain_batches(split, everything, batch_size, network.device)
    with torch.inference_mode():
        for _, batch in track(batches, what, -(-len(everything) // batch_size)):
            scores = network.scores(batch.input, batch.content).float().log_softmax(1)
            found = measured(scores, batch.content)
            shares.append(found[0].cpu())
            entropies.append(found[1].cpu())
    return Predicted(everything, torch.cat(shares).numpy(), torch.cat(entropies).numpy())


def measured(log_probabilities: torch.Tensor, content: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return for each class which share of a picture is predicted as it, and the mean entropy there.

    Args:
        log_probabilities: [N, C, H, W].
        content: [N, 1, H, W] bool; what is none has no say.

    Returns:
        [N, C] shares, which sum to 1, and [N, C] entropies as shares of log C, 0 where no pixel is.
    """
    classes = log_probabilities.shape[1]
    entropy = -(log_probabilities.exp() * log_probabilities).sum(1, keepdim=True) / np.log(classes)
    chosen = log_probabilities.argmax(1, keepdim=True)
    areas, sums = [], []
    for number in range(classes):  # one at a time: a mask of all classes at once takes as much as the scores
        here = (chosen == number) & content
        areas.append(here.sum((1, 2, 3)))
        sums.append((entropy * here).sum((1, 2, 3)))
    area = torch.stack(areas, 1).float()
    return area / area.sum(1, keepdim=True), torch.stack(sums, 1) / area.clamp(min=1)


def labels_of(network: Network, split: Split, indices: Sequence[int], batch_size: int) -> list[np.ndarray]:
    """Return the predicted classes [h, w] uint8 of pictures, on their content at the prepared size."""
    found = []
    with torch.inference_mode():
        for chosen, batch in plain_batches(split, np.array(indices, np.int64), batch_size, network.device):
            labels = network.scores(batch.input, batch.content).argmax(1).to(torch.uint8).cpu().numpy()
            for index, label in zip(chosen.tolist(), labels, strict=True):
                top, left, bottom, right = split.geometries[index].rectangle
                found.append(label[top:bottom, left:right])
    return found

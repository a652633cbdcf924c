"""Class scores of a split by hand, to compare the commands' inference with."""

import numpy as np
import torch

from data.loading import plain_batches
from data.split import Split


def reference_scores(model: torch.nn.Module, split: Split, indices: np.ndarray) -> dict[int, np.ndarray]:
    """Return the logits [C, H, W] of images at their original size: each canvas through the network alone."""
    found = {}
    for chosen, batch in plain_batches(split, indices, 1, torch.device("cpu")):
        with torch.inference_mode():
            (logits,) = model(batch.input, batch.content).float().numpy()
        found[int(chosen[0])] = split.geometries[int(chosen[0])].restore_scores(logits)
    return found

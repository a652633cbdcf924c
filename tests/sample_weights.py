"""Weights of phase 2 that were never trained."""

from pathlib import Path

import torch

from core.classes import ClassSet
from core.networks.unet import initialise
from core.weights import save_weights
from transfer_learning.network import SegmentationUNet

PETS = ClassSet(("background", "cat", "dog"), ignored_is="border")


def write_weights(path: Path, seed: int, size: int = 40, classes: ClassSet = PETS, **architecture) -> Path:
    """Write a network of a seed and of a size, with such arguments."""
    architecture = {"num_classes": len(classes), "width": 2, "normalisation": "imagenet", **architecture}
    torch.manual_seed(seed)
    model = SegmentationUNet(**architecture)
    initialise(model)
    header = {"phase": "transfer_learning", "architecture": architecture, "epoch": 1, "config": {"seed": seed}}
    header |= {"size": [size, size], "resize_mode": "letterbox", "class_set": classes.content(), "metrics": {}}
    save_weights(path, model.state_dict(), header)
    return path

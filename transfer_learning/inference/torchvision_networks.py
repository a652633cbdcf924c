"""Torchvision's own segmentation networks, trained on COCO with VOC's 21 classes."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from core.errors import UserError
from core.headers.header import Header
from core.networks.normalise import Normaliser
from core.weights import require_fit
from data.sources.voc2012 import CLASSES
from transfer_learning.inference.weights_files import torchvision_name, torchvision_weights, weights_file

SIDE = 520  # to which the shorter side was resized in training


def load_torchvision(path: Path) -> tuple[nn.Module, Header]:
    """Return the network, which maps images [N, 3, H, W] in [0, 1] and content to logits [N, 21, H, W], and a header.

    Raises:
        UserError: as `weights_file`; no state dict, or not of this network.
    """
    from torchvision.models import get_model

    name, file = torchvision_name(path), weights_file(path)
    tensors = _tensors(file)
    takes = {} if name.startswith("lraspp") else {"aux_loss": any(key.startswith("aux_") for key in tensors)}
    model = get_model(name, weights=None, weights_backbone=None, num_classes=len(CLASSES), **takes)
    require_fit(model.state_dict(), tensors, str(file))
    model.load_state_dict(tensors)
    header = {
        "format_version": 1,
        "phase": "transfer_learning",
        "architecture": {"num_classes": len(CLASSES)},
        "config": {"seed": 0, "torchvision": name, "weights": str(torchvision_weights(name))},
        "epoch": 1,
        "metrics": {},
        "class_set": CLASSES.content(),
        "size": [SIDE, SIDE],
        "resize_mode": "letterbox",
    }
    return Normalised(model), Header.of(header, str(path))


class Normalised(nn.Module):
    """A network of torchvision that takes what ours take: images in [0, 1]; bars are its mean colour."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.normalise = Normaliser("imagenet", channels=3)

    def forward(self, images: Tensor, content: Tensor) -> Tensor:
        """Images [N, 3, H, W] in [0, 1] and content [N, 1, H, W] bool -> logits [N, 21, H, W]."""
        return self.model(self.normalise(images, content))["out"]


def _tensors(file: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is refused here
            found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception:  # of as many classes as there are ways to be no such file; what it says advises to run the file
        raise UserError(f"{file} is no state dict of torch, or not a whole one: fetch it anew") from None
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise UserError(f"{file} is no state dict: it must map names to tensors")
    return found

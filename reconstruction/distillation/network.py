"""What learns by distillation: an encoder, and on its features a 1x1 convolution for each depth of the teacher's."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import UserError
from core.headers.header import Header
from core.networks.encoders import AnyEncoder, make_encoder
from core.networks.normalise import Normalisation, Normaliser
from core.networks.unet import ENCODER_DROPOUT, STAGES
from core.train_config import OWN_ENCODER
from reconstruction.network import Autoencoder

# Where teacher and student are compared: finer features know of edges and colours, which no teacher is needed for.
STRIDES = (8, 16, 32)


class Student(nn.Module):
    """An encoder that predicts a teacher's features at strides 8, 16 and 32 (FitNets, Romero et al. 2015).

    The regressors are 1x1 convolutions, so that what is asked for must stand in the encoder itself; phase 2 takes the
    encoder and leaves them behind.

    Args:
        teacher: its name, kept for whoever reads the weights.
        teacher_channels: of its features at these strides.
        width, normalisation, encoder_dropout, encoder, in_channels: as in `reconstruction.network.Autoencoder`.

    Raises:
        UserError: the encoder has no features at one of these strides.
    """

    target = "features"  # what it predicts, where an autoencoder predicts pixels
    dims, stages = 2, STAGES

    def __init__(
        self,
        teacher: str,
        teacher_channels: Sequence[int],
        width: int = 32,
        normalisation: Normalisation = "imagenet",
        encoder_dropout: Sequence[float] = ENCODER_DROPOUT,
        encoder: str = OWN_ENCODER,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if len(teacher_channels) != len(STRIDES) or min(teacher_channels) < 1:
            raise UserError(f"teacher_channels {list(teacher_channels)}: one number for each of the strides {STRIDES}")
        self.teacher, self.teacher_channels = teacher, tuple(teacher_channels)
        self.in_channels = in_channels
        self.normalise = Normaliser(normalisation, in_channels)
        self.encoder = make_encoder(encoder, width, encoder_dropout, in_channels)
        own = channels_of(self.encoder, f"--encoder {encoder}")
        self.heads = nn.ModuleList(nn.Conv2d(*channels, 1) for channels in zip(own, teacher_channels, strict=True))

    def forward(self, images: Tensor, content: Tensor | None = None) -> list[Tensor]:
        """Predict the teacher's features.

        Args:
            images: [N, in_channels, H, W] in [0, 1], every side at least 33 px.
            content: [N, 1, H, W] bool, False on letterbox bars; None when everything is content.

        Returns:
            [N, K, h, w] at each of `STRIDES`, K the teacher's channels there.
        """
        features = self.encoder(self.normalise(images, content))[-len(STRIDES) :]
        return [head(feature) for head, feature in zip(self.heads, features, strict=True)]


def network_of(header: Header) -> type[Student | Autoencoder]:
    """Return what phase 1's weights are of: an autoencoder, or an encoder that learned by distillation."""
    return Student if "teacher" in header.architecture else Autoencoder


def channels_of(encoder: AnyEncoder, what: str) -> tuple[int, ...]:
    """Return the channels of an encoder's features at `STRIDES`, its last ones.

    Raises:
        UserError: it has none at one of them; `what` names the setting.
    """
    channels = tuple(encoder.channels[-len(STRIDES) :])
    if tuple(encoder.strides[-len(STRIDES) :]) != STRIDES or not all(channels):
        raise UserError(
            f"{what} lacks features at 1/8, 1/16 or 1/32 of the side, where --pretext distil compares teacher and "
            "student: take one that has them, such as resnet18 or tf_efficientnet_lite0"
        )
    return channels


def at_size(features: Tensor, size: Sequence[int]) -> Tensor:
    """Return features [N, K, h, w] at the teacher's size: networks round sides that 32 does not divide otherwise."""
    if tuple(features.shape[-2:]) == tuple(size):
        return features
    return F.interpolate(features, size=tuple(size), mode="bilinear", align_corners=False)

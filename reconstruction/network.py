"""Phase 1's network: the UNet with a picture at its end."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from core.errors import UserError
from core.networks.decoders import DECODERS, Plan, make_decoder
from core.networks.decoding.attention import bottleneck_attention
from core.networks.decoding.sizes import to_picture
from core.networks.encoders import make_encoder
from core.networks.layers import LAYERS
from core.networks.network_config import Attention, DecoderName, Dims, NetworkConfig, OutputStride
from core.networks.normalise import Normalisation, Normaliser, content_statistics
from core.networks.unet import DECODER_DROPOUT, ENCODER_DROPOUT, STAGES
from core.train_config import OWN_ENCODER
from data.pretext.settings import Target
from data.pretext.targets import target_channels

Skips = Literal["all", "none", "deep"]

# Which encoder stages hand their features across, full resolution first; the bottleneck always does.
SKIPPED = {
    "all": (True, True, True, True, True),
    "deep": (False, False, True, True, True),
    "none": (False, False, False, False, False),
}


class Autoencoder(nn.Module):
    """UNet autoencoder: restores its picture.

    Args:
        width: features of the first stage; with an encoder of timm, of the decoder alone.
        skips: "all" hands every stage's features to the decoder (which may then copy pixels), "deep" only those at a
            quarter of the resolution and below, "none" no one's; what is not handed over is replaced by zeros, so
            that the decoder keeps its shape.
        image_statistics: instance norm wipes out each picture's own brightness and contrast in the first layer. With
            this setting the output is given the input's mean and deviation a channel (`match_statistics`) instead of
            a sigmoid. It has no parameters.
        target: "pixels" ends in a picture, anything else in plain numbers (`target_channels`).
        normalisation: of the input.
        encoder_dropout, decoder_dropout: rates by stage.
        encoder: `unet` or a name of timm's (`core.networks.encoders`).
        sparse: the encoder leaves out what a pretext task hides (`core.networks.unet.Encoder.forward`); the project's
            own encoder alone.
        in_channels: of the pictures, and of those restored, 1 or 3; of volumes any number.
        decoder: a name of `core.networks.decoders`.
        output_stride, decoder_channels, bottleneck_channels, atrous_rates, attention: as in
            `core.networks.network_config`.
        dims: 2 for pictures, 3 for volumes.
        stages: of the project's own encoder, of volumes (`core.networks.unet.stages_of`); six of pictures.
    """

    def __init__(
        self,
        width: int = 32,
        skips: Skips = "all",
        image_statistics: bool = False,
        target: Target = "pixels",
        normalisation: Normalisation = "imagenet",
        encoder_dropout: Sequence[float] = ENCODER_DROPOUT,
        decoder_dropout: Sequence[float] = DECODER_DROPOUT,
        encoder: str = OWN_ENCODER,
        sparse: bool = False,
        in_channels: int = 3,
        decoder: DecoderName = "unet",
        output_stride: OutputStride = 0,
        decoder_channels: Sequence[int] = NetworkConfig.decoder_channels,
        bottleneck_channels: int = 0,
        atrous_rates: Sequence[int] = NetworkConfig.atrous_rates,
        attention: Attention = "none",
        dims: Dims = 2,
        stages: int = STAGES,
    ) -> None:
        super().__init__()
        if skips not in SKIPPED:
            raise UserError(f"skips {skips!r} is unknown: choose from {', '.join(SKIPPED)}")
        self.skips = skips
        self.target = target
        self.image_statistics = image_statistics
        self.sparse = sparse
        self.normalise = Normaliser(normalisation, in_channels, dims)
        self.in_channels, self.dims, self.stages = in_channels, dims, stages
        near, middle, far = atrous_rates
        self.settings = settings = NetworkConfig(
            decoder, output_stride, tuple(decoder_channels), bottleneck_channels, (near, middle, far), attention
        )
        self.encoder = make_encoder(encoder, width, encoder_dropout, in_channels, settings.stride, dims, stages)
        self.attention = bottleneck_attention(attention, self.encoder.channels[-1], dims)
        outputs = target_channels(target, in_channels)
        plan = Plan(self.encoder.channels, self.encoder.strides, width, decoder_dropout, outputs, settings, dims)
        self.decoder = make_decoder(decoder, plan, encoder)
        row = DECODERS[decoder]
        self.head = nn.Identity() if row.scores else LAYERS[dims].conv(self.decoder.out_channels, outputs, 3, padding=1)
        self.multiple = row.multiple

    def forward(self, images: Tensor, content: Tensor | None = None, hidden: Tensor | None = None) -> Tensor:
        """Restore pictures, or volumes.

        Args:
            images: [N, in_channels, *sides] in [0, 1], every side of a picture at least 33 px.
            content: [N, 1, *sides] bool, False on letterbox bars and what is hidden; None when everything is content.
            hidden: [N, 1, *sides] bool: what a pretext task hides, for an encoder that is `sparse`.

        Returns:
            [N, in_channels, *sides] float32, in [0, 1]; with `image_statistics` values may pass these ends a little in
            training mode (where clamping would end the gradient).
        """
        normal = self.normalise(images, content)
        if self.sparse and hidden is not None:
            features = self.encoder(normal, (~hidden).to(normal.dtype))
        else:
            features = self.encoder(normal)
        used = (*SKIPPED[self.skips][: len(features) - 1], True)
        features = [feature if use else torch.zeros_like(feature) for feature, use in zip(features, used, strict=True)]
        output = self.head(self.decoder([*features[:-1], self.attention(features[-1])]))
        output = to_picture(output, images.shape[2:], self.multiple).float()
        if self.target != "pixels":
            return output
        if not self.image_statistics:
            return torch.sigmoid(output)
        restored = match_statistics(output, images, content)
        return restored if self.training else restored.clamp(0, 1)


def match_statistics(output: Tensor, images: Tensor, content: Tensor | None) -> Tensor:
    """Shift and scale each channel of `output` to the mean and deviation of `images`, over content pixels.

    Adaptive instance normalisation (Huang & Belongie 2017), here from a picture to its own restoration. Standardising
    the output first matters: the norms inside weight a picture's colours against each other in a way that depends on
    the picture, so that the output's own deviation is off by a factor the network cannot know.

    Args:
        output, images: [N, C, *sides].
        content: [N, 1, *sides] bool; None when everything is content.
    """
    mean, deviation = content_statistics(images, content)
    own_mean, own_deviation = content_statistics(output, content)
    return mean + deviation * (output - own_mean) / own_deviation

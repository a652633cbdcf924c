"""Phase 2's network: the same UNet with class scores at its end."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import UserError
from core.networks.encoders import make_encoder
from core.networks.normalise import Normalisation, Normaliser
from core.networks.unet import DECODER_DROPOUT, ENCODER_DROPOUT, Decoder, Hypercolumn
from core.train_config import OWN_ENCODER
from transfer_learning.config import DecoderKind


class SegmentationUNet(nn.Module):
    """UNet for semantic segmentation, whose encoder may come from an autoencoder.

    Args:
        num_classes: classes to tell apart, at least 2.
        width: features of the first stage; with an encoder of timm, of the decoder alone.
        normalisation: of the input; must be the one that the encoder was pretrained with.
        encoder_dropout, decoder_dropout: rates by stage.
        encoder: `unet` or a name of timm's (`core.networks.encoders`).
        decoder: `unet`, or `linear`: one 1x1 convolution on the encoder's features (`core.networks.unet.Hypercolumn`),
            whose scores at a quarter of the resolution are brought to the picture's size.
        in_channels: of the pictures, 1 or 3.
    """

    def __init__(
        self,
        num_classes: int = 3,
        width: int = 32,
        normalisation: Normalisation = "imagenet",
        encoder_dropout: Sequence[float] = ENCODER_DROPOUT,
        decoder_dropout: Sequence[float] = DECODER_DROPOUT,
        encoder: str = OWN_ENCODER,
        decoder: DecoderKind = "unet",
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if num_classes < 2:
            raise UserError(f"num_classes {num_classes} must be at least 2")
        self.normalise = Normaliser(normalisation, in_channels)
        self.in_channels = in_channels
        self.encoder = make_encoder(encoder, width, encoder_dropout, in_channels)
        channels = self.encoder.channels
        self.decoder = Hypercolumn(channels) if decoder == "linear" else Decoder(channels, width, decoder_dropout)
        self.head = nn.Conv2d(self.decoder.out_channels, num_classes, 1)

    def forward(self, images: Tensor, content: Tensor | None = None) -> Tensor:
        """Score every pixel.

        Args:
            images: [N, in_channels, H, W] in [0, 1], every side at least 33 px.
            content: [N, 1, H, W] bool, False on letterbox bars; None when everything is content.

        Returns:
            logits [N, num_classes, H, W].
        """
        logits = self.head(self.decoder(self.encoder(self.normalise(images, content))))
        if logits.shape[-2:] == images.shape[-2:]:
            return logits
        return F.interpolate(logits, size=images.shape[-2:], mode="bilinear", align_corners=False)

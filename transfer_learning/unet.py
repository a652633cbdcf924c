"""Phase 2's network: the same UNet with class scores at its end."""

from collections.abc import Sequence

from torch import Tensor, nn

from core.errors import UserError
from core.normalise import Normalisation, normalise
from core.unet import DECODER_DROPOUT, ENCODER_DROPOUT, Decoder, Encoder


class SegmentationUNet(nn.Module):
    """UNet for semantic segmentation, whose encoder may come from an autoencoder.

    Args:
        num_classes: classes to tell apart, at least 2.
        width: features of the first stage.
        normalisation: of the input; must be the one that the encoder was pretrained with.
        encoder_dropout, decoder_dropout: rates by stage.
    """

    def __init__(
        self,
        num_classes: int = 3,
        width: int = 32,
        normalisation: Normalisation = "imagenet",
        encoder_dropout: Sequence[float] = ENCODER_DROPOUT,
        decoder_dropout: Sequence[float] = DECODER_DROPOUT,
    ) -> None:
        super().__init__()
        if num_classes < 2:
            raise UserError(f"num_classes {num_classes} must be at least 2")
        self.normalisation = normalisation
        self.encoder = Encoder(width, dropout=encoder_dropout)
        self.decoder = Decoder(self.encoder.channels, decoder_dropout)
        self.head = nn.Conv2d(self.decoder.out_channels, num_classes, 1)

    def forward(self, images: Tensor, content: Tensor | None = None) -> Tensor:
        """Score every pixel.

        Args:
            images: [N, 3, H, W] in [0, 1], every side at least 33 px.
            content: [N, 1, H, W] bool, False on letterbox bars; None when everything is content.

        Returns:
            logits [N, num_classes, H, W].
        """
        return self.head(self.decoder(self.encoder(normalise(images, content, self.normalisation))))

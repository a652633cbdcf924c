"""Phase 2's network: the same UNet with class scores at its end."""

from collections.abc import Sequence

from torch import Tensor, nn

from core.errors import UserError
from core.networks.decoders import DECODERS, Plan, make_decoder
from core.networks.decoding.attention import bottleneck_attention
from core.networks.decoding.refinement import BoundaryRefinement
from core.networks.decoding.sizes import to_picture
from core.networks.encoders import make_encoder
from core.networks.layers import LAYERS
from core.networks.network_config import Attention, DecoderName, Dims, NetworkConfig, OutputStride
from core.networks.normalise import Normalisation, Normaliser
from core.networks.unet import DECODER_DROPOUT, ENCODER_DROPOUT, STAGES
from core.train_config import OWN_ENCODER
from transfer_learning.config import Refinement


class SegmentationUNet(nn.Module):
    """UNet for semantic segmentation, whose encoder may come from an autoencoder.

    Args:
        num_classes: classes to tell apart, at least 2.
        width: features of the first stage; with an encoder of timm, of the decoder alone.
        normalisation: of the input; must be the one that the encoder was pretrained with.
        encoder_dropout, decoder_dropout: rates by stage.
        encoder: `unet` or a name of timm's (`core.networks.encoders`); of volumes a network as a whole
            (`core.networks.whole`) too.
        decoder: a name of `core.networks.decoders`; one 1x1 convolution behind it makes scores, which are brought to
            the picture's size.
        in_channels: of the pictures, 1 or 3; of volumes any number.
        output_stride, decoder_channels, bottleneck_channels, atrous_rates, attention: as in
            `core.networks.network_config`.
        refine: `boundary` adds what a residual block makes of the scores (`core.networks.decoding.refinement`).
        dims: 2 for pictures, 3 for volumes.
        stages: of the project's own encoder, of volumes (`core.networks.unet.stages_of`); six of pictures.
    """

    def __init__(
        self,
        num_classes: int = 3,
        width: int = 32,
        normalisation: Normalisation = "imagenet",
        encoder_dropout: Sequence[float] = ENCODER_DROPOUT,
        decoder_dropout: Sequence[float] = DECODER_DROPOUT,
        encoder: str = OWN_ENCODER,
        decoder: DecoderName = "unet",
        in_channels: int = 3,
        output_stride: OutputStride = 0,
        decoder_channels: Sequence[int] = NetworkConfig.decoder_channels,
        bottleneck_channels: int = 0,
        atrous_rates: Sequence[int] = NetworkConfig.atrous_rates,
        attention: Attention = "none",
        refine: Refinement = "none",
        dims: Dims = 2,
        stages: int = STAGES,
    ) -> None:
        super().__init__()
        if num_classes < 2:
            raise UserError(f"num_classes {num_classes} must be at least 2")
        self.normalise = Normaliser(normalisation, in_channels, dims)
        self.in_channels, self.dims, self.stages = in_channels, dims, stages
        near, middle, far = atrous_rates
        self.settings = settings = NetworkConfig(
            decoder, output_stride, tuple(decoder_channels), bottleneck_channels, (near, middle, far), attention
        )
        self.encoder = make_encoder(encoder, width, encoder_dropout, in_channels, settings.stride, dims, stages)
        self.attention = bottleneck_attention(attention, self.encoder.channels[-1], dims)
        plan = Plan(self.encoder.channels, self.encoder.strides, width, decoder_dropout, num_classes, settings, dims)
        self.decoder = make_decoder(decoder, plan, encoder, in_channels)
        row = DECODERS[decoder]
        self.head = nn.Identity() if row.scores else LAYERS[dims].conv(self.decoder.out_channels, num_classes, 1)
        self.multiple = row.multiple
        self.refine = BoundaryRefinement(num_classes, dims) if refine == "boundary" else nn.Identity()

    def forward(self, images: Tensor, content: Tensor | None = None) -> Tensor:
        """Score every pixel, or voxel.

        Args:
            images: [N, in_channels, *sides] in [0, 1], every side of a picture at least 33 px.
            content: [N, 1, *sides] bool, False on letterbox bars; None when everything is content.

        Returns:
            logits [N, num_classes, *sides].
        """
        logits = self.head(self.features(images, content))
        return self.refine(to_picture(logits, images.shape[2:], self.multiple))

    def features(self, images: Tensor, content: Tensor | None = None) -> Tensor:
        """Return what the decoder makes of pictures, at its own size; arguments as those of `forward`."""
        *features, deepest = self.encoder(self.normalise(images, content))
        return self.decoder([*features, self.attention(deepest)])

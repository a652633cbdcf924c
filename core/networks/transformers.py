"""Vision transformers of timm as encoders: features at one stride alone, 16."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import interpolate

from core.errors import UserError
from core.networks.decoding.sizes import nothing
from core.networks.dropout import spatial_dropout
from core.networks.normalise import as_rgb
from core.networks.unet import ENCODER_DROPOUT, require_sides, strides_of

STRIDE = 16
PATCHES = (14, 16)
AS_RGB = (1, 3)  # channels of the pictures that an encoder of timm takes as RGB


def is_transformer(name: str) -> bool:
    """Say whether timm knows a plain vision transformer of that name."""
    import timm

    return name in timm.list_models(module="vision_transformer")


class TransformerEncoder(nn.Module):
    """A plain vision transformer (Dosovitskiy et al. 2021; DINOv2, Oquab et al. 2024) without its head.

    All its features stand at stride 16, whatever output stride is asked for but 8, which is refused. Patches of 14
    pixels are brought there by scaling the picture: 16 of its pixels become 14.

    Args:
        name: as timm lists it. Nothing is ever downloaded.
        dropout: rates of spatial dropout, of which the last falls on the features.
        output_stride: 32 or 16, or 8.
        in_channels: of the pictures; other numbers than 1 and 3 make a first layer of their own.

    Attributes:
        strides, channels: of the six feature maps, all but the deepest of 0 channels.
        deepest: its output is the bottleneck.
        initialised: tells `core.networks.unet.initialise` to leave the weights as they are.

    Raises:
        UserError: it has other patches, or stride 8 is asked for.
    """

    initialised = True
    network: Any

    def __init__(
        self, name: str, dropout: Sequence[float] = ENCODER_DROPOUT, output_stride: int = 32, in_channels: int = 3
    ) -> None:
        super().__init__()
        import timm

        self.takes_rgb = in_channels in AS_RGB
        self.network = timm.create_model(
            name,
            pretrained=False,
            num_classes=0,
            global_pool="token",
            in_chans=3 if self.takes_rgb else in_channels,
            dynamic_img_size=True,
            dynamic_img_pad=True,
        )
        self.patch = self.network.patch_embed.patch_size[0]
        if self.patch not in PATCHES or output_stride < STRIDE:
            raise UserError(
                f"encoder {name!r} has patches of {self.patch} px and features at one stride: take one of 14 or 16 px, "
                f"whose features stand at stride {STRIDE} (--output_stride 0), or an encoder such as resnet18"
            )
        self.strides = strides_of(STRIDE)
        self.channels = (*[0] * (len(self.strides) - 1), self.network.num_features)
        self.deepest = nn.Identity()
        self.dropout = tuple(dropout)

    def forward(self, images: Tensor) -> list[Tensor]:
        """[N, in_channels, H, W] -> six feature maps at `strides`, all but the last of 0 channels.

        Raises:
            UserError: if a side is shorter than 33 px.
        """
        require_sides(*images.shape[-2:])
        scaled = as_rgb(images) if self.takes_rgb else images
        if self.patch != STRIDE:
            size = [(side + STRIDE - 1) // STRIDE * self.patch for side in images.shape[-2:]]
            scaled = interpolate(scaled, size=size, mode="bilinear", align_corners=False, antialias=True)
        (found,) = self.network.forward_intermediates(scaled, indices=1, norm=True, intermediates_only=True)
        deepest = self.deepest(found)
        finer = [nothing(deepest, images, stride) for stride in self.strides[:-1]]
        return [*finer, spatial_dropout(deepest, self.dropout[-1], self.training)]

    def parameter_stages(self) -> list[list[nn.Parameter]]:
        """Return the parameters of each block, the patches' with the first, what follows the last with that."""
        blocks = [list(block.parameters()) for block in self.network.blocks]
        within = {id(parameter) for block in blocks for parameter in block}
        after = list(self.network.norm.parameters())
        known = within | {id(parameter) for parameter in after}
        before = [parameter for parameter in self.network.parameters() if id(parameter) not in known]
        blocks[0], blocks[-1] = [*before, *blocks[0]], [*blocks[-1], *after]
        return blocks

"""What weighs channels and places of features against each other: scSE, CBAM, self-attention."""

import torch
from torch import Tensor, nn

from core.errors import UserError
from core.networks.layers import LAYERS, axes_of

REDUCTION = 16  # of channels, in all three papers' squeezes


def bottleneck_attention(name: str, channels: int, dims: int = 2) -> nn.Module:
    """Return what `--attention` puts behind the encoder: nothing for `none` and `scse`, which stands in the decoder.

    Raises:
        UserError: `scse`, of volumes.
    """
    kinds = {"cbam": CBAM, "self": SelfAttention}
    if dims == 3 and name == "scse":
        raise UserError("--attention scse weighs places of pictures: volumes take cbam or self")
    return kinds[name](channels, dims) if name in kinds else nn.Identity()


def scse_or_nothing(channels: int, scse: bool) -> nn.Module:
    """Return weights of channels and of places, summed (Roy et al. 2018), or what changes nothing."""
    if not scse:
        return nn.Identity()
    from segmentation_models_pytorch.base.modules import SCSEModule  # takes a second, which others are spared

    return SCSEModule(channels, min(REDUCTION, channels))


class CBAM(nn.Module):
    """Convolutional block attention (Woo et al. 2018): channels are weighed first, then places.

    A channel's weight comes from its mean and its maximum, through one small network that both share; a place's from
    the mean and the maximum over channels, through a 7x7 convolution.

    Args:
        channels: of the features.
        dims: 2 for pictures, 3 for volumes.
    """

    def __init__(self, channels: int, dims: int = 2) -> None:
        super().__init__()
        squeezed, conv = max(1, channels // REDUCTION), LAYERS[dims].conv
        self.channels = nn.Sequential(
            conv(channels, squeezed, 1, bias=False), nn.ReLU(), conv(squeezed, channels, 1, bias=False)
        )
        self.places = conv(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, *sides] -> the same shape."""
        mean, highest = x.mean(dim=axes_of(x), keepdim=True), x.amax(dim=axes_of(x), keepdim=True)
        x = x * torch.sigmoid(self.channels(mean) + self.channels(highest))
        summary = torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.places(summary))


class SelfAttention(nn.Module):
    """Every place takes up what places that resemble it hold (Wang et al. 2018), as in SAGAN (Zhang et al. 2019).

    What is taken up is scaled by a number that is learned and begins at 0: training begins with the features as they
    are. Time and memory grow with the square of the number of places.

    Args:
        channels: of the features.
        dims: 2 for pictures, 3 for volumes.
    """

    def __init__(self, channels: int, dims: int = 2) -> None:
        super().__init__()
        squeezed, conv = max(1, channels // 8), LAYERS[dims].conv
        self.query, self.key = (conv(channels, squeezed, 1, bias=False) for _ in range(2))
        self.value = conv(channels, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, *sides] -> the same shape."""
        query, key, value = (part(x).flatten(2) for part in (self.query, self.key, self.value))
        shares = torch.softmax(query.transpose(1, 2) @ key, dim=-1)  # [N, places that ask, places that answer]
        return x + self.gamma * (value @ shares.transpose(1, 2)).reshape(x.shape)

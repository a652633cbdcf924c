"""What weighs channels and places of features against each other: scSE, CBAM, self-attention."""

import torch
from torch import Tensor, nn

REDUCTION = 16  # of channels, in all three papers' squeezes


def bottleneck_attention(name: str, channels: int) -> nn.Module:
    """Return what `--attention` puts behind the encoder: nothing for `none` and `scse`, which stands in the decoder."""
    kinds = {"cbam": CBAM, "self": SelfAttention}
    return kinds[name](channels) if name in kinds else nn.Identity()


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
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(1, channels // REDUCTION)
        self.channels = nn.Sequential(
            nn.Conv2d(channels, squeezed, 1, bias=False), nn.ReLU(), nn.Conv2d(squeezed, channels, 1, bias=False)
        )
        self.places = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, H, W] -> the same shape."""
        mean, highest = x.mean(dim=(2, 3), keepdim=True), x.amax(dim=(2, 3), keepdim=True)
        x = x * torch.sigmoid(self.channels(mean) + self.channels(highest))
        summary = torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.places(summary))


class SelfAttention(nn.Module):
    """Every place takes up what places that resemble it hold (Wang et al. 2018), as in SAGAN (Zhang et al. 2019).

    What is taken up is scaled by a number that is learned and begins at 0: training begins with the features as they
    are. Time and memory grow with the square of the number of places.

    Args:
        channels: of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(1, channels // 8)
        self.query, self.key = (nn.Conv2d(channels, squeezed, 1, bias=False) for _ in range(2))
        self.value = nn.Conv2d(channels, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, H, W] -> the same shape."""
        query, key, value = (part(x).flatten(2) for part in (self.query, self.key, self.value))
        shares = torch.softmax(query.transpose(1, 2) @ key, dim=-1)  # [N, places that ask, places that answer]
        return x + self.gamma * (value @ shares.transpose(1, 2)).reshape(x.shape)

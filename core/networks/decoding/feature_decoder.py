"""What all decoders have."""

from torch import nn


class FeatureDecoder(nn.Module):
    """A decoder, which makes features [N, out_channels, h, w] of those of an encoder (`core.networks.decoders`).

    Attributes:
        out_channels: of what it returns.
    """

    out_channels: int

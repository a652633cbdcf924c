"""Boundary refinement: a residual block on the scores of any decoder."""

from torch import Tensor, nn

from core.networks.layers import LAYERS


class BoundaryRefinement(nn.Module):
    """Add to scores what two 3x3 convolutions make of them (Peng et al. 2017, Large Kernel Matters).

    The second convolution begins at 0, so that training begins with the scores as they are: all the block changes is
    learned. (The paper says nothing of how it begins; a random one would blur scores at first.)

    Args:
        channels: scores a pixel.
        dims: 2 for pictures, 3 for volumes.

    Attributes:
        initialised: tells `core.networks.unet.initialise` to leave the weights as they are.
    """

    initialised = True

    def __init__(self, channels: int, dims: int = 2) -> None:
        super().__init__()
        conv = LAYERS[dims].conv
        last = conv(channels, channels, 3, padding=1)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        self.residual = nn.Sequential(conv(channels, channels, 3, padding=1), nn.ReLU(), last)

    def forward(self, scores: Tensor) -> Tensor:
        """[N, channels, *sides] -> the same shape."""
        return scores + self.residual(scores)

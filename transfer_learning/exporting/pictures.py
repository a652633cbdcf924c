"""What an exported network is compared on, and what its activations' ranges are taken from."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.errors import UserError
from core.evaluation import spread
from core.headers.header import Header
from data.loading import plain_batches
from data.opened import open_data

# Images [N, C, H, W] in [0, 1], and their content [N, 1, H, W], False on the bars of a letterbox.
Batches = Sequence[tuple[Tensor, Tensor]]
OF_A_BATCH = 4


def noise(header: Header) -> Batches:
    """Return noise with bars, of several sides and numbers."""
    generator, batches = torch.Generator().manual_seed(0), []
    for count, height, width in ((1, *(header.size or (128, 128))), (3, 65, 98)):
        images = torch.rand(count, header.network.in_channels, height, width, generator=generator)
        content = torch.ones(count, 1, height, width, dtype=torch.bool)
        content[:, :, : height // 8] = False
        batches.append((images * content, content))
    return batches


def prepared(data_dir: Path, split: str, count: int, header: Header) -> Batches:
    """Return so many pictures of a split, spread over it, as the network sees them.

    Raises:
        UserError: no such split, or pictures of other channels.
    """
    pictures = open_data(data_dir).split(split)
    if pictures.channels != header.network.in_channels:
        raise UserError(
            f"{data_dir} holds pictures of {pictures.channels} channels, the network takes "
            f"{header.network.in_channels}: name the data that it was trained on"
        )
    chosen = np.array(spread(len(pictures.names), count))
    return [
        (batch.input, batch.content) for _, batch in plain_batches(pictures, chosen, OF_A_BATCH, torch.device("cpu"))
    ]

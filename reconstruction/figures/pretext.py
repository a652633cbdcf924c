"""Pictures of a pretext task: what the network was shown, what it made of it, what it was asked for."""

import math
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from data.pretext.hiding import Shown
from data.pretext.settings import Target
from data.pretext.targets import CELL, ORIENTATIONS, oriented_gradients, patch_statistics
from reconstruction.figures.pictures import pictures

# Pixels of a drawn cell of gradients, a multiple of CELL: below a dozen its strokes cannot be told apart.
GLYPH = 16


def pretext_columns(
    output: Tensor, clean: Tensor, content: Tensor, seen: Shown, target: Target, patch: int
) -> dict[str, list[np.ndarray]]:
    """Return heading -> pictures [H, W, 3] in [0, 1]: input, what was predicted, what was to be predicted.

    Normalised patches are drawn with the mean and the deviation of the true ones, which the network was not asked for.
    Gradients are strokes along the edges, a cell of 8 px each. A network that learned hidden patches alone was not
    asked for the others: there, its column shows the truth, and its heading says so.

    Args:
        output: [N, K, H, W], the network's, as many channels as the target has.
        clean: [N, 3, H, W], or grey [N, 1, H, W], in [0, 1].
        content: [N, 1, H, W] bool; outside it nothing is drawn.
        seen: what the network was shown of `clean`.
        target: what it predicts.
        patch: side of the patches that are normalised.
    """
    given = {"input": pictures(seen.images, seen.visible)}
    original = {"original": pictures(clean, content)}
    where = " where hidden" if (seen.visible & ~seen.judged).any() else ""
    if target == "hog":
        wanted = oriented_gradients(clean)
        kept = F.avg_pool2d((seen.visible & ~seen.judged).float(), CELL) > 0.5
        found = wanted.where(kept, F.avg_pool2d(output.float(), CELL))
        drawn = F.avg_pool2d(content.float(), CELL) > 0
        columns = {f"predicted{where}": found, "true gradients": wanted}
        sides = (clean.shape[-2], clean.shape[-1])
        return {**given, **{heading: strokes(values * drawn, sides) for heading, values in columns.items()}, **original}
    if target == "normalised":
        mean, deviation = patch_statistics(clean, patch)
        output = output * deviation + mean
    restored = pictures(seen.completed(output.float(), clean), content)
    return {**given, f"restored{where}": restored, **original}


def strokes(histograms: Tensor, sides: tuple[int, int]) -> list[np.ndarray]:
    """Return histograms of oriented gradients [N, 9 C, H // 8, W // 8] as grey pictures [2 H, 2 W, 3] in [0, 1].

    Each orientation is a stroke across its gradient, as bright as the mean of the channels' values.

    Args:
        histograms: as `oriented_gradients` makes them.
        sides: H and W of the pictures; what fills no cell stays black.
    """
    values = histograms.unflatten(1, (-1, ORIENTATIONS)).mean(1).clamp(min=0)  # [N, 9, h, w]
    drawn = torch.einsum("nohw,oyx->nhywx", values, _glyphs().to(values.device)).flatten(1, 2).flatten(2, 3)
    below, right = (side * GLYPH // CELL - there for side, there in zip(sides, drawn.shape[1:], strict=True))
    drawn = F.pad(drawn.clamp(0, 1), (0, right, 0, below))
    return [*drawn[..., None].expand(-1, -1, -1, 3).cpu().numpy()]


@cache
def _glyphs() -> Tensor:
    """Return the stroke of each orientation, [9, 16, 16] in [0, 1]."""
    places = torch.arange(GLYPH) - (GLYPH - 1) / 2
    y, x = places[:, None], places[None, :]
    angles = (torch.arange(ORIENTATIONS)[:, None, None] + 0.5) * math.pi / ORIENTATIONS
    beside = (x * angles.cos() + y * angles.sin()).abs()  # the distance from the stroke
    inside = x.square() + y.square() <= (GLYPH / 2) ** 2
    return (1.5 - beside).clamp(0, 1) * inside

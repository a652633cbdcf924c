"""Pictures of distillation: where the student's features differ from the teacher's."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from core.figures.picture_grid import Scale, picture_grid
from data.loading import AnySplit, plain_batches
from reconstruction.distillation.loss import error_maps
from reconstruction.distillation.network import STRIDES
from reconstruction.figures.pictures import pictures, printable


def save_errors(
    path: Path, model: nn.Module, teacher: nn.Module, split: AnySplit, indices: np.ndarray, device: torch.device
) -> None:
    """Save pictures as one PNG, each with the squared error of its features at each depth, all on one scale.

    Args:
        path: of the PNG.
        model: a `Student`, in eval mode.
        teacher: its teacher.
        split: whose pictures are shown.
        indices: [K] which of them.
        device: where both networks are.
    """
    columns: dict[str, list[np.ndarray]] = {"picture": []}
    for _, batch in plain_batches(split, indices, len(indices), device):
        with torch.inference_mode():
            depths = zip(model(batch.clean, batch.content), teacher(batch.clean, batch.content), STRIDES, strict=True)
            columns["picture"] += pictures(batch.clean, batch.content)
            for found, wanted, stride in depths:
                error, _ = error_maps(found, wanted, batch.content)
                drawn = F.interpolate(error, size=batch.clean.shape[-2:])[:, 0] * batch.content[:, 0]
                columns.setdefault(f"error at 1/{stride}", []).extend(drawn.cpu().numpy())
    largest = max(float(error.max()) for heading, maps in columns.items() if heading != "picture" for error in maps)
    scale = Scale("squared error", largest or 1.0, "magma")
    names = [printable(split.names[index]) for index in indices]
    picture_grid(path, "The pretext task: distil", names, columns, scale=scale)

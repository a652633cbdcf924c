"""Pictures of what the autoencoder restores."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from core.figures import picture_rows


def save_grid(path: Path, names: Sequence[str], target: Tensor, restored: Tensor, content: Tensor) -> None:
    """Save rows of original, restored and error as one PNG.

    Args:
        path: of the PNG.
        names: [N] what each row shows.
        target, restored: [N, 3, H, W] in [0, 1].
        content: [N, 1, H, W] bool; outside it nothing is shown.
    """
    shown = restored.clamp(0, 1) * content
    error = (shown - target).abs().mean(dim=1) * content[:, 0]  # [N, H, W]
    columns = {
        "original": [*target.permute(0, 2, 3, 1).cpu().numpy()],
        "restored": [*shown.permute(0, 2, 3, 1).cpu().numpy()],
        "absolute error (mean of channels)": [*error.cpu().numpy()],
    }
    picture_rows(path, names, columns)

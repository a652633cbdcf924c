"""Pictures of what the autoencoder restores."""

import re
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
from torch import Tensor

from core.figures.picture_grid import Scale, picture_grid
from core.figures.picture_rows import picture_rows
from core.networks.normalise import as_rgb


def save_grid(
    path: Path,
    names: Sequence[str],
    target: Tensor,
    restored: Tensor,
    content: Tensor,
    title: str = "Restored pictures",
) -> None:
    """Save rows of original, restored and error as one PNG; all errors on one scale, from 0 to the largest of them.

    Args:
        path: of the PNG.
        names: [N] what each row shows.
        target, restored: [N, 3, H, W], or grey [N, 1, H, W], in [0, 1].
        content: [N, 1, H, W] bool; outside it nothing is shown.
        title: which pictures these are.
    """
    maps = errors(target, restored, content)
    columns = {"original": pictures(target, content), "restored": pictures(restored, content), "error": maps}
    largest = float(max(error.max() for error in maps))
    picture_grid(path, title, [*map(printable, names)], columns, scale=_error_scale(largest))


def save_comparisons(
    paths: Sequence[Path],
    names: Sequence[str],
    titles: Sequence[str],
    originals: Sequence[np.ndarray],
    restored: Sequence[np.ndarray],
    errors: Sequence[np.ndarray],
) -> None:
    """Save each picture as original, restored and error; all errors on one scale, from 0 to the largest of them.

    Args:
        paths: of the PNGs.
        names: of the pictures.
        titles: above the whole; scores, say.
        originals, restored: [H, W, 3] in [0, 1] each.
        errors: [H, W] in [0, 1] each.
    """
    columns = {"original": originals, "restored": restored, "error": errors}
    scale = _error_scale(float(max(error.max() for error in errors)))
    picture_rows(paths, titles, [*map(printable, names)], columns, scale)


def _error_scale(largest: float) -> Scale:
    """Return the scale of errors from 0 to the largest, to 1 where there is no error at all."""
    return Scale("absolute error", largest or 1.0, "magma")


def pictures(images: Tensor, content: Tensor) -> list[np.ndarray]:
    """Return images [N, 3 or 1, H, W] as pictures [H, W, 3] in [0, 1], black outside the content."""
    return [*as_rgb(images.clamp(0, 1) * content).permute(0, 2, 3, 1).cpu().numpy()]


def errors(target: Tensor, restored: Tensor, content: Tensor) -> list[np.ndarray]:
    """Return maps [H, W] of the absolute error, averaged over channels, 0 outside the content."""
    return [*((restored.clamp(0, 1) - target).abs().mean(dim=1) * content[:, 0]).cpu().numpy()]


def file_stems(names: Sequence[str]) -> list[str]:
    """Return a file name without suffix for each of several different names: safe on any file system, all different.

    Names of letters, digits, dots, dashes and underscores stay as they are, unless they differ from another in upper
    and lower case alone; the others get a piece of their hash.
    """
    safe = [re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip(".")[:80] for name in names]
    twins = Counter(stem.lower() for stem in safe)
    return [
        stem if stem == name and twins[stem.lower()] == 1 else f"{stem}-{_hash(name)}"
        for name, stem in zip(names, safe, strict=True)
    ]


def printable(name: str) -> str:
    """Return a name with "?" for bytes that are no text: file names need not be, and nothing can draw them."""
    return name.encode("utf-8", "replace").decode("utf-8")


def _hash(name: str) -> str:
    return blake2b(name.encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()

"""The pretext task: what the network is shown of a picture, and where its restoration is judged.

`denoise` adds Gaussian noise (Vincent et al. 2008; Brempong et al. 2022 for segmentation), `mask` hides patches
(Context Encoders, Pathak et al. 2016; MAE, He et al. 2022; SparK, Tian et al. 2023), `reconstruct` shows everything,
and so does `distil`, which predicts another network's features (FitNets, Romero et al. 2015).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError
from torch import Tensor

from core.errors import UserError, first_problem
from core.headers.header import ANEW
from core.networks.layers import cut, spread
from core.randomness import uniform
from data.augment.corruption import standard_normal
from data.pretext.settings import PretextName


@dataclass(frozen=True)
class Pretext:
    """The settings of a pretext task; what they mean stands in `ReconstructionConfig`."""

    pretext: PretextName = "reconstruct"
    noise_sigma: Annotated[FiniteFloat, Field(strict=True, gt=0)] = 0.25
    mask_ratio: Annotated[float, Field(strict=True, gt=0, lt=1)] = 0.6
    mask_patch: Annotated[int, Field(strict=True, ge=1)] = 16
    loss_on: Literal["masked", "all"] = "masked"

    @classmethod
    def of(cls, settings: Mapping[str, Any], where: str = "") -> Self:
        """Take them out of a run's settings, which before there were pretext tasks had none.

        Raises:
            UserError: one is not what it must be; `where` says whose they are.
        """
        known = [field.name for field in fields(cls)]
        try:
            return TypeAdapter(cls).validate_python({name: settings[name] for name in known if name in settings})
        except ValidationError as errors:
            raise UserError(f"{where}: its pretext task cannot be read ({first_problem(errors)}): {ANEW}") from None


@dataclass(frozen=True)
class Shown:
    """What the network sees of a batch, and where it is judged.

    Attributes:
        images: [N, C, *sides]; noise may take values out of [0, 1], since clamping would give it a mean.
        visible: [N, 1, *sides] bool: content that is not hidden; the network takes the rest for bars.
        judged: [N, 1, *sides] bool: content on which the loss is taken.
        hidden: [N, 1, *sides] bool: what the pretext task hides; None where it hides nothing.
    """

    images: Tensor
    visible: Tensor
    judged: Tensor
    hidden: Tensor | None = None

    def completed(self, restored: Tensor, clean: Tensor) -> Tensor:
        """Return the restored pictures with what was shown and not judged kept as it was: that was never learned."""
        return clean.where(self.visible & ~self.judged, restored)


def shown(images: Tensor, content: Tensor, keys: np.ndarray, config: Pretext) -> Shown:
    """Corrupt a batch as `config.pretext` says; a picture's corruption is a function of its key alone.

    Args:
        images: [N, C, *sides] in [0, 1].
        content: [N, 1, *sides] bool.
        keys: [N] uint64.
        config: which task.
    """
    if config.pretext == "denoise":
        noise = standard_normal(keys, "pretext", images.shape, images.device)
        return Shown((images + config.noise_sigma * noise) * content, content, content)
    if config.pretext == "mask":
        hidden = hidden_patches(keys, images.shape[2:], config.mask_patch, config.mask_ratio).to(images.device)
        judged = content & hidden if config.loss_on == "masked" else content
        return Shown(images, content & ~hidden, judged, hidden)
    return Shown(images, content, content)


def require_several(sides: Sequence[int], patch: int) -> list[int]:
    """Return how many patches lie along each side. Raises UserError where a single one would cover the picture."""
    grid = [-(-side // patch) for side in sides]
    if math.prod(grid) < 2:
        what = f"picture of {sides[1]} x {sides[0]} px" if len(sides) == 2 else f"--patch {'x'.join(map(str, sides))}"
        raise UserError(f"mask_patch {patch} covers the whole {what}: give a smaller one")
    return grid


def hidden_patches(keys: np.ndarray, sides: Sequence[int], patch: int, ratio: float) -> Tensor:
    """Return where pictures are hidden, [N, 1, *sides] bool: the same number of square patches, or cubes, in each.

    The patches tile the picture from its top left corner, those at the other edges cut; as many of them as `ratio`
    comes closest to are hidden, at least one, and at least one is not.

    Raises:
        UserError: if a single patch would cover the picture.
    """
    grid = require_several(sides, patch)
    count = math.prod(grid)
    chosen = min(max(1, round(ratio * count)), count - 1)
    ranks = uniform(keys, "mask", count).view(len(keys), count).argsort(dim=1, stable=True).argsort(dim=1, stable=True)
    hidden = spread((ranks < chosen).view(-1, 1, *grid), patch)
    return cut(hidden, sides)

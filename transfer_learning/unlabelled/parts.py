"""What a step of phase 2 learns beside its labelled pictures."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from torch import Tensor, nn

from core.errors import UserError
from core.machine.machine import Machine
from data.augment.batch import Batch
from data.loading import AnySplit
from data.pool import pool
from data.split import Split
from data.volumes.split import VolumeSplit
from transfer_learning.config import SegmentationConfig
from transfer_learning.network import SegmentationUNet
from transfer_learning.unlabelled.auxiliary import MaskedGradients
from transfer_learning.unlabelled.consistency import Consistency
from transfer_learning.unlabelled.pictures import Pictures, require_unlabelled
from transfer_learning.unlabelled.stability import most_stable
from transfer_learning.unlabelled.teachers import FixedTeacher, MovingTeacher, Teacher, load_teacher
from transfer_learning.unlabelled.views import weak_settings


class Part(Protocol):
    """A part of the loss that unlabelled pictures give; `columns` of the log are its own."""

    @property
    def columns(self) -> tuple[str, ...]: ...  # noqa: D102

    def losses(self, step: int, model: nn.Module, resized: Callable[[Batch, int], Batch]) -> dict[str, Tensor]:
        """Return the part with its graph first, then what the log says beside it."""

    def weight(self, step: int) -> float:
        """Return its weight beside 1 for what is labelled."""

    def parameters(self) -> Sequence[nn.Parameter]:
        """Return what learns with it beside the network."""

    def state(self, model: nn.Module) -> dict[str, Tensor]:
        """Return what it carries from step to step."""

    def load(self, carried: dict[str, Tensor], model: nn.Module) -> None:
        """Go on from it."""


def unlabelled_pool(train: AnySplit, labelled: np.ndarray, config: SegmentationConfig) -> np.ndarray:
    """Return the indices of the pictures that are learned from without their masks; [] where the settings ask for none.

    Args:
        train: the split.
        labelled: indices of the pictures whose masks are learned from.
        config: the settings.

    Raises:
        UserError: there are none (`data.pool`), or they are volumes.
    """
    if not config.learns_unlabelled:
        return np.arange(0)
    if isinstance(train, VolumeSplit):
        raise UserError("--unlabelled and --auxiliary are of pictures: with --patch leave them out")
    chosen = pool(train, config.unlabelled_pictures)
    require_unlabelled(train, chosen, labelled)
    return chosen


def make_parts(
    config: SegmentationConfig,
    train: AnySplit,
    chosen: np.ndarray,
    network: SegmentationUNet,
    steps: int,
    machine: Machine,
) -> list[Part]:
    """Return the parts that the settings ask for.

    Args:
        config: the settings.
        train: its arrays on the device perhaps.
        chosen: of `unlabelled_pool`.
        network: before Fabric sets it up.
        steps: of the run.
        machine: what it computes on.

    Raises:
        UserError: several processes, a network that a part cannot use, or a teacher that cannot label these pictures.
    """
    if not config.learns_unlabelled:
        return []
    if machine.processes.count > 1:
        raise UserError("--unlabelled and --auxiliary train in one process: start one, or leave them out")
    assert not isinstance(train, VolumeSplit)
    seen_by = (config.unlabelled_batch, config.seed, machine.device)
    parts: list[Part] = []
    if config.unlabelled != "off":
        teacher, taught = _teacher(config, train, chosen, machine)
        pictures = Pictures(train, taught, weak_settings(config), *seen_by)
        parts.append(Consistency(config, pictures, teacher, len(train.class_set), steps, machine.fabric))
    if config.auxiliary == "mask_hog":
        pictures = Pictures(train, chosen, config, *seen_by)
        parts.append(MaskedGradients(pictures, network, config.auxiliary_weight, steps, machine.fabric))
    return parts


def _teacher(
    config: SegmentationConfig, train: Split, chosen: np.ndarray, machine: Machine
) -> tuple[Teacher, np.ndarray]:
    """Return who labels the chosen pictures, and what of them is learned from."""
    if config.teacher_weights is None:
        return MovingTeacher(config.teacher_ema), chosen
    network = load_teacher(config.teacher_weights, train.class_set, train.channels, machine)
    if config.stable < 1:
        kept = (config.teacher_weights, config.stable, config.batch_size, train.class_set, machine)
        chosen = most_stable(train, chosen, *kept)
    return FixedTeacher(network), chosen


def with_parts(
    losses: dict[str, Tensor | None],
    parts: Sequence[Part],
    step: int,
    model: nn.Module,
    resized: Callable[[Batch, int], Batch],
) -> dict[str, Tensor | None]:
    """Return the losses of a step with those of its parts: `loss` is the mean of all, by their weights."""
    whole, weights = losses["loss"], 1.0
    assert whole is not None
    told: dict[str, Tensor | None] = {}
    for part in parts:
        found = part.losses(step, model, resized)
        weight = part.weight(step)
        whole, weights = whole + weight * next(iter(found.values())), weights + weight
        told |= found
    return {**losses, "loss": whole / weights, **told}

"""Who labels unlabelled pictures: an average of the network itself, or a network that was trained before."""

from pathlib import Path
from typing import Protocol

from torch import Tensor, nn

from core.classes import ClassSet
from core.errors import UserError
from core.evaluation import load_model
from core.machine.device import lay_out
from core.machine.machine import Machine
from core.networks.kernels import use_kernels
from core.run.learning.average import Average
from transfer_learning.network import SegmentationUNet

PREFIX = "teacher."


class Teacher(Protocol):
    """A network in eval mode, without gradients."""

    def at(self, step: int, model: nn.Module) -> nn.Module:
        """Return it as it is at a step; `model` is the learning network as Fabric set it up."""

    def state(self, model: nn.Module) -> dict[str, Tensor]:
        """Return what it carries from step to step."""

    def load(self, carried: dict[str, Tensor], model: nn.Module) -> None:
        """Go on from it. Raises LookupError, RuntimeError or UserError where it is of another network."""


class MovingTeacher:
    """The moving average of the network's weights (Tarvainen & Valpola 2017).

    It begins as the network, and takes a step's weights in before the next step: what a run carries is whole between
    steps.

    Args:
        decay: the share of it that each step keeps, less over the first steps.
    """

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self._average: Average | None = None

    def _of(self, model: nn.Module) -> Average:
        if self._average is None:
            self._average = Average(model, self._decay, warms_up=True)
            self._average.network.requires_grad_(False).eval()
        return self._average

    def at(self, step: int, model: nn.Module) -> nn.Module:
        """Return it as it is at a step, the steps before taken in."""
        average = self._of(model)
        if step:
            average.update()
        return average.network

    def state(self, model: nn.Module) -> dict[str, Tensor]:
        """Return what it carries from step to step."""
        return {f"{PREFIX}{name}": value for name, value in self._of(model).state().items()}

    def load(self, carried: dict[str, Tensor], model: nn.Module) -> None:
        """Go on from it."""
        own = {name.removeprefix(PREFIX): value for name, value in carried.items() if name.startswith(PREFIX)}
        self._of(model).load(own, "the teacher in the state of the run folder")


class FixedTeacher:
    """A network of phase 2 that was trained before: self-training, or distillation of a larger one.

    Args:
        network: in eval mode.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network.requires_grad_(False).eval()

    def at(self, step: int, model: nn.Module) -> nn.Module:
        """Return it: it stands still."""
        return self.network

    def state(self, model: nn.Module) -> dict[str, Tensor]:
        """Return nothing: its weights lie in their file."""
        return {}

    def load(self, carried: dict[str, Tensor], model: nn.Module) -> None:
        """Do nothing."""


def load_teacher(path: Path, class_set: ClassSet, channels: int, machine: Machine) -> nn.Module:
    """Return the network of weights of phase 2, on the machine's device.

    Raises:
        UserError: they are not of phase 2, or of other classes, channels or volumes.
    """
    network, header = load_model(path, "transfer_learning", SegmentationUNet, machine.device)
    if header.classes.names != class_set.names:
        there, here = ", ".join(header.classes.names), ", ".join(class_set.names)
        raise UserError(f"{path} tells other classes apart: {there} there, {here} here: it cannot label these pictures")
    if (network.dims, network.in_channels) != (2, channels):
        what = "volumes" if network.dims == 3 else f"pictures of {network.in_channels} channels"
        raise UserError(f"{path} is of {what}, these are pictures of {channels}: it cannot label them")
    use_kernels(network, machine.kernels)
    lay_out(network, machine.layout)
    return network

"""Phase 1 by distillation for the training loop: predict a teacher's features of augmented pictures."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from core.evaluation import spread
from core.machine.device import lay_out
from core.machine.machine import Machine
from core.machine.processes import Sums, merged
from data.augment.batch import Batch
from data.loading import AnySplit, plain_batches
from data.pretext.hiding import Shown
from reconstruction.config import ReconstructionConfig
from reconstruction.distillation.figures import save_errors
from reconstruction.distillation.loss import DistillationLoss
from reconstruction.distillation.network import Student
from reconstruction.distillation.teacher import Teacher
from reconstruction.task import PICTURES, ReconstructionTask


class DistillationTask(ReconstructionTask):
    """Predict the features that a pretrained network has of the augmented clean picture.

    The teacher is no part of the network: neither weights nor state hold it.

    Args:
        config: the settings.
        train, val: splits with their pictures; masks are not looked at.
        machine: what it computes on, the teacher at the same precision.
    """

    def __init__(self, config: ReconstructionConfig, train: AnySplit, val: AnySplit, machine: Machine) -> None:
        self.autocast = machine.fabric.autocast
        self.teacher = Teacher(config.teacher).to(machine.device)
        lay_out(self.teacher, machine.layout)
        super().__init__(config, train, val, machine)

    def _architecture(self, in_channels: int) -> dict[str, Any]:
        names = ("width", "normalisation", "encoder_dropout", "encoder", "teacher")
        own = {name: getattr(self.config, name) for name in names}
        return {"in_channels": in_channels, "teacher_channels": list(self.teacher.channels), **own}

    def _network(self, architecture: dict[str, Any]) -> nn.Module:
        return Student(**architecture)

    def _criterion(self) -> DistillationLoss:
        return DistillationLoss()

    def loss_sums(self, batch: tuple[Batch, Shown]) -> Sums:
        """Compare with the teacher's features of the augmented clean picture, never of the corrupted input."""
        whole, seen = batch
        return self.loss.sums(self.model(seen.images, seen.visible), self._taught(whole), seen.judged)

    def validate(self) -> dict[str, float | None]:
        """Return the loss, made of ratios of sums over all of Val, without augmentation."""
        losses: Sums = {}
        everything = np.arange(len(self.val.names))[self.processes.share(len(self.val.names))]
        for _, batch in plain_batches(self.val, everything, self.config.batch_size, self.device):
            found = self.model(batch.input, batch.content)
            losses = merged(losses, self.loss.sums(found, self._taught(batch), batch.content))
        loss = self.loss.from_sums(self.processes.add_up(losses))["loss"]
        assert loss is not None
        return {"val_loss": loss.item()}

    def header(self) -> dict[str, Any]:
        """What the weights file says of the network, and that it learned from weights of others."""
        return {**super().header(), "outside_weights": [self.config.teacher]}

    def save_pictures(self, path: Path) -> None:
        """Save the first pictures of Val, and how far student and teacher are apart in them."""
        chosen = np.array(spread(len(self.val.names), PICTURES))
        self.model.eval()
        save_errors(path, self.model, self.teacher, self.val, chosen, self.device)

    def _taught(self, batch: Batch) -> list[Tensor]:
        with self.autocast():
            return self.teacher(batch.clean, batch.content)

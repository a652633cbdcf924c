"""How well a student predicts its teacher's features of every picture of a split."""

import numpy as np
import torch
from torch import nn

from core.errors import RunError, UserError
from core.headers.header import ANEW
from core.terminal.progress import track
from data.loading import plain_batches
from data.split import Split
from reconstruction.distillation.loss import DistillationLoss
from reconstruction.distillation.network import Student
from reconstruction.distillation.teacher import Teacher


def teacher_of(student: Student, source: str) -> Teacher:
    """Return the teacher of a student; raises UserError where its weights cannot be had, or it is another network."""
    teacher = Teacher(student.teacher)
    if teacher.channels != student.teacher_channels:
        raise UserError(
            f"{source}: its header is damaged (teacher {student.teacher} has features of {teacher.channels} channels, "
            f"not {student.teacher_channels}): {ANEW}"
        )
    return teacher


def feature_errors(
    student: nn.Module, teacher: Teacher, split: Split, batch_size: int, device: torch.device
) -> dict[str, np.ndarray]:
    """Return `target_error` [N] float64: each picture's own `DistillationLoss`."""
    loss, found = DistillationLoss(), np.full(len(split.names), np.nan)
    everything = np.arange(len(split.names))
    batches = plain_batches(split, everything, batch_size, device)
    for indices, batch in track(batches, f"predicting {split.name}", -(-len(everything) // batch_size)):
        with torch.inference_mode():
            pairs = [student(batch.clean, batch.content), teacher(batch.clean, batch.content)]
        for place, index in enumerate(indices):
            one = slice(place, place + 1)
            own, wanted = ([feature[one] for feature in features] for features in pairs)
            value = loss.from_sums(loss.sums(own, wanted, batch.content[one]))["loss"]
            assert value is not None
            found[index] = value.item()
            if not np.isfinite(found[index]):
                raise RunError(f"the prediction for {split.names[index]} holds NaN or infinity: the network broke")
    return {"target_error": found}

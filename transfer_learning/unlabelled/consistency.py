"""Learning what a teacher says of unlabelled pictures, from a strongly changed view of them: FixMatch and CutMix."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.classes import IGNORED
from core.machine.fabric import Fabric
from core.networks.dropout import share_of_batch
from data.augment.batch import Batch
from transfer_learning.unlabelled.pictures import Pictures
from transfer_learning.unlabelled.settings import UnlabelledConfig
from transfer_learning.unlabelled.teachers import Teacher
from transfer_learning.unlabelled.thresholds import Confidence
from transfer_learning.unlabelled.views import believed, pasted, pieces, strong_view

THRESHOLDS = "thresholds."


class Consistency:
    """The part of a step's loss that a teacher gives.

    Args:
        config: the settings.
        pictures: what it learns from; the teacher's view of them.
        teacher: who labels them.
        num_classes: C.
        steps: of the run.
        fabric: computes the teacher at the precision of the run.
    """

    columns = ("train_unlabelled", "train_believed")

    def __init__(
        self,
        config: UnlabelledConfig,
        pictures: Pictures,
        teacher: Teacher,
        num_classes: int,
        steps: int,
        fabric: Fabric,
    ) -> None:
        self.config, self.pictures, self.teacher, self.fabric = config, pictures, teacher, fabric
        self.confidence = Confidence(config.thresholds, config.threshold, num_classes, steps, fabric.device)

    def losses(self, step: int, model: nn.Module, resized: Callable[[Batch, int], Batch]) -> dict[str, Tensor]:
        """Return `unlabelled`, the loss with its graph, and `believed`, the share of the content's pixels in it."""
        teacher = self.teacher.at(step, model)
        weak, keys = self.pictures.batch(step)
        weak = resized(weak, step)
        with torch.no_grad(), self.fabric.autocast():
            probabilities = teacher(weak.clean, weak.content).float().softmax(dim=1)
        self.confidence.see(probabilities, weak.content)
        label, content = believed(probabilities, weak.content, self.confidence.at(step))
        height, width = weak.clean.shape[2:]
        piece = pieces(keys, (height, width), self.config.cutmix).to(label.device)
        label, content = pasted(label, piece), pasted(content, piece)
        with share_of_batch(0, len(label)):
            logits = model(pasted(strong_view(weak, keys), piece), content[:, None])
        pixels = content.sum().clamp(min=1)
        loss = F.cross_entropy(logits.float(), label, ignore_index=IGNORED, reduction="sum") / pixels
        return {"unlabelled": loss, "believed": (label != IGNORED).sum() / pixels}

    def parameters(self) -> list[nn.Parameter]:
        """Return nothing: the teacher follows the network."""
        return []

    def weight(self, step: int) -> float:
        """Return the weight of `unlabelled` beside 1 for what is labelled."""
        rampup = self.config.unlabelled_rampup
        risen = math.exp(-5 * (1 - step / rampup) ** 2) if step < rampup else 1.0
        return self.config.unlabelled_weight * risen

    def state(self, model: nn.Module) -> dict[str, Tensor]:
        """Return what `load` goes on from."""
        known = {f"{THRESHOLDS}{name}": value for name, value in self.confidence.state().items()}
        return {**self.teacher.state(model), **known}

    def load(self, carried: dict[str, Tensor], model: nn.Module) -> None:
        """Go on from a state. Raises LookupError, RuntimeError or UserError where it is of another network."""
        self.teacher.load(carried, model)
        known = {name.removeprefix(THRESHOLDS): value for name, value in carried.items() if THRESHOLDS in name}
        self.confidence.load(known)

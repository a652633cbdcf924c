"""From which probability on a teacher is believed, class by class."""

import torch
from torch import Tensor

from transfer_learning.unlabelled.settings import Thresholds

MOMENTUM = 0.99  # of what is known of the teacher: about the last hundred steps


class Confidence:
    """Thresholds that follow a run.

    With `class` they are those of FreeMatch (Wang et al. 2023, "Self-adaptive Thresholding"): the mean confidence of
    the teacher, times how often it says a class over how often it says the most frequent one; never above `highest`.

    Args:
        kind, highest: `--thresholds` and `--threshold`.
        num_classes: C.
        steps: of the run, over which `ramp` rises.
        device: of the thresholds.
    """

    def __init__(self, kind: Thresholds, highest: float, num_classes: int, steps: int, device: torch.device) -> None:
        self.kind, self.highest, self.steps = kind, highest, steps
        self.mean = torch.full((), 1 / num_classes, device=device)
        self.classes = torch.full((num_classes,), 1 / num_classes, device=device)

    def see(self, probabilities: Tensor, content: Tensor) -> None:
        """Take in what a teacher says of a batch: [N, C, H, W] fp32, content [N, 1, H, W] bool."""
        if self.kind != "class":
            return
        pixels = content.sum().clamp(min=1)
        confidence = (probabilities.amax(dim=1, keepdim=True) * content).sum() / pixels
        self.mean.lerp_(confidence, 1 - MOMENTUM)
        self.classes.lerp_((probabilities * content).sum((0, 2, 3)) / pixels, 1 - MOMENTUM)

    def at(self, step: int) -> Tensor:
        """Return the thresholds [C] of a step."""
        if self.kind == "class":
            return (self.mean * self.classes / self.classes.max()).clamp(max=self.highest)
        lowest = 1 / len(self.classes)
        share = min(1.0, (step + 1) / self.steps) if self.kind == "ramp" else 1.0
        return torch.full_like(self.classes, lowest + (self.highest - lowest) * share)

    def state(self) -> dict[str, Tensor]:
        """Return what `load` goes on from."""
        return {"mean": self.mean, "classes": self.classes}

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on from a state. Raises LookupError or RuntimeError where it is of other classes."""
        for name, own in self.state().items():
            own.copy_(state[name])

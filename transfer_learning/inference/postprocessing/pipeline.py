"""The steps of `--postprocess` in their order, from the mean probabilities of a picture to its classes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from core.classes import ClassSet
from core.errors import UserError
from core.filing.words import nearest
from transfer_learning.inference.postprocessing import regions
from transfer_learning.inference.postprocessing.crf import dense_crf
from transfer_learning.inference.postprocessing.guided import guided_filter
from transfer_learning.inference.postprocessing.steps import Step
from transfer_learning.scores.confusion import likeliest

ON_PROBABILITIES = {"crf": dense_crf, "guided": guided_filter}
ON_MASKS: dict[str, Callable[..., np.ndarray]] = {
    "median": regions.median,
    "open": regions.opened,
    "close": regions.closed,
    "largest": regions.largest,
    "fill": regions.filled,
    "min_area": regions.at_least,
}
# What gains pixels: without a class they are taken from the background alone, which there must be.
GROWS = ("close", "fill")


class Reading(NamedTuple):
    """What is read of a picture at the end.

    Attributes:
        labels: [H, W] uint8, the class of each pixel.
        confidence: [H, W] float32, the probability of that class: where a step gave a pixel to another class than the
            likeliest, it is that other's.
        probabilities: [C, H, W] float32, as the last step on probabilities left them.
    """

    labels: np.ndarray
    confidence: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True)
class Pipeline:
    """Steps for certain classes.

    Raises:
        UserError: a step is for a class that there is not, or needs a background and there is none.
    """

    steps: Sequence[Step]
    classes: ClassSet

    def __post_init__(self) -> None:
        for step in self.steps:
            if step.of is not None and step.of not in self.classes.names:
                near = nearest(step.of, self.classes.names) or f": there are {', '.join(self.classes.names[:25])}"
                raise UserError(f"postprocess {step}: there is no class {step.of!r}{near}")
            if step.name in GROWS and step.of is None and self.classes.background is None:
                raise UserError(
                    f"postprocess {step}: it takes pixels from the background, which these data do not have: name the "
                    f"class that gains them, {step}[{self.classes.names[0]}]"
                )

    @property
    def looks(self) -> bool:
        """Whether a step looks at the picture."""
        return any(step.name in ON_PROBABILITIES for step in self.steps)

    def read(self, probabilities: np.ndarray, picture: np.ndarray | None) -> Reading:
        """Return what the steps make of a picture.

        Args:
            probabilities: [C, H, W] float32.
            picture: [H, W(, 3)] uint8; None where no step is on probabilities.
        """
        labels, confidence = likeliest(probabilities)
        for step in self.steps:
            if step.name in ON_PROBABILITIES:
                assert picture is not None
                assert step.number is not None, "these take one"
                probabilities = ON_PROBABILITIES[step.name](_as_labelled(probabilities, labels), picture, step.number)
                labels, confidence = likeliest(probabilities)
            else:
                labels = self._on_labels(step, labels, probabilities)
        if any(step.name in ON_MASKS for step in self.steps):
            confidence = np.take_along_axis(probabilities, labels[None].astype(np.intp), axis=0)[0]
        return Reading(labels, confidence, probabilities)

    def _on_labels(self, step: Step, labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        if step.name == "median" and step.of is None:
            assert step.number is not None, "the side of its window"
            return regions.majority(labels, step.number)
        if step.of is not None:
            classes: Sequence[int] = [self.classes.names.index(step.of)]
        else:
            classes = self.classes.foreground or range(len(self.classes))
        number = () if step.number is None else (step.number,)

        def change(mask: np.ndarray) -> np.ndarray:
            return ON_MASKS[step.name](mask, *number)

        takes_from = None if step.of is not None or step.name not in GROWS else self.classes.background
        return regions.of_classes(change, labels, probabilities, classes, takes_from)


def _as_labelled(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return probabilities whose likeliest class is the label: where it is not, the two classes trade theirs."""
    likely, _ = likeliest(probabilities)
    changed = likely != labels
    if not changed.any():
        return probabilities
    traded = probabilities.copy()
    rows, columns = np.nonzero(changed)
    ours, theirs = labels[changed], likely[changed]
    traded[theirs, rows, columns], traded[ours, rows, columns] = (
        probabilities[ours, rows, columns],
        probabilities[theirs, rows, columns],
    )
    return traded

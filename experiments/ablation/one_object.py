"""Whether the class of a picture's one object was told, and its outline alone, beside the mean IoU of arms."""

from collections.abc import Sequence

import numpy as np

from experiments.ablation.format import OneObject
from experiments.ablation.results import Arm

COLUMNS = ["class told", "outline mean IoU"]
NOTE = (
    "Each test picture holds one foreground class at most. Class told: the share of pictures of which more was said to "
    "be that class than any other foreground class; outline mean IoU: with that class painted into all that was said "
    "to be foreground."
)


def one_object_means(arms: Sequence[Arm]) -> OneObject:
    """Return the means over arms; they were scored on the same masks, so that all have a score or none has."""
    scores = {name: [getattr(arm.one_object, name) for arm in arms] for name in OneObject.model_fields}
    return OneObject(**{name: None if None in found else float(np.mean(found)) for name, found in scores.items()})


def has_one_object(found: OneObject) -> bool:
    """Say whether a table shows both: with a single foreground class the outline is the mean IoU."""
    return found.class_accuracy is not None

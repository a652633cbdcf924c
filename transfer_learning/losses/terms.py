"""The terms that a loss is made of: a row of one of two tables each, and the class that it names.

The fields of the class are what can be set of it (`focal(gamma=2)`). Nothing here imports torch, so that settings are
checked at once.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from transfer_learning.losses.distances import BorderWeight, Boundary
from transfer_learning.losses.pixelwise import CrossEntropy, Focal, HardPixels, LabelSmoothing
from transfer_learning.losses.regions import Dice, Jaccard, Lovasz, Tversky

if TYPE_CHECKING:
    from torch import Tensor

    from transfer_learning.losses.scored import Scored

    # From the pixels of each class [C] in a batch to the classes' weights [C].
    ClassWeighting = Callable[[Tensor], Tensor]


class Term(Protocol):
    """A part of the loss, made of sums that add up over batches and processes.

    Attributes:
        reads: which of `ClassSums` it reads ("overlap", "cross_entropy"), so that one pass makes those of all terms.
    """

    @property
    def reads(self) -> tuple[str, ...]: ...  # noqa: D102

    def sums(self, batch: "Scored") -> "tuple[Tensor, ...]":
        """Return the sums over a batch, with their graph."""

    # Each takes what its own `sums` returns, by names of its own: Any twice is how a checker lets it.
    def value(self, weigh: "ClassWeighting", *sums: Any, **by_name: Any) -> "Tensor":
        """Return the term from sums of one batch or of several; `weigh` makes the classes' weights of their pixels."""


# Those that heed the classes' weights.
PIXELWISE: dict[str, Callable[..., Term]] = {
    "ce": CrossEntropy,
    "focal": Focal,
    "ohem": HardPixels,
    "label_smoothing": LabelSmoothing,
    "border_weight": BorderWeight,
}
TERMS: dict[str, Callable[..., Term]] = {
    **PIXELWISE,
    "dice": Dice,
    "tversky": Tversky,
    "jaccard": Jaccard,
    "lovasz": Lovasz,
    "boundary": Boundary,
}

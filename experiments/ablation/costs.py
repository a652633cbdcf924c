"""What trainings cost, as the files of an ablation's results folder say it, and the sum of several."""

from collections.abc import Sequence
from typing import Annotated, TypeVar

from pydantic import Field, FiniteFloat

from experiments.evaluations import Content, Count, Settings

Seconds = Annotated[FiniteFloat, Field(ge=0)]
MultiplyAdds = Annotated[FiniteFloat, Field(ge=0)] | None
Number = TypeVar("Number", int, float)


def sum_if_known(parts: Sequence[Number | None]) -> Number | None:
    """Return the sum of numbers; None where one is not known."""
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


class Compute(Content):
    """What one training cost.

    Args:
        images: training pictures, each as often as it was drawn.
        passes: picture passes of all steps: a forward pass counts 1 a picture, one with its way back 3. None in files
            of before.
        multiply_adds: of all passes, each at what a forward pass takes; None where that was not counted.
    """

    seconds: Seconds
    images: Count
    parameters: Count | None = None
    device: str = "not noted"
    passes: Count | None = None
    multiply_adds: MultiplyAdds = None

    @property
    def picture_passes(self) -> int:
        """Its picture passes; runs of before had no other pictures than those of `images`."""
        return 3 * self.images if self.passes is None else self.passes


class Pretrained(Content):
    """A phase 1 run behind an arm, and what it cost; None where that is not known."""

    name: str
    sha256: str | None = None
    passes: Count | None = None
    multiply_adds: MultiplyAdds = None


class Teacher(Content):
    """The arm that labelled unlabelled pictures for another.

    What it cost is that of its phase 2 and of the arms that taught it; `pretrained`: the phase 1 runs behind them.
    """

    variant: str
    sha256: str
    passes: Count | None = None
    multiply_adds: MultiplyAdds = None
    pretrained: tuple[Pretrained, ...] = ()


class Encoder(Content):
    """The phase 1 run that an arm started from; other arms may share it."""

    name: str
    settings: Settings
    sha256: str | None = None
    seconds: Seconds | None = None
    images: Count | None = None
    val_loss: FiniteFloat | None = None
    compute: Compute | None = None

    @property
    def picture_passes(self) -> int | None:
        """As of `Compute`; None where the file does not say how many pictures it saw."""
        if self.compute:
            return self.compute.picture_passes
        return None if self.images is None else 3 * self.images

    @property
    def as_pretrained(self) -> Pretrained:
        """What it cost."""
        return Pretrained(
            name=self.name,
            sha256=self.sha256,
            passes=self.picture_passes,
            multiply_adds=self.compute.multiply_adds if self.compute else None,
        )

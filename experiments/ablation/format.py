"""What the files of an ablation's results folder hold: one class a kind of file, checked as it is read."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[FiniteFloat, Field(ge=0)]


class _Content(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ArmName(_Content):
    """What tells an arm from the others."""

    variant: str
    fraction: Annotated[FiniteFloat, Field(gt=0, le=1)]
    seed: int
    learning_rate: Annotated[FiniteFloat, Field(gt=0)]


class Compute(_Content):
    """What one training cost."""

    seconds: Seconds
    images: Count
    parameters: Count | None = None
    device: str = "not noted"


class Encoder(_Content):
    """The phase 1 run that an arm started from; several arms share it."""

    name: str
    settings: dict[str, Any] = {}
    sha256: str | None = None
    seconds: Seconds | None = None
    images: Count | None = None
    val_loss: FiniteFloat | None = None


class Provenance(_Content):
    """The code that made an arm; versions by library."""

    commit: str | None = None
    versions: dict[str, str] = {}


class Trial(_Content):
    """One run of the little learning-rate grid, scored on Val only; no score where training stopped being finite."""

    format: Literal["ablation tuning 1"]
    arm: ArmName
    num_labels: Count
    val_mean_iou: FiniteFloat | None
    resolution: int
    data_sha256: str
    compute: Compute


class ArmContent(_Content):
    """One finished arm, as its file says; `per_image`: name -> C * C counts, truth by prediction, row by row."""

    format: Literal["ablation arm 1"]
    arm: ArmName
    num_labels: Count
    val_mean_iou: FiniteFloat
    mean_iou: FiniteFloat
    class_names: tuple[str, ...]
    settings: dict[str, Any]
    pretraining: Encoder | None
    resolution: int
    width: int | None
    data_sha256: str
    compute: Compute
    provenance: Provenance
    per_image: dict[str, list[Count]]


class PretrainingRun(_Content):
    """One phase 1 run."""

    format: Literal["ablation pretraining 1"]
    name: str
    sha256: str | None = None
    seconds: Seconds
    images: Count
    data_sha256: str


class Variant(_Content):
    """What the plan says of a variant.

    `baseline`: the variant that it is compared with, if not the plan's; `control`: whether it may differ in more than
    one thing, its steps among them, and so is never the best.
    """

    title: str
    outside_weights: bool
    autoencoder: bool
    control: bool = False
    settings: dict[str, Any] = {}
    pretraining: str | None = None
    baseline: str | None = None


class Plan(_Content):
    """What the grid was; `more_seeds`: fraction -> seeds beyond those of all fractions."""

    format: Literal["ablation plan 1"]
    baseline: str
    fractions: tuple[float, ...]
    seeds: tuple[int, ...]
    more_seeds: dict[float, tuple[int, ...]] = {}
    variants: dict[str, Variant]

    def seeds_at(self, fraction: float) -> tuple[int, ...]:
        """Return all seeds that a fraction has, rising."""
        return tuple(sorted({*self.seeds, *self.more_seeds.get(fraction, ())}))

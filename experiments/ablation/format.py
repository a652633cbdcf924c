"""What the files of an ablation's results folder hold: one class a kind of file, written and read through it alone."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

import numpy as np
from pydantic import Field, FiniteFloat, ValidationError, model_validator

from core.errors import UserError, first_problem
from core.filing.json_file import NotJSONError, read_json
from experiments.ablation.costs import Compute, Encoder, Pretrained, Seconds, Teacher, sum_if_known
from experiments.evaluations import Classes, Content, Count, Resolution, Score, Settings


class ArmName(Content):
    """What tells an arm from the others."""

    variant: str
    fraction: Annotated[FiniteFloat, Field(gt=0, le=1)]
    seed: int
    learning_rate: Annotated[FiniteFloat, Field(gt=0)]


class ArmProvenance(Content):
    """The code and the weights that made an arm; versions by library."""

    commit: str | None = None
    versions: Annotated[dict[str, str], Field(default_factory=dict)]
    weights_sha256: str | None = None


class PhaseTwo(Content):
    """What every phase 2 run of the grid says.

    Args:
        val_mean_iou: the best on Val; None where training stopped being finite.
        best_step: after which it was reached.
        log: steps and the mean IoU on Val after them; () in files of before.
        settings: all that made the run what it is.
        pretraining: None where it began from scratch.
        teacher: of self-training; None of all else.
        data_sha256: the fingerprint of the prepared data.
        num_val_labels: the masks of Val that selected its checkpoint; None in files of before, which had all.
    """

    format: str
    arm: ArmName
    num_labels: Count
    val_mean_iou: Score
    best_step: Count | None = None
    log: tuple[tuple[Count, Score], ...] = ()
    settings: Settings
    pretraining: Encoder | None
    resolution: Resolution
    data_sha256: str
    compute: Compute
    num_val_labels: Count | None = None
    teacher: Teacher | None = None

    @model_validator(mode="after")
    def _names_its_teacher(self) -> Self:
        if self.settings.get("unlabelled") == "self_training" and self.teacher is None:
            raise ValueError("settings say unlabelled self_training, and no teacher is named")
        return self

    @property
    def pretrained(self) -> tuple[Pretrained, ...]:
        """The phase 1 runs that it and the arms that taught it began with, each once."""
        found = [*self.teacher.pretrained] if self.teacher else []
        found += [self.pretraining.as_pretrained] if self.pretraining else []
        return tuple({one.sha256 or one.name: one for one in found}.values())

    @property
    def phase_1_passes(self) -> int | None:
        """Their picture passes; None where not known."""
        return sum_if_known([one.passes for one in self.pretrained])

    @property
    def phase_2_passes(self) -> int | None:
        """Its picture passes and those of the arms that taught it, without any phase 1; None where not known."""
        taught = self.teacher.passes if self.teacher else 0
        return None if taught is None else self.compute.picture_passes + taught

    @property
    def phase_2_multiply_adds(self) -> float | None:
        """The multiply-adds of these; None where some were not counted."""
        return sum_if_known([self.compute.multiply_adds, *([self.teacher.multiply_adds] if self.teacher else [])])

    def total_passes(self, tasks: int = 1) -> int | None:
        """Return its picture passes, its teacher's, and those of their phase 1, which so many tasks share.

        None where not known.
        """
        own, phase_1 = self.phase_2_passes, self.phase_1_passes
        return None if own is None or phase_1 is None else own + round(phase_1 / tasks)

    @property
    def total_multiply_adds(self) -> float | None:
        """Those of its passes, of its teacher's and of their phase 1; None where some were not counted."""
        return sum_if_known([self.phase_2_multiply_adds, *(one.multiply_adds for one in self.pretrained)])


class Trial(PhaseTwo):
    """One run of the little learning-rate grid, scored on Val only."""

    FOLDER: ClassVar = "tuning"

    format: Literal["ablation tuning 1"] = "ablation tuning 1"


class OneObject(Content):
    """Scores of pictures that hold one foreground class each; None where these do not, or there is nothing to tell."""

    class_accuracy: Score = None
    outline_mean_iou: Score = None


class ArmContent(PhaseTwo):
    """One finished arm.

    `per_image`: name -> 3 * C counts of pixels: what was hit of each class, then what is true of it, then what was
    said. The first format had the confusion matrix of each picture, C * C counts, and the names of the classes alone.
    `one_object`: None in files of before; the counts give it.
    """

    FOLDER: ClassVar = "arms"

    format: Literal["ablation arm 1", "ablation arm 2"] = "ablation arm 2"
    val_mean_iou: Annotated[FiniteFloat, Field(ge=0, le=1)]
    mean_iou: Annotated[FiniteFloat, Field(ge=0, le=1)]
    class_set: Classes
    one_object: OneObject | None = None
    width: int | None
    provenance: ArmProvenance
    per_image: dict[str, list[Count]]

    @model_validator(mode="before")
    @classmethod
    def _of_first_format(cls, content: Any) -> Any:
        from transfer_learning.scores.confusion import counts_of

        if not isinstance(content, dict) or content.get("format") != "ablation arm 1":
            return content
        names, rows = content.get("class_names"), content.get("per_image")
        if not isinstance(names, list) or not isinstance(rows, dict):
            raise ValueError("no class_names or no per_image")
        if not all(isinstance(row, list) for row in rows.values()):
            raise ValueError("per_image does not have a list for every image")
        # The classes were those of Oxford-IIIT Pet.
        classes = {"names": names, "background": 0, "ignored_is": "border", "colours": []}
        cells = np.array([*rows.values()]) if len({*map(len, rows.values())}) == 1 else np.array(None)
        if cells.dtype.kind not in "iu" or cells.shape != (len(rows), len(names) ** 2) or (cells < 0).any():
            raise ValueError(f"per_image does not have {len(names) ** 2} counts for every image")
        matrices = cells.reshape(-1, len(names), len(names))
        counts = np.moveaxis(counts_of(matrices), -1, 1).reshape(len(rows), -1).tolist()
        return {**content, "class_set": classes, "per_image": dict(zip(rows, counts, strict=True))}


class PretrainingRun(Content):
    """One phase 1 run; `log`: steps and the loss on Val after them."""

    FOLDER: ClassVar = "pretraining"

    format: Literal["ablation pretraining 1"] = "ablation pretraining 1"
    name: str
    settings: Settings
    sha256: str | None = None
    seconds: Seconds
    images: Count
    val_loss: FiniteFloat | None = None
    log: tuple[tuple[Count, FiniteFloat], ...] = ()
    data_sha256: str
    compute: Compute | None = None

    @property
    def encoder(self) -> Encoder:
        """What an arm that begins with it says of it."""
        return Encoder(**self.model_dump(include={*Encoder.model_fields}))


MADE_AGAIN = "delete it, and the same `experiments.ablate` command makes it again"

Kind = TypeVar("Kind", bound=Content)
Result = ArmContent | Trial | PretrainingRun
ResultKind = TypeVar("ResultKind", bound=Result)
KINDS: tuple[type[Result], ...] = (ArmContent, Trial, PretrainingRun)


def read(path: Path, kind: type[Kind]) -> Kind:
    """Return what a file holds; raises UserError where it is damaged or of another kind."""
    try:
        return kind.model_validate(read_json(path))
    except NotJSONError as error:
        raise UserError(f"{path} is not valid JSON ({error.reason}): {MADE_AGAIN}") from None
    except ValidationError as errors:
        raise UserError(f"{path} is damaged or not of this kind ({first_problem(errors)}): {MADE_AGAIN}") from None


def results_of(folder: Path, kind: type[ResultKind]) -> list[tuple[Path, ResultKind]]:
    """Return the files of a kind in a results folder, by name, and what they hold."""
    return [(path, read(path, kind)) for path in sorted((folder / kind.FOLDER).glob("*.json"))]

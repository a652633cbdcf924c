"""What the evaluation commands leave, of today's format and of the first one, as one typed object.

The first format kept the scores of a class under its name, beside the scores over all pictures, and those of breeds
under `per_breed`. Here such a file is turned into today's form; nothing else knows of it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeGuard

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from core.classes import ClassSet
from core.errors import UserError, first_problem
from core.evaluation import in_words
from core.files import NotAFileError
from core.filing import json_file

FORMAT = 2
# One of these an evaluation always leaves: the score that says most.
DECISIVE = ("mean_iou", "psnr", "target_error")
# Names of the first format that are called otherwise today.
RENAMED = {"foreground_iou_border_as_animal": "foreground_iou_border_as_object"}

Count = Annotated[int, Field(ge=0, lt=2**63)]
Score = FiniteFloat | None


# Side of the square that a network sees, or height and width; of volumes depth, height and width.
Resolution = int | list[int]
Settings = Annotated[dict[str, Any], Field(default_factory=dict)]


def _class_set(content: Any) -> ClassSet:
    return content if isinstance(content, ClassSet) else ClassSet.of(content)


Classes = Annotated[ClassSet, BeforeValidator(_class_set), PlainSerializer(ClassSet.content)]


class Content(BaseModel):
    """What a file holds; what it holds beside the fields is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Provenance(Content):
    """Where scores come from; None where it was not noted."""

    commit: str | None = None
    checkpoint_sha256: str | None = None
    data_set: str | None = None
    data_sha256: str | None = None
    pictures_seen: Count | None = None  # of those scored: in training
    split: str | None = None
    resolution: Resolution | None = None
    views: str | None = None  # of each picture, in words
    seed: int | None = None
    epoch: int | None = None
    device: str | None = None
    training: dict[str, Any] = {}
    versions: dict[str, str] = {}


class TagScores(Content):
    """The scores of the pictures that share a tag's value; `iou` by class."""

    num_images: Count = 0
    mean_iou_true_classes: Score = None
    foreground_iou: Score = None
    iou: dict[str, Score] = {}


class FigureEntry(Content):
    """A picture below the results folder, and what a reader needs to know of it."""

    file: str = ""
    title: str = ""
    caption: str = ""


class Strip(Content):
    """Tiles of a few pictures: a row a picture, the columns picture, truth and prediction.

    Args:
        file: a PNG below the results folder.
        tile: side of a tile in pixels.
        names: of the pictures.
        classes: that are to be seen in the masks.
        unscored: whether some pixels are drawn grey.
    """

    file: str
    tile: Annotated[int, Field(ge=1)]
    names: list[str]
    classes: list[str] = []
    unscored: bool = False


class Evaluation(Content):
    """An evaluation of either phase.

    Args:
        class_set: None in phase 1.
        num_images: pictures scored.
        scores: over all pictures, the decisive one first; None where there was nothing to score.
        classes: class -> score -> value; `class_intervals` likewise.
        intervals: of `scores` and of what `more` holds, under the same keys.
        confusion_matrix: pixels, rows truth, columns prediction, in the order of the classes.
        tags: tag -> value -> scores.
        strip: pictures, truth and predictions as tiles; None in phase 1 and where none were drawn.
        more: everything else that a reader may want to see.
    """

    phase: Literal["transfer_learning", "reconstruction"]
    class_set: Classes | None = None
    num_images: Count = 0
    scores: dict[str, Score]
    classes: dict[str, dict[str, Score]] = {}
    intervals: dict[str, Any] = {}
    class_intervals: dict[str, dict[str, Any] | None] = {}
    confusion_matrix: list[list[Count]] = []
    tags: dict[str, dict[str, TagScores]] = {}
    figures: list[FigureEntry] = []
    strip: Strip | None = None
    latent_space: dict[str, Any] | None = None
    more: dict[str, Any] = {}
    provenance: Provenance = Provenance()

    @model_validator(mode="after")
    def _require_whole(self) -> Self:
        if not self.scores.keys() & {*DECISIVE}:
            raise ValueError(f"none of {', '.join(DECISIVE)} is a number")
        names = self.class_set.names if self.class_set else ()
        if {*self.classes} != {*names}:
            raise ValueError(f"scores of {', '.join(self.classes)} for the classes {', '.join(names)}")
        if len(self.confusion_matrix) != len(names) or any(len(row) != len(names) for row in self.confusion_matrix):
            raise ValueError(f"the confusion matrix is not {len(names)} x {len(names)}")
        return self

    @property
    def target(self) -> str | None:
        """What a phase 1 predicts that does not predict pictures."""
        return self.more.get("target")

    @classmethod
    def of(cls, content: Mapping[str, Any], where: Path) -> Self:
        """Return the evaluation that a JSON of either format holds.

        Raises:
            UserError: it is none, of a later format, or damaged.
        """
        version = content.get("format", 1)
        if version not in (1, FORMAT):
            raise UserError(f"{where} is of format {version!r}, this version reads 1 and {FORMAT}: evaluate again")
        if not content.keys() & {*DECISIVE}:
            raise UserError(f"{where} is not a result of the evaluation commands: evaluate again")
        try:
            return cls.model_validate(_sorted_out(content if version == FORMAT else _of_first_format(content)))
        except ValidationError as errors:
            raise UserError(f"{where} is damaged ({first_problem(errors)}): evaluate again") from None
        except (AttributeError, TypeError, ValueError) as error:  # what is sorted out is not yet known to be mappings
            raise UserError(f"{where} is damaged ({error}): evaluate again") from None


def same_classes(first: ClassSet | None, second: ClassSet | None) -> bool:
    """Say whether two sets tell the same classes apart, in the same order; colours do not matter."""
    return first is second or bool(
        first and second and (first.names, first.background) == (second.names, second.background)
    )


def in_pixels(resolution: Resolution) -> str:
    """Return a resolution in words, as the flag `--size` takes it."""
    return str(resolution) if isinstance(resolution, int) else in_words(resolution)


def with_unit(resolution: Resolution) -> str:
    """Return a resolution in words for readers: 128 px, 360x480 px, 32x32x32 voxels."""
    if not isinstance(resolution, int) and is_of_volumes(resolution):
        return f"{'x'.join(map(str, resolution))} voxels"
    return f"{in_pixels(resolution)} px"


def is_of_volumes(resolution: Resolution) -> bool:
    """Say whether a resolution has three sides."""
    return isinstance(resolution, list) and len(resolution) == 3


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file that holds an object; raises UserError for any other."""
    try:
        content = json_file.read_json(path)
    except json_file.NotJSONError as error:
        raise UserError(f"{path} is not valid JSON ({error.reason}): evaluate again") from None
    except NotAFileError as error:
        raise UserError(f"{path} is {error.reason}: evaluate again") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} is not one of ours: evaluate again")
    return content


def is_evaluation(content: Mapping[str, Any]) -> bool:
    """Say whether a JSON of any name is an evaluation's; an arm of an ablation also has a mean IoU and a provenance."""
    if isinstance(content.get("format"), str):
        return False
    return "provenance" in content and bool(content.keys() & {*DECISIVE})


def is_number(value: Any) -> TypeGuard[float]:
    """Return whether a value of a JSON is a number, not a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _of_first_format(content: Mapping[str, Any]) -> dict[str, Any]:
    today = {RENAMED.get(key, key): value for key, value in content.items()}
    today["phase"] = "transfer_learning" if "mean_iou" in content else "reconstruction"
    intervals = {RENAMED.get(key, key): value for key, value in (content.get("intervals") or {}).items()}
    matrix = content.get("confusion_matrix")
    if matrix:
        scored = [key for key, value in content.items() if isinstance(value, dict) and {"iou", "dice"} <= value.keys()]
        names = scored[: len(matrix)]
        # What a border is scored as tells the data set with trimaps; own pictures had none.
        ignored = "border" if today.get("foreground_iou_border_as_object") is not None else "unknown"
        today["class_set"] = {"names": names, "background": 0, "ignored_is": ignored, "colours": []}
        today["classes"] = {name: today.pop(name) for name in names}
        intervals["classes"] = {name: intervals.pop(name) for name in names if name in intervals}
    today["intervals"] = intervals
    breeds = today.pop("per_breed", None)
    today["tags"] = {"breed": breeds} if breeds else {}
    return today


def _sorted_out(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an `Evaluation`: single numbers are scores, what has no field of its own is `more`."""
    rest = dict(content)
    rest.pop("format", None)
    rest.pop("calibration", None)  # drawn in a figure
    num_images = [rest.pop(key) for key in ("num_images", "num_samples") if key in rest]
    intervals = dict(rest.pop("intervals", None) or {})
    of_classes = intervals.pop("classes", None) or {}
    own = {name: rest.pop(name) for name in Evaluation.model_fields if name in rest}
    scores = {key: rest.pop(key) for key, value in [*rest.items()] if value is None or is_number(value)}
    return {
        **{name: value for name, value in own.items() if value is not None},
        "num_images": next(iter(num_images), 0),
        "intervals": intervals,
        "class_intervals": of_classes,
        "scores": {key: scores[key] for key in sorted(scores, key=lambda key: key not in DECISIVE)},
        "more": {key: value for key, value in rest.items() if value not in ([], {})},
    }

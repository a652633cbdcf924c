"""What a finished run folder says, and the small JSON that the grid makes of it."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
from filelock import FileLock, Timeout
from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open

from core.errors import UserError, first_problem
from core.files import atomic_path, file_sha256, require_regular, write_json
from core.filing.training_log import read_log
from core.filing.writing import LOCK
from experiments.ablation.costs import Compute
from experiments.ablation.format import ArmContent, ArmProvenance, OneObject, PretrainingRun, Result
from experiments.evaluations import read_json
from experiments.grid.planning.prepared import GridData
from experiments.per_image import image_counts
from experiments.runs import LOG, Run

WEIGHTS = "best_model.safetensors"
# Tensors that are counted along, not learned.
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_Kind = TypeVar("_Kind")


@dataclass(frozen=True)
class Training:
    """What a run folder of phase 2 says: the best Val score and its step (None: it broke), Val over the steps, ..."""

    settings: dict[str, Any]
    val_mean_iou: float | None
    best_step: int | None
    compute: Compute
    log: tuple[tuple[int, float | None], ...] = ()


@dataclass(frozen=True)
class _Machine:
    device: str


@dataclass(frozen=True)
class _Description:
    """What a run's training_config.json says."""

    identity: dict[str, Any]
    machine: _Machine
    commit: str | None
    versions: dict[str, str]


@dataclass(frozen=True)
class _Best:
    """What a run's metrics.json says of either phase."""

    epoch: Annotated[int, Field(ge=1)]
    mean_iou: FiniteFloat | None = None
    val_loss: FiniteFloat | None = None


@dataclass(frozen=True)
class LogRow:
    """What a row of a run's training_log.csv says of either phase."""

    epoch: Annotated[int, Field(ge=1)]
    epoch_time: Annotated[FiniteFloat, Field(ge=0)]
    val_loss: FiniteFloat | None = None
    mean_iou: FiniteFloat | None = None


def is_free(folder: Path, name: str = LOCK) -> bool:
    """Say whether no process writes to a run folder; after a SIGKILL the children need a moment to save and leave.

    Args:
        folder: the run folder.
        name: of the lock that is looked at.
    """
    if not folder.exists():
        return True
    lock = FileLock(folder / name)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    lock.release()
    return True


def add_error(console: Path, problem: str) -> None:
    """Add to what a run said why it could not begin, or broke where it could not say so."""
    with open(console, "a", encoding="utf-8") as file:  # noqa: PTH123 - to write
        file.write(f"error: {problem}\n")


def training_of(folder: Path) -> Training:
    """Return what a finished run folder of phase 2 says."""
    best, settings = _best_of(folder), settings_of(folder)
    rows, per_row, last = log_rows(folder), settings["val_every"], settings["max_steps"]
    log = tuple((min(row.epoch * per_row, last), row.mean_iou) for row in rows)
    compute = compute_of(folder, last * settings["batch_size"])
    return Training(settings, best.mean_iou, min(best.epoch * per_row, last), compute, log)


def broken_training_of(folder: Path) -> Training:
    """Return what `training_of` does, for a training that stopped being finite: no score, what it cost up to there."""
    settings = settings_of(folder)
    images = len(log_rows(folder)) * settings["val_every"] * settings["batch_size"]
    return Training(settings, None, None, compute_of(folder, images))


def pretraining_of(folder: Path, name: str, data: GridData, pictures: int) -> PretrainingRun:
    """Return what a finished run folder of phase 1 says that learned from so many pictures."""
    settings, rows = settings_of(folder), log_rows(folder)
    per_row = settings["val_every"] if settings["max_steps"] else math.ceil(pictures / settings["batch_size"])
    last = settings["max_steps"] or len(rows) * per_row
    images = settings["max_steps"] * settings["batch_size"] if settings["max_steps"] else len(rows) * pictures
    losses = [row.val_loss for row in rows if row.val_loss is not None]
    if len(losses) < len(rows):
        raise _damaged(folder / LOG, "a row without val_loss")
    compute = compute_of(folder, images)
    return PretrainingRun(
        name=name,
        settings=settings,
        sha256=file_sha256(folder / WEIGHTS),
        seconds=compute.seconds,
        images=images,
        val_loss=_best_of(folder).val_loss,
        log=tuple((min(row.epoch * per_row, last), loss) for row, loss in zip(rows, losses, strict=True)),
        data_sha256=data.sha256,
        compute=compute,
    )


def settings_of(folder: Path) -> dict[str, Any]:
    """Return the settings that make the run in a folder what it is."""
    return _description_of(folder).identity


def _description_of(folder: Path) -> _Description:
    return _read(folder / "training_config.json", _Description)


def _best_of(folder: Path) -> _Best:
    return _read(folder / "metrics.json", _Best)


def _read(path: Path, kind: type[_Kind]) -> _Kind:
    return _checked(read_json(path), kind, path)


def _checked(content: Any, kind: type[_Kind], path: Path) -> _Kind:
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as errors:
        raise _damaged(path, first_problem(errors)) from None


def _damaged(path: Path, problem: str) -> UserError:
    return UserError(f"{path} is damaged ({problem}): delete {path.parent}, the same command trains it again")


def log_rows(folder: Path) -> list[LogRow]:
    """Return the rows of a run's training_log.csv, none before the first."""
    log = folder / LOG
    return _checked(read_log(log), list[LogRow], log) if log.is_file() else []


def compute_of(folder: Path, images: int) -> Compute:
    """Return what a run cost: seconds of training and validation, training pictures, parameters, device."""
    weights = folder / WEIGHTS
    return Compute(
        seconds=round(sum(row.epoch_time for row in log_rows(folder)), 3),
        images=images,
        parameters=parameters_of(weights) if weights.exists() else None,
        device=_description_of(folder).machine.device,
    )


def parameters_of(weights: Path) -> int:
    """Return the number of parameters in a weights file, from its header alone; raises UserError where it is cut."""
    require_regular(weights)
    try:
        with safe_open(weights, "np") as tensors:
            shapes = {name: tensors.get_slice(name).get_shape() for name in tensors.keys()}  # noqa: SIM118
    except SafetensorError:
        raise UserError(
            f"{weights} is cut or altered: delete {weights.parent}, the same command trains it again"
        ) from None
    return sum(math.prod(shape) for name, shape in shapes.items() if not name.endswith(STATISTICS))


def counts_by_image(run: Run) -> dict[str, list[int]]:
    """Return the counts of each picture as an arm keeps them: all hits, then what is true, then what was said."""
    return {name: counts.T.ravel().astype(int).tolist() for name, counts in image_counts(run).items()}


def score_on_test(run: Run) -> float:
    """Return the mean IoU of an evaluation of phase 2; raises UserError where there was nothing to score."""
    assert run.evaluation
    score = run.evaluation.scores["mean_iou"]
    if score is None:
        raise UserError(f"{run.file} has no mean IoU: there was nothing to score")
    return score


def one_object_of(run: Run) -> OneObject:
    """Return the scores of pictures that hold one foreground class each, from what an evaluation counted."""
    from transfer_learning.scores.one_object import one_object_scores

    assert run.class_set
    counts = np.stack([*image_counts(run).values()]).astype(np.int64)
    return OneObject(**one_object_scores(counts, run.class_set))


def provenance_of(folder: Path) -> ArmProvenance:
    """Return the code, versions and weights that an arm came from."""
    run = _description_of(folder)
    return ArmProvenance(commit=run.commit, versions=run.versions, weights_sha256=file_sha256(folder / WEIGHTS))


def write_result(path: Path, content: Result) -> None:
    """Write a result whole or not at all; of an arm one line an image, so that it stays readable and small."""
    values = content.model_dump(mode="json")
    if not isinstance(content, ArmContent):
        write_json(path, values)
        return
    images = [f"  {json.dumps(name)}: {_json(counts)}" for name, counts in values.pop("per_image").items()]
    heads = [f" {json.dumps(name)}: {_json(value)}" for name, value in values.items()]
    lines = [*heads, ' "per_image": {\n' + ",\n".join(images) + "\n }"]
    with atomic_path(path) as temporary:
        temporary.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False)

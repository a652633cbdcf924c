"""Read the results folder of an ablation, and refuse what cannot stand in one table.

`experiments.ablate` leaves a small JSON an arm; they hold all that the tables need, so that no run folder is read here.
All arms of a folder must have been scored on the same images against the same masks, at one resolution, with one
prepared data set behind them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from core.errors import UserError
from experiments.ablation.checks import check_data, check_names, check_plan, check_same, check_steps
from experiments.ablation.format import ArmContent, ArmName, Plan, PretrainingRun, Trial

PLAN = "plan.json"
ARMS, TUNING, PRETRAINING = "arms", "tuning", "pretraining"
# What every file of this kind begins with; `experiments.tables` knows them by it.
FORMAT = "ablation "
# The mean IoU that an arm states must be that of its counts, up to how it was rounded.
ROUNDING = 1e-3


@dataclass(frozen=True)
class Arm:
    """One finished arm: its file, what it says, and its confusion matrices [N, C, C], images in the common order."""

    path: Path
    content: ArmContent
    matrices: np.ndarray

    @property
    def name(self) -> ArmName:
        """Variant, fraction, seed and learning rate."""
        return self.content.arm


@dataclass(frozen=True)
class Ablation:
    """All that a results folder holds.

    Args:
        plan: what the grid was.
        arms: by the plan's order of variants within rising fractions, then by seed; at least one.
        trials: of the learning-rate grid, in the same order.
        pretraining: the phase 1 runs by name.
        image_names: the N images that every arm was scored on, sorted.
        class_names: the C classes.
    """

    plan: Plan
    arms: tuple[Arm, ...]
    trials: tuple[Trial, ...]
    pretraining: dict[str, PretrainingRun]
    image_names: tuple[str, ...]
    class_names: tuple[str, ...]

    @property
    def resolution(self) -> int:
        """Side of the network's input in pixels."""
        return self.arms[0].content.resolution


def is_ablation(folder: Path) -> bool:
    """Say whether a folder holds the results of an ablation."""
    return (folder / PLAN).is_file() or any((folder / ARMS).glob("*.json"))


def read_ablation(folder: Path) -> Ablation:
    """Return what a results folder holds.

    Raises:
        UserError: nothing is finished yet, a file is damaged, or two files do not belong into one table; in one line
            that names them.
    """
    if not (folder / PLAN).is_file():
        raise UserError(f"{folder} has arms but no {PLAN}: the same `experiments.ablate` command writes it again")
    plan = _read(folder / PLAN, Plan)
    check_plan(folder / PLAN, plan)
    arms = [(path, _read(path, ArmContent)) for path in _files(folder, ARMS)]
    if not arms:
        raise UserError(f"{folder} holds no finished arm yet: the same `experiments.ablate` command goes on")
    trials = [(path, _read(path, Trial)) for path in _files(folder, TUNING)]
    runs = [(path, _read(path, PretrainingRun)) for path in _files(folder, PRETRAINING)]
    check_names(folder / PLAN, plan, arms, trials)
    first = arms[0]
    for path, content in [*arms[1:], *trials]:
        check_same(first, path, content)
    for path, run in runs:
        check_data(first, path, run.data_sha256)
    check_steps(plan, arms)
    order = list(plan.variants)
    rank = {
        id(content): (content.arm.fraction, order.index(content.arm.variant), content.arm.seed)
        for _, content in [*arms, *trials]
    }
    arms.sort(key=lambda entry: rank[id(entry[1])])
    names = tuple(sorted(first[1].per_image))
    return Ablation(
        plan,
        _with_matrices(arms, names),
        tuple(sorted((trial for _, trial in trials), key=lambda trial: (*rank[id(trial)], trial.arm.learning_rate))),
        {run.name: run for _, run in runs},
        names,
        first[1].class_names,
    )


Kind = TypeVar("Kind", bound=BaseModel)


def _files(folder: Path, kind: str) -> list[Path]:
    return sorted((folder / kind).glob("*.json"))


def _read(path: Path, kind: type[Kind]) -> Kind:
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as errors:
        error = errors.errors()[0]
        where = ".".join(map(str, error["loc"]))
        raise UserError(
            f"{path} is damaged or not of this kind ({where + ': ' if where else ''}{error['msg']}): delete it, and "
            f"the same `experiments.ablate` command makes it again"
        ) from None


def _with_matrices(arms: Sequence[tuple[Path, ArmContent]], names: Sequence[str]) -> tuple[Arm, ...]:
    from transfer_learning.scores.confusion import scores_of_matrices

    read: list[Arm] = []
    for path, content in arms:
        classes = len(content.class_names)
        rows = [content.per_image[name] for name in names]
        if not rows or any(len(row) != classes**2 for row in rows):
            raise UserError(f"{path} does not have {classes**2} counts for every image, or no image: delete it")
        arm = Arm(path, content, np.array(rows, np.int64).reshape(-1, classes, classes))
        score = scores_of_matrices(arm.matrices.sum(axis=0)[None], content.class_names)["mean_iou"][0]
        if not abs(score - content.mean_iou) <= ROUNDING:
            raise UserError(f"{path} states mean IoU {content.mean_iou:.4f}, its counts give {score:.4f}: delete it")
        if read and (arm.matrices.sum(axis=2) != read[0].matrices.sum(axis=2)).any():
            raise UserError(f"{read[0].path} and {path} were scored against other masks: they cannot be compared")
        read.append(arm)
    return tuple(read)

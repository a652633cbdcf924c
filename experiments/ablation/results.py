"""Read the results folder of an ablation, and refuse what cannot stand in one table.

`experiments.ablate` leaves a small JSON an arm; they hold all that the tables need, so that no run folder is read here.
All arms of a folder must have been scored on the same images against the same masks, at one resolution, with one
prepared data set behind those of one format.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.classes import ClassSet
from core.errors import UserError
from experiments.ablation.checks import (
    check_data,
    check_names,
    check_plan,
    check_precision,
    check_same,
    check_steps,
)
from experiments.ablation.format import ArmContent, ArmName, OneObject, PretrainingRun, Trial, read, results_of
from experiments.ablation.plan_format import PLAN, PlanContent
from experiments.evaluations import Resolution, is_of_volumes

# The scores that an arm states must be those of its counts, up to how they were rounded.
ROUNDING = 1e-3


@dataclass(frozen=True)
class Arm:
    """One finished arm.

    Args:
        path: its file.
        content: what that says.
        counts: [N, C, 3] (hit, truth, said), images in common order.
        one_object: of these counts, so that arms of before have it too.
    """

    path: Path
    content: ArmContent
    counts: np.ndarray
    one_object: OneObject

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
        class_set: the C classes.
    """

    plan: PlanContent
    arms: tuple[Arm, ...]
    trials: tuple[Trial, ...]
    pretraining: dict[str, PretrainingRun]
    image_names: tuple[str, ...]
    class_set: ClassSet

    @property
    def resolution(self) -> Resolution:
        """Side of the network's input in pixels, or its height and width."""
        return self.arms[0].content.resolution

    @property
    def is_of_volumes(self) -> bool:
        """Whether its images have three dimensions."""
        return is_of_volumes(self.resolution)

    def called(self, name: str) -> str:
        """Return what one of its images is called: a volume, or the `name` for it (picture, image)."""
        return "volume" if self.is_of_volumes else name


def is_ablation(folder: Path) -> bool:
    """Say whether a folder holds the results of an ablation."""
    return (folder / PLAN).is_file() or any((folder / ArmContent.FOLDER).glob("*.json"))


def read_ablation(folder: Path) -> Ablation:
    """Return what a results folder holds.

    Raises:
        UserError: nothing is finished yet, a file is damaged, or two files do not belong into one table; in one line
            that names them.
    """
    if not (folder / PLAN).is_file():
        raise UserError(f"{folder} has arms but no {PLAN}: the same `experiments.ablate` command writes it again")
    plan = read(folder / PLAN, PlanContent)
    check_plan(folder / PLAN, plan)
    arms = results_of(folder, ArmContent)
    if not arms:
        raise UserError(f"{folder} holds no finished arm yet: the same `experiments.ablate` command goes on")
    trials, runs = results_of(folder, Trial), results_of(folder, PretrainingRun)
    check_names(folder / PLAN, plan, arms, trials)
    first = arms[0]
    check_data(arms, [*trials, *runs])
    for path, content in [*arms[1:], *trials]:
        check_same(first, path, content)
    check_precision(arms)
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
        _with_counts(arms, names),
        tuple(sorted((trial for _, trial in trials), key=lambda trial: (*rank[id(trial)], trial.arm.learning_rate))),
        {run.name: run for _, run in runs},
        names,
        first[1].class_set,
    )


def _with_counts(arms: Sequence[tuple[Path, ArmContent]], names: Sequence[str]) -> tuple[Arm, ...]:
    found: list[Arm] = []
    for path, content in arms:
        classes = len(content.class_set)
        rows = [content.per_image[name] for name in names]
        if not rows or any(len(row) != 3 * classes for row in rows):
            raise UserError(f"{path} does not have {3 * classes} counts for every image, or no image: delete it")
        arm = _arm(path, content, np.moveaxis(np.array(rows, np.int64).reshape(-1, 3, classes), 1, -1))
        if found and (arm.counts[..., 1] != found[0].counts[..., 1]).any():
            raise UserError(f"{found[0].path} and {path} were scored against other masks: they cannot be compared")
        found.append(arm)
    return tuple(found)


def _arm(path: Path, content: ArmContent, counts: np.ndarray) -> Arm:
    """Return an arm; raises UserError where the scores that it states are not those of its counts."""
    from transfer_learning.scores.confusion import scores_of_counts
    from transfer_learning.scores.one_object import one_object_scores

    score = scores_of_counts(counts.sum(axis=0)[None], content.class_set)["mean_iou"][0]
    of_one = OneObject(**one_object_scores(counts, content.class_set))
    stated = content.one_object or of_one
    for name, said, given in (
        ("mean IoU", content.mean_iou, score),
        ("class accuracy", stated.class_accuracy, of_one.class_accuracy),
        ("outline mean IoU", stated.outline_mean_iou, of_one.outline_mean_iou),
    ):
        if not _agree(said, given):
            told = ["none" if value is None else f"{value:.4f}" for value in (said, given)]
            raise UserError(f"{path} states {name} {told[0]}, its counts give {told[1]}: delete it")
    return Arm(path, content, counts, of_one)


def _agree(said: float | None, given: float | None) -> bool:
    if said is None or given is None:
        return said is given
    return abs(said - given) <= ROUNDING

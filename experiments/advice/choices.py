"""What an advice chooses from the data and the machine: folds, size, width, and how long each training is.

Every run of an arm gets the same time, as the final model will have its own: an arm whose step costs twice as much
makes half as many. The time goes to folds, arms and shares of the labels; what is chosen says why.
"""

from dataclasses import dataclass

from core.errors import UserError
from core.terminal.progress import duration
from experiments.grid.speed_model import LINEAR_SHARE

# Of the whole time: for folds and forecast, the rest is for the final model and what is written with it.
FOR_FOLDS = 0.6
FEWEST_MASKS, FEWEST_OF_A_FOLD = 4, 2
# Shares of a fold's labels that the forecast adds to all of them.
SHARES = (0.25, 0.5)
# From cheap to dear: side of the pictures, width of the network. The dearest with enough steps is taken.
LADDER = ((64, 8), (96, 8), (128, 8), (128, 16), (192, 16), (256, 16), (256, 32), (384, 32), (512, 32))
FEWEST_STEPS, ENOUGH_STEPS, MOST_STEPS = 40, 800, 10_000
# Phase 1 takes so many runs' time: once for all folds.
PRETRAINING_RUNS = 4
SECONDS_TO_BEGIN = 8.0  # and to score: what a run takes beside its steps


@dataclass(frozen=True)
class Sized:
    """Side of the pictures and width of the network."""

    size: int
    width: int

    @property
    def cost(self) -> float:
        """What a step takes, in arbitrary units: pixels times what grows with the width."""
        return self.size**2 * self.width * (self.width + LINEAR_SHARE)


@dataclass(frozen=True)
class Lengths:
    """How long runs are: seconds of each and steps of an arm's."""

    seconds: float
    steps: dict[str, int]
    pretraining_steps: int


def folds_for(masks: int, asked: int, groups: int | None = None) -> int:
    """Return into how many folds the labelled pictures go.

    Args:
        masks: that there are.
        asked: folds; 0: chosen.
        groups: of --group_by that these are of, which go as one; without it each is its own.

    Raises:
        UserError: there are too few.
    """
    if groups is not None and groups < masks:
        if groups < 2:
            raise UserError(
                "all masks are of one group of --group_by, so that none can be held out: draw some of others"
            )
        if asked > groups:
            raise UserError(f"--folds {asked}: {groups} groups of --group_by have masks, one a fold at most: lower it")
        return min(folds_for(masks, asked), groups)
    if masks < FEWEST_MASKS:
        raise UserError(f"{masks} masks are too few to hold any of them out: draw {FEWEST_MASKS} or more")
    if asked > masks // FEWEST_OF_A_FOLD:
        raise UserError(f"--folds {asked} leaves fewer than {FEWEST_OF_A_FOLD} of {masks} masks a fold: lower it")
    return asked or min(5, masks // FEWEST_OF_A_FOLD)


def runs_of(arms: int, folds: int) -> int:
    """Return how many trainings of equal length the folds take: each arm once, the best again with fewer labels."""
    return folds * (arms + len(SHARES))


def seconds_a_run(hours: float, slots: int, runs: int, pretrained: bool, final: bool = True) -> float:
    """Return how long each training may take.

    Args:
        hours: in all.
        slots: trainings side by side.
        runs: trainings of equal length.
        pretrained: whether phase 1 is among them.
        final: whether time is kept for a final model.
    """
    rounds = -(-(runs + (PRETRAINING_RUNS if pretrained else 0)) // slots)
    return (FOR_FOLDS if final else 1.0) * hours * 3600 / rounds


def best_size(seconds: float, step_seconds: float, measured: Sized, longest_side: int, given: Sized | None) -> Sized:
    """Return the dearest size and width with enough steps from scratch; none larger than the pictures.

    Args:
        seconds: of a run.
        step_seconds: of a step from scratch at `measured`.
        measured: where that was.
        longest_side: of a typical picture.
        given: what the user asks for, 0 for what is to be chosen.
    """
    found = None
    for size, width in LADDER:
        sized = Sized(given.size or size, given.width or width) if given else Sized(size, width)
        steps = (seconds - SECONDS_TO_BEGIN) / (step_seconds * sized.cost / measured.cost)
        larger_than_pictures = not (given and given.size) and size > max(longest_side, LADDER[0][0])
        if found is None or (steps >= ENOUGH_STEPS and not larger_than_pictures):
            found = sized
    assert found
    return found


def lengths(a_run: float, step_seconds: dict[str, float], hours: float, gone: float = 0.0) -> Lengths:
    """Return how many steps each arm makes in the time of a run.

    Args:
        a_run: seconds that it has of each hour.
        step_seconds: arm -> seconds of a step; that of phase 1 is called `phase 1`.
        hours: in all.
        gone: of these, before the first run.

    Raises:
        UserError: the slowest arm would make too few.
    """
    seconds = a_run * max(0.0, hours - gone)
    steps = {arm: int((seconds - SECONDS_TO_BEGIN) / each) for arm, each in step_seconds.items()}
    slowest = min(steps, key=lambda arm: steps[arm])
    if steps[slowest] < FEWEST_STEPS:
        needed = gone + (SECONDS_TO_BEGIN + FEWEST_STEPS * step_seconds[slowest]) / a_run
        raise UserError(
            f"{duration(hours * 3600)} leaves {max(0, steps[slowest])} steps for {slowest}, {FEWEST_STEPS} are the "
            f"least that says anything: give --hours {needed * 1.1:.2g} or more, fewer --folds or --arms, or a smaller "
            "--size"
        )
    steps = {arm: min(count, MOST_STEPS) for arm, count in steps.items()}
    phase_1 = steps.pop("phase 1", 0)
    return Lengths(seconds, steps, min(phase_1 * PRETRAINING_RUNS, 2 * MOST_STEPS))

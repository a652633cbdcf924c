"""Say what to do with your pictures: train from scratch, learn from those without masks, take ImageNet's weights, or
draw more masks.

Looks at the pictures, chooses size, network and length of training from them and from the machine, and tries each way
in folds: every mask is held out once, and nothing is chosen by it. The best way is trained again with fewer labels, for
the forecast, and last on all masks, for the masks of all pictures. Writes advice.json, advice.md, the final model,
predictions and the list of doubtful pictures. The same command goes on where it was stopped.

    ae-pretrained advise --images photos --masks masks --hours 2 --output_dir runs/advice
"""

import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from core.command import run_command
from core.errors import UserError
from core.files import atomic_path, write_json
from core.filing.json_file import read_json
from core.filing.kinds import FOLDERS
from core.filing.writing import leaving_nothing_empty, lock
from core.terminal.progress import duration
from data.sources.own.config import ReadingConfig
from experiments.advice.arms import Arm, chosen_arms
from experiments.advice.choices import Sized, best_size, folds_for, lengths, runs_of, seconds_a_run
from experiments.advice.final import doubtful, final_training, prediction, write_doubtful
from experiments.advice.places import Places
from experiments.advice.reading import Found, Measure, curves_of, found_of
from experiments.advice.running import run_all
from experiments.advice.situation import Situation, look_at
from experiments.advice.verdict import MINUTES_A_MASK, Asked, content_of
from experiments.advice.work import Work

CHOSEN = "chosen.json"
LOOKED_AT = Sized(64, 8)


@dataclass(frozen=True)
class AdviseConfig(ReadingConfig):
    """Whose pictures, how much time, what is asked."""

    goes_on: ClassVar[bool] = True
    writes: ClassVar[dict[str, str]] = {"output_dir": FOLDERS}

    hours: float = 2.0
    """How long it may take in all, on this machine. About 40 % of it is kept for the final model."""
    output_dir: Path = Path("runs/advice")
    """Everything lies here: prepared pictures, trainings, the advice."""
    arms: tuple[str, ...] = ()
    """Which ways to compare with scratch: teacher, pretrained, imagenet. Left out: all that can be."""
    outside_weights: bool = True
    """Try ImageNet's weights. --no_outside_weights: nothing that learned from other pictures."""
    size: int = 0
    """Side of the pictures, in pixels. 0: chosen from the time and the pictures."""
    width: int = 0
    """Width of the network. 0: chosen likewise."""
    jobs: int = 0
    """Trainings side by side. 0: one a core."""
    more: int = 0
    """How many more masks the forecast is for. 0: as many as there are."""
    goal: float | None = None
    """Which score is wanted: how many more masks that takes."""
    minutes_per_mask: float = MINUTES_A_MASK
    """How long it takes you to draw a mask."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.hours < float("inf"):
            raise UserError(f"hours {self.hours} must be above 0")
        for name in ("size", "width", "jobs", "more"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} {getattr(self, name)} must be 0 (chosen) or more")
        if self.goal is not None and not 0 < self.goal <= 1:
            raise UserError(f"goal {self.goal} is outside (0, 1]")
        if not 0 < self.minutes_per_mask < float("inf"):
            raise UserError(f"minutes_per_mask {self.minutes_per_mask} must be above 0")
        if self.splits or self.fold:
            raise UserError("--splits and --fold have no meaning here: every mask is held out once")

    @property
    def reading(self) -> dict[str, Any]:
        """The settings of reading, as `data.prepare` takes them."""
        left = ("splits", "folds", "fold", "val_ratio", "test_ratio")
        return {field.name: getattr(self, field.name) for field in fields(ReadingConfig) if field.name not in left}


def advise(config: AdviseConfig) -> dict[str, Any]:
    """Look, try, say; returns the content of advice.json."""
    config.require_images()
    begun = time.monotonic()
    with leaving_nothing_empty(config.output_dir):
        held = lock(config.output_dir, "--output_dir", "advice")
        try:
            content = _advise(config, Places(config.output_dir))
        finally:
            held.release()
    print(f"\ndone in {duration(time.monotonic() - begun)}: {config.output_dir / 'advice.md'}\n")
    print("\n".join(content["says"]))
    return content


def _advise(config: AdviseConfig, places: Places) -> dict[str, Any]:
    situation = look_at(config.reading, places, LOOKED_AT.size)
    folds = folds_for(situation.groups, config.folds)
    arms, left_out = chosen_arms(config.arms, situation.unlabelled, config.outside_weights)
    work, step_seconds, slots, threads = _planned(config, places, situation, arms, folds)
    _tell(config, work, situation, left_out, slots)
    if any(arm.pretrained for arm in arms):
        run_all([work.phase_1()], "phase 1", 1, slots * threads)
    run_all(list(work.of_arms()), "trainings in folds", slots, threads)
    measure = Measure.of(situation.classes)
    found = found_of(places, arms, folds, situation.masks, measure)
    run_all(list(work.with_fewer_labels(found.best.arm)), "with fewer labels", slots, threads)
    asked = Asked(situation.masks, config.more or situation.masks, config.goal, config.minutes_per_mask)
    curves = curves_of(places, found, folds, config.seed)
    content = {**_conditions(config, work, situation, left_out), **content_of(found, curves, asked)}
    _write(places, content)
    _hand_out(config, work, found, step_seconds, situation, slots * threads)
    return content


def _planned(
    config: AdviseConfig, places: Places, situation: Situation, arms: list[Arm], folds: int
) -> tuple[Work, dict[str, float], int, int]:
    """Return what is trained, the seconds of a step of each arm, trainings side by side and the threads of each."""
    from experiments.grid.runners.local import threads_of

    cores = threads_of(1)
    slots = config.jobs or cores
    threads = max(1, cores // slots)
    runs = runs_of(len(arms), folds, forecasts=True)
    seconds = seconds_a_run(config.hours, slots, runs, any(arm.pretrained for arm in arms))
    kept = places.here / CHOSEN
    if kept.is_file():
        sized = Sized(**read_json(kept))
    else:
        from experiments.advice.measuring import step_seconds as measured

        first = measured(places, places.look, arms[:1], LOOKED_AT, config.seed, threads)["scratch"]
        given = Sized(config.size, config.width) if config.size or config.width else None
        sized = best_size(seconds, first, LOOKED_AT, situation.longest_side, given)
        write_json(kept, {"size": sized.size, "width": sized.width})
    _prepare(config, places, sized.size, folds)
    from experiments.advice.measuring import step_seconds as measured

    steps = measured(places, places.with_val, arms, sized, config.seed, threads)
    work = Work(places, tuple(arms), folds, sized, lengths(seconds, steps, config.hours), config.seed)
    return work, steps, slots, threads


def _prepare(config: AdviseConfig, places: Places, size: int, folds: int) -> None:
    """Prepare the pictures once a fold, with a few of Val for phase 1, and whole."""
    from data.prepare import prepare
    from data.prepare_config import PrepareConfig

    ways: dict[Path, dict[str, Any]] = {
        places.with_val: {"val_ratio": 0.05, "test_ratio": 0.0},
        places.whole: {"val_ratio": 0.0, "test_ratio": 0.0},
        **{places.fold(fold): {"folds": folds, "fold": fold, "val_ratio": 0.0} for fold in range(folds)},
    }
    said = places.here / "data" / "prepare.txt"
    said.parent.mkdir(parents=True, exist_ok=True)
    print(f"preparing the pictures at {size} px, once a fold: {said} holds what that says", flush=True)
    with said.open("a", encoding="utf-8") as file, redirect_stdout(file):
        for folder, how in ways.items():
            prepare(PrepareConfig(dataset="folder", size=size, output_dir=folder, **{**config.reading, **how}))


def _tell(config: AdviseConfig, work: Work, situation: Situation, left_out: list[str], slots: int) -> None:
    """Print what was chosen, and why."""
    sized, seconds = work.sized, duration(work.lengths.seconds)
    pictures = situation.masks + situation.unlabelled
    print(f"\n{situation.masks} masks of {pictures} pictures, {slots} trainings side by side")
    why = f"the largest whose steps fit into {seconds} a training, of {config.hours:g} h"
    print(f"{sized.size} px, width {sized.width}: {why}")
    for arm in work.arms:
        print(f"  {arm.name:<12} {work.lengths.steps[arm.name]} steps of 8 pictures in each of {work.folds} folds")
    for line in [*left_out, *situation.warnings]:
        print(f"note: {line}")
    print(flush=True)


def _conditions(config: AdviseConfig, work: Work, situation: Situation, left_out: list[str]) -> dict[str, Any]:
    """Return what the advice holds for."""
    return {
        "format": "advice 1",
        "hours": config.hours,
        "masks": situation.masks,
        "unlabelled": situation.unlabelled,
        "folds": work.folds,
        "size": work.sized.size,
        "width": work.sized.width,
        "steps": work.lengths.steps,
        "seconds_a_training": work.lengths.seconds,
        "left_out": left_out,
        "warnings": list(situation.warnings),
        "class_set": situation.classes.content(),
    }


def _write(places: Places, content: dict[str, Any]) -> None:
    write_json(places.here / "advice.json", content)
    lines = ["# Advice", "", *(f"{line}\n" for line in content["says"])]
    lines += [
        f"It holds for {content['hours']:g} hours on this machine: {content['size']} px, width {content['width']}, "
        f"{content['seconds_a_training']:.0f} s a training, {content['folds']} folds of {content['masks']} masks.",
        *(f"\nNote: {line}" for line in [*content["left_out"], *content["warnings"]]),
    ]
    with atomic_path(places.here / "advice.md") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _hand_out(
    config: AdviseConfig, work: Work, found: Found, step_seconds: dict[str, float], situation: Situation, threads: int
) -> None:
    """Train the best way on every mask, segment every picture, list the doubtful ones."""
    images = config.require_images()
    run_all([final_training(work, found.best.arm, config.hours, step_seconds)], "the final model", 1, threads)
    run_all([prediction(work, images)], "masks of all pictures", 1, threads)
    rows = doubtful(work.places.predictions / "predictions.json", set(situation.labelled_files))
    if rows:
        write_doubtful(work.places.here / "doubtful.csv", rows)
        print(f"{len(rows)} pictures that the final model is least sure of: {work.places.here / 'doubtful.csv'}")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command("experiments.advise", AdviseConfig, advise, argv, section="advise", description=__doc__)


if __name__ == "__main__":
    sys.exit(main())

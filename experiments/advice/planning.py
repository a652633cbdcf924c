"""From the pictures and the time to what is trained: everything that is known before the first fold begins."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.terminal.progress import duration
from data.sources.own.config import ReadingConfig
from experiments.advice.arms import Arm, chosen_arms
from experiments.advice.choices import FOR_FOLDS, Sized, best_size, folds_for, lengths, runs_of, seconds_a_run
from experiments.advice.config import AdviseConfig
from experiments.advice.keeping import RECIPE, Chosen, asked_of, kept_in
from experiments.advice.measuring import fastest
from experiments.advice.places import Places
from experiments.advice.running import Chain, run_all
from experiments.advice.situation import Situation, longest_side, look_at, with_copies, with_difference
from experiments.advice.work import Work, words_of
from experiments.grid.runners.local import side_by_side, threads_of
from experiments.grid.workers import Command

LOOKED_AT = Sized(64, 8)


@dataclass(frozen=True)
class Plan:
    """What is trained, on what, and how.

    Args:
        config: what was asked.
        situation: what the pictures are.
        work: the trainings.
        step_seconds: arm -> seconds of a step on this machine.
        left_out: ways that are not tried, and why.
        slots: trainings side by side.
        threads: of each.
    """

    config: AdviseConfig
    situation: Situation
    work: Work
    step_seconds: dict[str, float]
    left_out: list[str]
    slots: int
    threads: int

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The ways that are compared, from scratch first."""
        return self.work.arms

    def conditions(self) -> dict[str, Any]:
        """Return what the advice holds for, as plain values."""
        return {
            "format": "advice 1",
            "hours": self.config.hours,
            "masks": self.situation.masks,
            "unlabelled": self.situation.unlabelled,
            "folds": self.work.folds,
            "size": self.work.sized.size,
            "width": self.work.sized.width,
            "steps": self.work.lengths.steps,
            "seconds_a_training": self.work.lengths.seconds,
            "left_out": self.left_out,
            "warnings": list(self.situation.warnings),
            "class_set": self.situation.classes.content(),
        }

    def _stages(self) -> Iterator[tuple[str, float]]:
        """Yield what follows, with about the seconds that it takes."""
        work = self.work
        if any(arm.pretrained for arm in self.arms):
            yield "for phase 1", work.phase_1().seconds
        chains = list(work.of_arms())
        yield f"for {len(chains)} trainings in folds", sum(chain.seconds for chain in chains) / self.slots
        chains = list(work.with_fewer_labels(self.arms[0]))
        yield f"for {len(chains)} with fewer labels", sum(chain.seconds for chain in chains) / self.slots
        if self.config.final_model:
            yield "for the final model and its masks", (1 - FOR_FOLDS) * self.config.hours * 3600

    def tell(self) -> None:
        """Print what was chosen, and why."""
        sized, situation = self.work.sized, self.situation
        pictures = situation.masks + situation.unlabelled
        print(f"\n{situation.masks} masks of {pictures} pictures, {self.slots} trainings side by side")
        length = duration(self.work.lengths.seconds)
        given = self.config.size and self.config.width
        why = "as asked, with" if given else "the largest whose steps fit into"
        print(f"{sized.size} px, width {sized.width}: {why} {length} a training, of {self.config.hours:g} h")
        batches = f"of {self.config.batch_size} pictures in each of {self.work.folds} folds"
        for arm in self.arms:
            print(f"  {arm.name:<12} {self.work.lengths.steps[arm.name]} steps {batches}")
        stages = [f"{duration(seconds)} {what}" for what, seconds in self._stages()]
        print(f"about {', '.join(stages)}")
        for line in [*self.left_out, *situation.warnings]:
            print(f"note: {line}")
        print(flush=True)


@dataclass(frozen=True)
class Tried:
    """What is to be tried, known from the list of the pictures alone.

    Args:
        situation: what the pictures are.
        folds: into how many the masks go.
        arms: the ways that are compared.
        left_out: those that are not, and why.
    """

    situation: Situation
    folds: int
    arms: list[Arm]
    left_out: list[str]


def tried_of(config: AdviseConfig) -> Tried:
    """List the pictures and say what can be tried; nothing is written.

    Raises:
        UserError: the pictures cannot be used, or there are too few masks for folds or ways.
    """
    situation = look_at(config.reading)
    folds = folds_for(situation.masks, config.folds, situation.groups)
    arms, left_out = chosen_arms(config.arms, situation.unlabelled, config.outside_weights)
    return Tried(situation, folds, [arm.in_batches_of(config.batch_size) for arm in arms], left_out)


def plan_of(config: AdviseConfig, tried: Tried, places: Places) -> Plan:
    """Measure a step of each way, choose size and lengths, prepare the pictures; what was chosen before is kept.

    What that takes is of --hours too.

    Raises:
        UserError: they cannot be prepared, there is too little time, or an earlier call was asked something else.
    """
    folds, begun = tried.folds, time.monotonic()
    chosen = kept_in(places.here, config, tried.situation.listing) or _chosen(config, tried, places)
    sized, slots, threads = chosen.sized, chosen.slots, chosen.threads
    run_all(list(_preparations(config, tried, places, sized.size)), f"preparing at {sized.size} px", slots, threads)
    arms, steps = fastest(places, places.whole, tried.arms, sized, config.seed, slots, threads)
    if chosen.lengths is None:
        gone = (time.monotonic() - begun) / 3600
        chosen = replace(chosen, lengths=lengths(_seconds_an_hour(config, tried, slots), steps, config.hours, gone))
        chosen.keep(places.here)
    assert chosen.lengths, "just chosen"
    work = Work(places, tuple(arms), folds, sized, chosen.lengths, config.seed)
    situation = with_copies(tried.situation, [places.fold(fold) for fold in range(folds)], places.whole)
    situation = with_difference(situation, places.whole)
    return Plan(config, situation, work, steps, tried.left_out, slots, threads)


def _seconds_an_hour(config: AdviseConfig, tried: Tried, slots: int) -> float:
    """Return how long each training may take, of each hour that there is."""
    phase_1 = any(arm.pretrained for arm in tried.arms)
    runs = runs_of(len(tried.arms), tried.folds)
    return seconds_a_run(1.0, slots, runs, phase_1, config.final_model)


def _chosen(config: AdviseConfig, tried: Tried, places: Places) -> Chosen:
    """Measure a step from scratch and choose size and width."""
    begun, slots = time.monotonic(), config.jobs or side_by_side()
    threads = threads_of(slots)
    a_run, scratch = _seconds_an_hour(config, tried, slots), tried.arms[0]
    side = longest_side(config.reading, places.look, LOOKED_AT.size)
    _, seconds_a_step = fastest(places, places.look, [scratch], LOOKED_AT, config.seed, slots, threads)
    first = seconds_a_step[scratch.name]
    given = Sized(config.size, config.width) if config.size or config.width else None
    sized = best_size(a_run * config.hours, first, LOOKED_AT, side, given)
    # Before more is prepared: whether the time would do, where each way takes as long to measure as this has.
    gone = (time.monotonic() - begun) * (1 + len(tried.arms)) / 3600
    lengths(a_run, {scratch.name: first * sized.cost / LOOKED_AT.cost}, config.hours, gone)
    chosen = Chosen(asked_of(config), tried.situation.listing, slots, threads, sized, recipe=RECIPE)
    chosen.keep(places.here)
    return chosen


def _preparations(config: AdviseConfig, tried: Tried, places: Places, size: int) -> Iterator[Chain]:
    """Yield the preparations: with a few pictures of Val for phase 1, whole, and once a fold.

    Of a test that --splits holds back no copy is learned from by what is scored on it.
    """
    folds = tried.folds
    held_back = {"copies": "leave_out"} if tried.situation.test else {}
    ways: dict[Path, dict[str, Any]] = {
        places.with_val: {"val_ratio": 0.05, "test_ratio": 0.0, **held_back},
        places.whole: {"val_ratio": 0.0, "test_ratio": 0.0, **held_back},
        **{places.fold(fold): {"folds": folds, "fold": fold, "val_ratio": 0.0} for fold in range(folds)},
    }
    plain = ReadingConfig()
    for folder, how in ways.items():
        reading = {**config.reading, **how}
        given = {name: value for name, value in reading.items() if value != getattr(plain, name, None)}
        words = words_of(given, dataset="folder", size=size, output_dir=folder)
        said = folder.parent / f"{folder.name}.txt"
        command: Command = ["data.prepare", words]
        leaves = folder / "manifest.json"
        yield Chain(f"preparing {folder.name}", (command,), said, leaves, 10.0, folder)

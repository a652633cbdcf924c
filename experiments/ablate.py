"""Run a grid of variants, label fractions and seeds: who gains from pretraining, with how many labels.

Reads the section `ablation` of a file (docs/ablation.md). Every run is an ordinary training command in a process and a
folder of its own; what is finished is a small JSON in results_dir and never run again. The same command goes on where
it was stopped, tries again what failed, and says what is done.

    python -m experiments.ablate --config config/ablation.yaml --list
    python -m experiments.ablate --config config/ablation.yaml
"""

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

from core.command import run_command
from core.errors import RunError
from core.filing.writing import lock, require_writable
from core.run.trackers.tracker import require_installed
from core.terminal.progress import duration
from core.train_config import TrainConfig
from experiments.grid.budgets import require_met
from experiments.grid.config import AblationConfig
from experiments.grid.console import Console, seconds_left
from experiments.grid.earlier_results import Found, mixed_encoders, require_same_grid, results_in
from experiments.grid.estimate import Speeds, left_in_words
from experiments.grid.jobs import Work
from experiments.grid.planning.at_hand import require_at_hand
from experiments.grid.planning.checks import require_val_labels
from experiments.grid.planning.effect import never_reached, without_effect
from experiments.grid.planning.plan import build_plan
from experiments.grid.planning.plan_file import write_plan
from experiments.grid.planning.pools import require_pools
from experiments.grid.planning.prepared import GridData, in_shares, read_data
from experiments.grid.planning.variants import Plan
from experiments.grid.queue import Queue
from experiments.grid.runners.local import threads_of
from experiments.grid.runners.runner import runner_of
from experiments.grid.to_do import all_works, require_same_folders, works_to_do


def ablate(config: AblationConfig) -> None:
    """Check the whole grid, then show it or run what of it is not finished.

    Raises:
        UserError: the grid cannot be what its file says (before anything trains).
        RunError: runs failed; all others are finished.
    """
    plan = build_plan(config)  # first what is wrong in the file itself
    for line in without_effect(plan):
        print(f"note: {line}", file=sys.stderr)
    config = in_shares(config)
    plan = replace(plan, config=config)
    data = read_data(config.data_dir, config.fractions, config.seeds, config.tuned_at, config.more_seeds)
    require_val_labels(plan.variants, data)
    require_at_hand(plan, data)
    require_pools(plan, config.data_dir)
    for line in never_reached(plan, data):
        print(f"note: {line}", file=sys.stderr)
    require_met(plan, data)
    for fraction in config.more_seeds:
        if fraction not in config.fractions:  # which a flag may have made fewer
            print(f"note: more_seeds at {fraction:g} has no say, which is not among the fractions", file=sys.stderr)
    speeds = _look_at_results(config, plan, data)
    works = all_works(plan, data)
    to_do = works_to_do(works)
    require_same_folders(to_do, data)
    speeds.see_rows(to_do)
    if config.list:
        if config.measure:
            speeds.measure(to_do, _threads(config))
        show(works, to_do, speeds, config.jobs)
        return
    configs: list[TrainConfig] = [variant.config for variant in plan.variants.values()]
    configs += [pretraining.config for pretraining in plan.pretrainings.values()]
    require_installed(name for config in configs for name in config.tracker)
    require_writable(config.results_dir, "--results_dir")
    held = lock(config.output_dir, "--output_dir", "ablation")
    try:
        write_plan(plan)
        _run(config, works, to_do, speeds)
        if to_do:
            _tell_mixed(config, results_in(config.results_dir))
    finally:
        held.release()


def show(works: Sequence[Work], to_do: Sequence[Work], speeds: Speeds, jobs: int) -> None:
    """Print every run, its state and how long it will take, as far as runs like it were timed before."""
    shares: dict[Work, float] = {}
    for work in works:
        problem = work.problem if work in to_do else None
        state = ("failed before" if problem else "to do") if work in to_do else "done" if work.done else "not needed"
        time = _about(speeds, work, shares) if work in to_do else ""
        print(f"{state:<14} {time:>12}  {work.name}{f': {problem}' if problem else ''}")
    side = f", {jobs} side by side" if jobs > 1 else ""
    time = left_in_words([seconds_left(speeds, work, shares) for work in to_do], jobs)
    print(f"{len(works) - len(to_do)} of {len(works)} runs done; left: {time}{side}")
    if any(speeds.seconds(work) is None for work in to_do):
        print('note: "?" stands where no run like it was timed yet: --measure takes a few steps of each kind, minutes')
    elif any(map(speeds.is_guess, to_do)):
        print('note: "~" is judged by runs of another width, size or processor: --measure takes a few steps, minutes')


def _about(speeds: Speeds, work: Work, shares: dict[Work, float]) -> str:
    seconds = seconds_left(speeds, work, shares)
    return f"{'~' if seconds is not None and speeds.is_guess(work) else ''}{duration(seconds)}"


def _run(config: AblationConfig, works: Sequence[Work], to_do: Sequence[Work], speeds: Speeds) -> None:
    done = len(works) - len(to_do)
    if not to_do:
        print(f"all {len(works)} runs are done: results in {config.results_dir}")
        return
    with closing(runner_of(config)) as runner:
        slots = runner.slots
        print(f"{done} of {len(works)} runs done; {slots} at a time with {runner.threads} threads each{runner.where}")
        with Console(len(works), done, speeds, slots, config.verbose) as console:
            queue = Queue(to_do, runner, console)
            queue.run()
    if queue.failed:
        for work in queue.left:
            cause = queue.blocked_by(work)
            print(f"waits     {work.name}: needs {cause.name if cause else 'what did not finish'}", file=sys.stderr)
        names = "; ".join(work.name for work in queue.failed)
        waiting = f", {len(queue.left)} wait for them" if queue.left else ""
        raise RunError(
            f"{len(queue.failed)} of {len(works)} runs failed{waiting} ({names}): see above; the same command tries "
            "them again"
        )
    print(f"all {len(works)} runs are done: results in {config.results_dir}")


def _look_at_results(config: AblationConfig, plan: Plan, data: GridData) -> Speeds:
    """Check what is finished, which may be hundreds of files, in one reading; returns what it tells of speed."""
    found = results_in(config.results_dir)
    require_same_grid(plan, data, found)
    _tell_mixed(config, found)
    contents = (content for _, content in found)
    return Speeds(contents, config.output_dir, data.resolution, _threads(config))


def _threads(config: AblationConfig) -> int:
    """Return the threads of each training."""
    return threads_of(config.jobs) if config.runner == "local" else config.cpus_per_arm


def _tell_mixed(config: AblationConfig, found: Found) -> None:
    for line in mixed_encoders(config.results_dir, found):
        print(f"WARNING: {line}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command("experiments.ablate", AblationConfig, ablate, argv, section="ablation", description=__doc__)


if __name__ == "__main__":
    sys.exit(main())

"""Phase 1: train a UNet autoencoder to restore pictures, so that its encoder learns without labels.

Every picture of Train serves, with or without a mask; Val chooses the best epoch. Leaves a run folder with
best_model.safetensors, training_log.csv and training_config.json. The same command again goes on or says it is done.

    python -m reconstruction.train --config config/pets128.yaml --data_dir data/pets128 --output_dir runs/autoencoder
"""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from core.command import run_command
from reconstruction.config import ReconstructionConfig

if TYPE_CHECKING:
    from core.filing.seal import Seal


def train(config: ReconstructionConfig) -> None:
    """Run phase 1 from settings to finished run folder."""
    from core.filing.finished_run import seal_of_run, told_finished
    from core.run.trackers.tracker import require_installed

    require_installed(config.tracker)
    seal = seal_of_run(config, "reconstruction")
    if not told_finished(seal, config.tracker):
        _train(config, seal)


def _train(config: ReconstructionConfig, seal: "Seal") -> None:
    from core.evaluation import in_words
    from core.machine.machine import Machine
    from core.run.train import train_task
    from data.loading import open_training, require_unseen
    from data.opened import open_data
    from data.pool import pool
    from reconstruction.distillation.task import DistillationTask
    from reconstruction.task import ReconstructionTask

    data = open_data(config.data_dir, config.cache_dir)
    splits = open_training(data, config)
    require_unseen(data, [config.init_weights], config.allow_seen)
    data.require_apart(splits[0], pool(splits[0], config.pictures), config.allow_seen)

    def make_task(machine: Machine) -> ReconstructionTask:
        task = DistillationTask if config.pretext == "distil" else ReconstructionTask
        return task(config, *splits, machine)

    def opening(task: ReconstructionTask) -> Iterator[str]:
        patch = config.patch_sides
        size = f"patches of {in_words(patch)} voxels" if patch else f"{in_words(task.val.size)} px"
        kind = "volumes" if patch else "pictures"
        some = "" if config.pictures == "all" else f"{len(task.pool)} ({config.pictures}) of "
        pictures = f"{some}{len(task.train.names)} training {kind}, {len(task.val.names)} for validation"
        yield f"{pictures}, {size}"
        if idle := config.without_effect():
            what = f"--target {config.target}" if config.pretext != "distil" else "--pretext distil"
            yield f"{what} is judged by its squared error alone, without {', '.join(idle)}"

    train_task(config, make_task, {"data_fingerprint": data.fingerprint}, opening, seal)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command(
        "reconstruction.train", ReconstructionConfig, train, argv, section="reconstruction", description=__doc__
    )


if __name__ == "__main__":
    sys.exit(main())

"""A finished run, known as such before anything is imported that takes seconds."""

import os
from collections.abc import Iterable

from core.filing.seal import Seal, seal_of
from core.run.trackers.told import all_told
from core.train_config import NOT_COMPARED, TrainConfig

# What a finished run must still have, whole: later commands read each.
FILES = ("training_config.json", "training_log.csv", "metrics.json", "best_model.safetensors", "state.ckpt")


def seal_of_run(config: TrainConfig, phase: str) -> Seal:
    """Return the seal of a run: the settings that make it what it is, the data, the weights that it learns from."""
    encoder = getattr(config, "pretrained_encoder", None)
    read = {"manifest": config.data_dir / "manifest.json", "encoder": encoder, "weights": config.init_weights}
    read["encoder weights"] = config.encoder_file
    if teacher := getattr(config, "teacher_weights", None):
        read["teacher"] = teacher
    return seal_of(config.output_dir, f"{phase}.train", config, read, apart=NOT_COMPARED)


def seal_run(seal: Seal, best: str) -> None:
    """Seal a run that is finished; `best` says in words what came out of it."""
    files = [path for name in FILES if (path := seal.folder / name).exists()]
    seal.write(f"is finished: {best}. Nothing to do.", files)


def told_finished(seal: Seal, trackers: Iterable[str]) -> bool:
    """Say so where the run is finished and nothing was changed since; the processes of one run find out together.

    A tracker that does not know how the run ended is to be told first.
    """
    if {"WORLD_SIZE", "SLURM_STEP_NUM_TASKS"} & os.environ.keys() or (said := seal.said()) is None:
        return False
    if not all_told(seal.folder, trackers):
        return False
    print(f"{seal.folder} {said}")
    return True

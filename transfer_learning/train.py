"""Phase 2: train a segmentation UNet, for the classes that the data name, on the pictures that have a mask.

--pretrained_encoder takes the weights of phase 1; without it everything starts from scratch. What the encoder is, where
it comes from and how it goes on learning: docs/transfer.md. What it is judged by, and which pictures it
sees more often: docs/losses.md. The best epoch on Val (by --select, or the last) is kept as best_model.safetensors. The
same command again goes on or says it is done.

    python -m transfer_learning.train --config config/pets128.yaml --data_dir data/pets128 \\
        --pretrained_encoder runs/autoencoder/best_model.safetensors --output_dir runs/pretrained
"""

import hashlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.command import run_command
from transfer_learning.config import SegmentationConfig

if TYPE_CHECKING:
    from core.filing.seal import Seal
    from transfer_learning.task import SegmentationTask


def train(config: SegmentationConfig) -> None:
    """Run phase 2 from settings to finished run folder."""
    from core.filing.finished_run import seal_of_run, told_finished
    from core.run.trackers.tracker import require_installed

    require_installed(config.tracker)
    seal = seal_of_run(config, "transfer_learning")
    if not told_finished(seal, config.tracker):
        _train(config, seal)


def _train(config: SegmentationConfig, seal: "Seal") -> None:
    from core.files import file_sha256
    from core.machine.machine import Machine
    from core.run.train import train_task
    from data.loading import open_training, require_unseen
    from data.opened import open_data
    from data.pool import pool
    from transfer_learning.task import SegmentationTask

    data = open_data(config.data_dir, config.cache_dir)
    # Where nothing is chosen on Val, every mask may be learned from.
    without_val = config.select == "last" and not data.manifest.counts["Val"].labelled
    splits = open_training(data, config, judged_by="Train" if without_val else "Val")
    told = require_unseen(data, config.begun_with, config.allow_seen)
    if config.learns_unlabelled:
        data.require_apart(splits[0], pool(splits[0], config.unlabelled_pictures), config.allow_seen)

    def make_task(machine: Machine) -> SegmentationTask:
        return SegmentationTask(config, *splits, machine)

    def opening(task: SegmentationTask) -> Iterator[str]:
        kind = "pictures" if config.dims == 2 else "volumes"
        beside = f", {len(task.pool)} without their masks ({config.unlabelled_pictures})" if len(task.pool) else ""
        pictures = f"{len(task.chosen)} labelled training {kind}{beside}, {_judging(task)}"
        yield f"{len(task.classes)} classes, {pictures}, {_size(task)}, encoder {_origin(config)}"
        if config.pretrained_encoder and task.pretrained_on != data.fingerprint:
            what = "the encoder learned from other data than these (source, size or division, another fold perhaps)"
            if config.allow_seen:
                yield f"{what}, and may have seen pictures of this Val and Test: --allow_seen"
            else:
                yield f"{what}: {'none' if told else 'see that none'} of its pictures lies in this Val or Test"
        if isinstance(config.freeze, int) and config.freeze >= config.rows:
            yield f"--freeze {config.freeze} never lets the encoder go: the log has {config.rows} rows"
        if config.decoder == "linear" and config.freeze != "always":
            yield "--decoder linear is a probe of the encoder only where that stands still: --freeze always"

    read = {
        "data_fingerprint": data.fingerprint,
        "pretrained_encoder_sha256": file_sha256(config.pretrained_encoder) if config.pretrained_encoder else None,
        **({"teacher_weights_sha256": file_sha256(config.teacher_weights)} if config.teacher_weights else {}),
        **({"teacher_checkpoints_sha256": _sha256_of_checkpoints(config.teacher_weights)} if config.stable < 1 else {}),
    }
    train_task(config, make_task, read, opening, seal, partly_frozen=config.freeze != "never")


def _sha256_of_checkpoints(weights: Path | None) -> str | None:
    """Return one digest of the checkpoints that tell which pictures are stable; a teacher that goes on gets others."""
    from core.files import file_sha256
    from transfer_learning.unlabelled.stability import checkpoints_of

    if weights is None:
        return None
    digests = "".join(map(file_sha256, checkpoints_of(weights)))
    return hashlib.sha256(digests.encode()).hexdigest()


def _judging(task: "SegmentationTask") -> str:
    number, there = len(task.judging), len(task.val.labelled)
    if task.val.name == "Train":
        return "none for validation: the log's scores are of Train"
    if task.keeps_last:
        return f"{number} for validation, which chooses nothing"
    return f"{number} for validation" if number == there else f"{number} of {there} for validation"


def _size(task: "SegmentationTask") -> str:
    from core.evaluation import in_words

    patch = task.config.patch_sides
    return f"patches of {in_words(patch)} voxels" if patch else f"{in_words(task.val.size)} px"


def _origin(config: SegmentationConfig) -> str:
    if config.encoder_weights != "none":
        return f"{config.encoder} with {config.encoder_weights} weights"
    if config.init_weights:
        return f"{config.encoder} from {config.init_weights}"
    return f"{config.encoder} {'pretrained' if config.pretrained_encoder else 'from scratch'}"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command(
        "transfer_learning.train", SegmentationConfig, train, argv, section="transfer_learning", description=__doc__
    )


if __name__ == "__main__":
    sys.exit(main())

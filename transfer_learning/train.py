"""Phase 2: train a segmentation UNet, for the classes that the data name, on the pictures that have a mask.

--pretrained_encoder takes the weights of phase 1; without it everything starts from scratch. What the encoder is, where
it comes from and how it goes on learning: docs/transfer.md. The best epoch by Val mean IoU is kept as
best_model.safetensors. The same command again goes on or says it is done.

    python -m transfer_learning.train --config config/pets128.yaml --data_dir data/pets128 \\
        --pretrained_encoder runs/autoencoder/best_model.safetensors --output_dir runs/pretrained
"""

import sys
from collections.abc import Sequence

from core.command import run_command
from transfer_learning.config import SegmentationConfig


def train(config: SegmentationConfig) -> None:
    """Run phase 2 from settings to finished run folder."""
    from core.evaluation import in_words
    from core.files import file_sha256
    from core.machine.device import make_fabric
    from core.machine.processes import Processes
    from core.networks.unet import require_sides
    from core.run.description import defaults_of, describe
    from core.run.folder import RunFolder
    from core.run.loop import Loop
    from data.split import fingerprint, open_split
    from transfer_learning.task import SegmentationTask

    fabric, precision = make_fabric(config.device, config.amp, config.deterministic, config.freeze != "never")
    processes = Processes(fabric.global_rank, fabric.world_size)
    splits = [open_split(config.data_dir, name) for name in ("Train", "Val")]
    require_sides(*splits[0].size)
    if config.window:
        require_sides(*config.window)
    encoder = config.pretrained_encoder
    extra = {
        "data_fingerprint": fingerprint(config.data_dir),
        "pretrained_encoder_sha256": file_sha256(encoder) if encoder else None,
    }
    task = SegmentationTask(config, *splits, fabric.device, processes)
    description = describe(config, fabric.device, precision, extra)
    defaults = defaults_of(config)
    with RunFolder(config.output_dir, description, task.log_columns, processes.is_first, defaults) as folder:
        processes.say(
            f"{len(task.classes)} classes, {len(task.chosen)} labelled training pictures, "
            f"{len(splits[1].labelled)} for validation, {in_words(splits[0].size)} px, encoder {_origin(config)}, "
            f"on {fabric.device}, precision {precision}"
        )
        if config.decoder == "linear" and config.freeze != "always":
            processes.say(
                "note: --decoder linear is a probe of the encoder only where that stands still: --freeze always"
            )
        Loop(task, config, fabric, folder).run()


def _origin(config: SegmentationConfig) -> str:
    if config.encoder_weights != "none":
        return f"{config.encoder} with {config.encoder_weights} weights"
    return f"{config.encoder} {'pretrained' if config.pretrained_encoder else 'from scratch'}"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command(
        "transfer_learning.train", SegmentationConfig, train, argv, section="transfer_learning", description=__doc__
    )


if __name__ == "__main__":
    sys.exit(main())

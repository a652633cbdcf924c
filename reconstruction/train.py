"""Phase 1: train a UNet autoencoder to restore pictures, so that its encoder learns without labels.

Every picture of Train serves, with or without a mask; Val chooses the best epoch. Leaves a run folder with
best_model.safetensors, training_log.csv and training_config.json. The same command again goes on or says it is done.

    python -m reconstruction.train --config config/pets128.yaml --data_dir data/pets128 --output_dir runs/autoencoder
"""

import sys
from collections.abc import Sequence

from core.command import run_command
from reconstruction.config import ReconstructionConfig, settings_without_effect


def train(config: ReconstructionConfig) -> None:
    """Run phase 1 from settings to finished run folder."""
    from core.evaluation import in_words
    from core.machine.device import make_fabric
    from core.machine.processes import Processes
    from core.networks.unet import require_sides
    from core.run.description import defaults_of, describe
    from core.run.folder import RunFolder
    from core.run.loop import Loop
    from data.split import fingerprint, open_split
    from reconstruction.task import ReconstructionTask

    fabric, precision = make_fabric(config.device, config.amp, config.deterministic)
    processes = Processes(fabric.global_rank, fabric.world_size)
    splits = [open_split(config.data_dir, name) for name in ("Train", "Val")]
    require_sides(*splits[0].size)
    if config.window:
        require_sides(*config.window)
    extra = {"data_fingerprint": fingerprint(config.data_dir)}
    task = ReconstructionTask(config, *splits, fabric.device, processes)
    description = describe(config, fabric.device, precision, extra)
    defaults = defaults_of(config)
    with RunFolder(config.output_dir, description, task.log_columns, processes.is_first, defaults) as folder:
        processes.say(
            f"{len(splits[0].names)} training pictures, {len(splits[1].names)} for validation, "
            f"{in_words(splits[0].size)} px, on {fabric.device}, precision {precision}"
        )
        if idle := settings_without_effect(config):
            processes.say(
                f"note: --target {config.target} is judged by its squared error alone, without {', '.join(idle)}"
            )
        Loop(task, config, fabric, folder).run()


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command(
        "reconstruction.train", ReconstructionConfig, train, argv, section="reconstruction", description=__doc__
    )


if __name__ == "__main__":
    sys.exit(main())

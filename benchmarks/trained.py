"""A network that has learned something, for what an untrained one would flatter or spoil: scores, and agreement."""

from dataclasses import replace
from pathlib import Path

from transfer_learning.config import SegmentationConfig
from transfer_learning.train import train


def trained(folder: Path, data_dir: Path, steps: int, *, width: int, batch_size: int) -> Path:
    """Train phase 2 in fp32 for so many steps, once; a training that was stopped goes on. Returns the weights.

    Args:
        folder: of the run; the settings are part of its name.
        data_dir: prepared data.
        steps: of the optimiser.
        width: of the network.
        batch_size: pictures a step.
    """
    run = folder / f"trained-{data_dir.name}-{width}-{batch_size}-{steps}"
    weights = run / "best_model.safetensors"
    config = SegmentationConfig(
        data_dir=data_dir, output_dir=run, max_steps=steps, val_every=steps, width=width, batch_size=batch_size
    )
    if not weights.exists():
        train(replace(config, device="cpu", amp="off", optimizer="adamw", momentum=0.0, lr=0.001))
    return weights

"""Score a trained autoencoder: MSE, PSNR and SSIM of the restored pictures of a split.

Per-image scores over content pixels (no letterbox bars), averaged over all pictures of the split, masked or not.
Writes reconstruction_metrics.json and a figure of restored pictures.

    python -m reconstruction.evaluate --model_path runs/autoencoder/best_model.safetensors --data_dir data/pets128
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.command import run_command
from core.evaluation import EvaluationConfig, load_model, print_table, provenance, spread


@dataclass(frozen=True)
class ReconstructionEvaluationConfig(EvaluationConfig):
    """Settings of `reconstruction.evaluate`."""


def evaluate(config: ReconstructionEvaluationConfig) -> dict[str, Any]:
    """Score, write, print; returns the content of reconstruction_metrics.json."""
    from core.device import resolve_device
    from core.files import write_json
    from data.dataset import fingerprint, open_split
    from reconstruction.autoencoder import Autoencoder

    device = resolve_device(config.device)
    model, header = load_model(config, "reconstruction", Autoencoder, device)
    split = open_split(config.data_dir, config.split)
    scores = score_split(model, split, config.batch_size, device)
    result = {
        **scores,
        "num_samples": len(split.names),
        "provenance": provenance(config, header, fingerprint(config.data_dir), split.size, device),
    }
    write_json(config.output_dir / "reconstruction_metrics.json", result)
    if config.visualize_samples:
        _draw(model, split, config, device)
    rows = [[config.split, len(split.names), *(scores[name] for name in ("mse", "psnr", "ssim"))]]
    print_table(f"Reconstruction at {split.size} px", ["split", "images", "MSE", "PSNR (dB)", "SSIM"], rows)
    print(f"written to {config.output_dir / 'reconstruction_metrics.json'}")
    return result


def score_split(model: Any, split: Any, batch_size: int, device: Any) -> dict[str, float | None]:
    """Return the means over all pictures of `mse`, `psnr` (dB) and `ssim`; None where no picture has a score."""
    import numpy as np
    import torch
    from rich.progress import track

    from core.processes import Sums, merged
    from data.loading import plain_batches
    from reconstruction.metrics import mean_scores, restoration_scores, score_sums

    sums: Sums = {}
    batches = plain_batches(split, np.arange(len(split.names)), batch_size, device)
    with torch.inference_mode():
        for indices, batch in track(batches, f"restoring {split.name}", -(-len(split.names) // batch_size)):
            restored = model(batch.input, batch.content)
            scores = restoration_scores(restored, batch.clean, torch.from_numpy(split.rectangles[indices]))
            sums = merged(sums, score_sums(scores))
    return mean_scores(sums)


def _draw(model: Any, split: Any, config: EvaluationConfig, device: Any) -> None:
    import numpy as np
    import torch

    from data.loading import plain_batches
    from reconstruction.visualize import save_grid

    chosen = np.array(spread(len(split.names), config.visualize_samples))
    with torch.inference_mode():
        _, batch = next(plain_batches(split, chosen, len(chosen), device))
        restored = model(batch.input, batch.content)
    names = [split.names[index] for index in chosen]
    save_grid(config.output_dir / "figures" / "reconstructions.png", names, batch.clean, restored, batch.content)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command(
        "reconstruction.evaluate",
        ReconstructionEvaluationConfig,
        evaluate,
        argv,
        section="reconstruction_evaluation",
        description=__doc__,
    )


if __name__ == "__main__":
    sys.exit(main())

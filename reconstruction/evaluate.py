"""Score a trained autoencoder: how well it restores the pictures of a split, and what its bottleneck knows of them.

MSE, PSNR, SSIM, MS-SSIM and perceptual distance of each picture, over content pixels (no letterbox bars): means over
all pictures of the split, masked or not, with 95 % bootstrap intervals in reconstruction_metrics.json, each picture's
own in per_image.csv, pictures and training curves in figures/. A network that predicts gradients, normalised patches
or a teacher's features is scored by its squared error there. --analyze_latent_space adds PCA, t-SNE, probes for every
tag of the pictures (latent_space.json), and the same of a random encoder.

    python -m reconstruction.evaluate --model_path runs/autoencoder/best_model.safetensors --data_dir data/pets128
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.command import run_command
from core.errors import UserError
from core.evaluation import (
    EvaluationConfig,
    in_words,
    load_model,
    print_table,
    provenance,
    require_own_folder,
    scored_before,
    seal_of_scores,
    seal_scores,
)

if TYPE_CHECKING:
    import numpy as np
    import torch

    from core.filing.seal import Seal
    from core.headers.header import Header
    from data.augment.settings import AugmentConfig
    from data.loading import AnySplit
    from data.pretext.hiding import Pretext
    from data.split import Split
    from reconstruction.distillation.network import Student
    from reconstruction.figures.evaluation import Gallery
    from reconstruction.network import Autoencoder

MOST_ROWS = 200
TITLES = {
    "mse": "MSE",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "perceptual": "perceptual distance",
    "target_error": "squared error",
}


@dataclass(frozen=True)
class ReconstructionEvaluationConfig(EvaluationConfig):
    """Settings of `reconstruction.evaluate`."""

    visualize_samples: int = 16
    """Pictures drawn, in a grid and each by itself, 200 at most. 0: no pictures (curves and latent space remain)."""
    analyze_latent_space: bool = False
    """Ask whether the bottleneck's features tell the values of a tag apart; PCA and t-SNE, beside a random encoder."""
    perceptual_network: Literal["efficientnet_lite0", "vgg16"] = "efficientnet_lite0"
    """Whose features measure the perceptual distance: the same for all runs that are compared."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.visualize_samples > MOST_ROWS:
            raise UserError(f"visualize_samples {self.visualize_samples}: a figure holds {MOST_ROWS} rows at most")


def evaluate(config: ReconstructionEvaluationConfig) -> dict[str, Any]:
    """Score, write, draw, print; returns the content of reconstruction_metrics.json, which replaces an earlier one."""
    from core.filing.writing import sole_writer

    require_own_folder(config.output_dir, "reconstruction")
    seal = seal_of_scores(config, "reconstruction")
    if earlier := scored_before(config, "reconstruction", seal):
        return earlier
    with sole_writer(config.output_dir):
        return _evaluate(config, seal)


def _evaluate(config: ReconstructionEvaluationConfig, seal: "Seal") -> dict[str, Any]:
    from core.files import write_csv, write_json
    from core.filing.writing import files_named, replacing
    from core.machine.device import resolve_device
    from core.networks.unet import require_channels
    from data.opened import open_data
    from data.pretext.hiding import Pretext
    from reconstruction.figures.evaluation import Gallery, corruption_of
    from reconstruction.per_image import image_rows, summary

    device = resolve_device(config.device)
    model, header = load_model(config.model_path, "reconstruction", _network_of(config.model_path), device)
    pretext = Pretext.of(header.config, str(config.model_path))
    damage = corruption_of(header.config, str(config.model_path))
    data = open_data(config.data_dir, config.cache_dir)
    split = _pictures(data.split(config.split), model.dims)
    assert config.model_path is not None
    require_channels(config.model_path, model.in_channels, split.channels)
    origin = provenance(config, header, data, split.size, device)
    scores, about, notes = _scores(config, model, split, device, pretext)
    result = {
        "format": 2,
        "phase": "reconstruction",
        **summary(scores),
        **about,
        "pretext": pretext.pretext,
        "num_samples": len(split.names),
        "provenance": origin,
    }
    rows = image_rows(split, scores)
    failure = None
    with replacing(config.output_dir, files_named(config.output_dir / "reconstruction_metrics.json")) as folder:
        write_csv(folder / "per_image.csv", list(rows[0]), rows)
        gallery = Gallery(model, split, scores, folder, config.batch_size, device, pretext)
        try:
            result |= _drawn(gallery, header, damage, notes, config)
        except Exception as error:  # the scores are kept all the same
            failure = error
        write_json(folder / "reconstruction_metrics.json", result)
        if not failure:
            seal_scores(config, seal, result, folder)
    if failure:
        raise failure
    _print(result, config, in_words(split.size))
    return result


def _network_of(weights: Path | None) -> type["Student | Autoencoder"]:
    from core.headers.header import read_header
    from reconstruction.distillation.network import network_of
    from reconstruction.network import Autoencoder

    return network_of(read_header(weights)) if weights else Autoencoder


def _pictures(split: "AnySplit", dims: int) -> "Split":
    """Return a split of pictures; raises UserError for volumes, or for a network of them."""
    from data.split import Split

    if dims == 3 or not isinstance(split, Split):
        raise UserError(
            "reconstruction.evaluate scores pictures: of volumes the training log has MSE, PSNR and SSIM of Val, and "
            "transfer_learning.evaluate says what the encoder is worth"
        )
    return split


def _drawn(
    gallery: "Gallery",
    header: "Header",
    damage: "AugmentConfig",
    notes: list[str | None],
    config: ReconstructionEvaluationConfig,
) -> dict[str, Any]:
    """Draw into the gallery's folder; returns what the result says of that, and of the latent space."""
    from reconstruction.figures.evaluation import draw_curves, draw_pictures

    assert config.model_path is not None
    figures = draw_pictures(gallery, config.visualize_samples, damage, header.run.seed)
    entries, note = draw_curves(config.model_path, gallery.folder, header.epoch)
    result: dict[str, Any] = {"figures": figures + entries, "notes": [line for line in (note, *notes) if line]}
    if config.analyze_latent_space:
        from reconstruction.latent.analysis import analyse

        arguments = (header.architecture, gallery.split, gallery.folder, config.batch_size, gallery.device)
        result["latent_space"], entries = analyse(gallery.model, *arguments)
        result["figures"] = result["figures"] + entries
    if gallery.not_drawn:
        result["not_drawn"] = gallery.not_drawn
    return result


def _scores(
    config: ReconstructionEvaluationConfig,
    model: "Student | Autoencoder",
    split: "Split",
    device: "torch.device",
    pretext: "Pretext",
) -> tuple[dict[str, "np.ndarray"], dict[str, Any], list[str | None]]:
    """Return each picture's scores, what the result says about them, and notes."""
    from data.pretext.targets import TargetLoss
    from reconstruction.distillation.network import Student
    from reconstruction.distillation.scoring import feature_errors, teacher_of
    from reconstruction.per_image import ms_ssim_note, score_split, target_errors
    from reconstruction.perceptual import PerceptualDistance

    if isinstance(model, Student):
        teacher = teacher_of(model, str(config.model_path)).to(device)
        target = f"features of {model.teacher}"
        note = f"the network predicts {target}, not pictures: no MSE, PSNR, SSIM or perceptual distance"
        about = {"target": target, "outside_weights": [model.teacher]}
        return feature_errors(model, teacher, split, config.batch_size, device), about, [note]
    if model.target != "pixels":
        loss = TargetLoss(model.target, pretext.mask_patch)
        note = f"the network predicts {model.target}, not pictures: no PSNR, SSIM or perceptual distance"
        return target_errors(model, loss, split, config.batch_size, device, pretext), {"target": model.target}, [note]
    distance = PerceptualDistance(config.perceptual_network).to(device)
    scores = score_split(model, distance, split, config.batch_size, device, pretext)
    missing = ms_ssim_note(scores["ms_ssim"])
    return scores, {"perceptual_network": config.perceptual_network, "ms_ssim_note": missing}, [missing]


def _print(result: dict[str, Any], config: ReconstructionEvaluationConfig, size: str) -> None:
    intervals = result["intervals"]
    scored = {name: title for name, title in TITLES.items() if name in result}
    rows = [[title, result[name], *(intervals[name] or (None, None))] for name, title in scored.items()]
    where = f"{result['num_samples']} pictures of {config.split} at {size} px"
    what = f"Prediction of {result['target']}," if "target" in result else "Reconstruction of"
    print_table(f"{what} {where}", ["mean over pictures", "", "from (95 %)", "to"], rows)
    for note in result["notes"]:
        print(f"note: {note}")
    print(f"written to {config.output_dir / 'reconstruction_metrics.json'}; figures in {config.output_dir / 'figures'}")


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

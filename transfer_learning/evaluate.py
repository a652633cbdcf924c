"""Score a trained segmentation network at the masks' original size.

Class scores are brought back through the exact inverse geometry and compared with the original trimaps, border pixels
left out; pictures without a mask are not scored. All scores come from one confusion matrix over all pictures. Writes
evaluation_results.json and a figure of predictions.

    python -m transfer_learning.evaluate --model_path runs/pretrained/best_model.safetensors --data_dir data/pets128
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.command import run_command
from core.errors import UserError
from core.evaluation import EvaluationConfig, format_cell, load_model, print_table, provenance, spread


@dataclass(frozen=True)
class SegmentationEvaluationConfig(EvaluationConfig):
    """Settings of `transfer_learning.evaluate`."""

    visualize_samples: int = 3
    """Pictures drawn in the figure. 0: no figure."""


def evaluate(config: SegmentationEvaluationConfig) -> dict[str, Any]:
    """Score, write, print; returns the content of evaluation_results.json."""
    from core.device import resolve_device
    from core.files import write_json
    from data.dataset import fingerprint, open_split
    from transfer_learning.metrics import segmentation_scores
    from transfer_learning.unet import SegmentationUNet

    device = resolve_device(config.device)
    model, header = load_model(config, "transfer_learning", SegmentationUNet, device)
    split = open_split(config.data_dir, config.split)
    if not len(split.labelled):
        raise UserError(f"{config.data_dir}: no labelled images in {config.split}, so nothing can be scored")
    matrix = confusion_of_split(model, split, config.batch_size, device)
    scores = segmentation_scores(matrix, header["class_names"])
    result = {
        **scores,
        "num_images": len(split.labelled),
        "provenance": provenance(config, header, fingerprint(config.data_dir), split.size, device),
    }
    write_json(config.output_dir / "evaluation_results.json", result)
    if config.visualize_samples:
        _draw(model, split, config, device)
    _print(result, header["class_names"], config)
    return result


def predictions(model: Any, split: Any, indices: Any, batch_size: int, device: Any) -> Any:
    """Yield (index, prediction [H, W] uint8 at the picture's original size) for the given pictures, in order."""
    import torch

    from data.loading import plain_batches

    for chosen, batch in plain_batches(split, indices, batch_size, device):
        with torch.inference_mode():
            logits = model(batch.input, batch.content).float().cpu().numpy()
        for index, scores in zip(chosen, logits, strict=True):
            yield index, split.geometries[index].restore_scores(scores).argmax(axis=0).astype("uint8")


def confusion_of_split(model: Any, split: Any, batch_size: int, device: Any) -> Any:
    """Return the confusion matrix [C, C] of all labelled pictures of a split, at their original size."""
    import torch
    from rich.progress import track

    from transfer_learning.metrics import confusion_matrix

    classes = model.head.out_channels
    matrix = torch.zeros(classes, classes, dtype=torch.int64)
    results = predictions(model, split, split.labelled, batch_size, device)
    for index, prediction in track(results, f"segmenting {split.name}", len(split.labelled)):
        matrix += confusion_matrix(prediction, split.truth(index), classes)
    return matrix


def _draw(model: Any, split: Any, config: EvaluationConfig, device: Any) -> None:
    from transfer_learning.visualize import save_panels

    chosen = split.labelled[spread(len(split.labelled), config.visualize_samples)]
    found = [prediction for _, prediction in predictions(model, split, chosen, config.batch_size, device)]
    pictures = [_original_size(split, index) for index in chosen]
    names = [split.names[index] for index in chosen]
    truths = [split.truth(index) for index in chosen]
    save_panels(config.output_dir / "figures" / "predictions.png", names, pictures, truths, found)


def _original_size(split: Any, index: int) -> Any:
    planes = split.images[index].transpose(2, 0, 1).astype("float32") / 255
    return split.geometries[index].restore_scores(planes).transpose(1, 2, 0)


def _print(result: dict[str, Any], class_names: Sequence[str], config: EvaluationConfig) -> None:
    columns = ("iou", "dice", "precision", "recall")
    rows = [[name, *(result[name][column] for column in columns)] for name in class_names]
    rows.append(["mean", result["mean_iou"], None, None, None])
    rows.append(["cat and dog as one", result["foreground_iou"], None, None, None])
    rows.append(["mean of cat and dog", None, result["mean_foreground_dice"], None, None])
    print_table(
        f"Segmentation of {config.split} at original size, {result['num_images']} images with a mask",
        ["class", "IoU", "Dice", "precision", "recall"],
        rows,
    )
    print(f"pixel accuracy {format_cell(result['pixel_accuracy'])}")
    print(f"written to {config.output_dir / 'evaluation_results.json'}")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command(
        "transfer_learning.evaluate",
        SegmentationEvaluationConfig,
        evaluate,
        argv,
        section="transfer_learning_evaluation",
        description=__doc__,
    )


if __name__ == "__main__":
    sys.exit(main())

"""Score a trained segmentation network at the masks' original size, and draw what it does.

Class scores are brought back through the exact inverse geometry and compared with the original trimaps, border pixels
left out; pictures without a mask are not scored. All scores come from one confusion matrix over all pictures, their
intervals from a bootstrap over pictures. Writes evaluation_results.json, per_image.csv and figures.

    python -m transfer_learning.evaluate --model_path runs/pretrained/best_model.safetensors --data_dir data/pets128
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.command import run_command
from core.errors import UserError
from core.evaluation import EvaluationConfig, load_model, print_table, provenance, require_own_folder

MOST_ROWS = 50


@dataclass(frozen=True)
class SegmentationEvaluationConfig(EvaluationConfig):
    """Settings of `transfer_learning.evaluate`."""

    visualize_samples: int = 3
    """Pictures drawn in each figure of single pictures, 50 at most. 0: figures of the whole split alone."""
    figures: bool = True
    """Draw figures; without them scoring takes less than half the time."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.visualize_samples > MOST_ROWS:
            raise UserError(f"visualize_samples {self.visualize_samples}: a figure holds {MOST_ROWS} rows at most")


def evaluate(config: SegmentationEvaluationConfig) -> dict[str, Any]:
    """Score, write, print; returns the content of evaluation_results.json."""
    from core.files import write_csv, write_json
    from core.machine.device import resolve_device
    from data.split import fingerprint, open_split
    from transfer_learning.network import SegmentationUNet
    from transfer_learning.scores.per_image import breed_scores, image_rows
    from transfer_learning.scores.split import results_of, scores_of_split

    require_own_folder(config.output_dir, "transfer_learning")
    device = resolve_device(config.device)
    model, header = load_model(config.model_path, "transfer_learning", SegmentationUNet, device)
    split = open_split(config.data_dir, config.split)
    if not len(split.labelled):
        raise UserError(f"{config.data_dir}: no labelled images in {config.split}, so nothing can be scored")
    scores = scores_of_split(model, split, config.batch_size, device)
    class_names = header["class_names"]
    rows = image_rows(split, scores, class_names)
    result = {
        **results_of(scores, class_names),
        "per_breed": breed_scores(split, scores, class_names),
        "num_images": len(split.labelled),
        "provenance": provenance(config, header, fingerprint(config.data_dir), split.size, device),
        "figures": [],
    }
    write_csv(config.output_dir / "per_image.csv", list(rows[0]), rows)
    write_json(config.output_dir / "evaluation_results.json", result)  # kept even if a figure fails
    if config.figures:
        from transfer_learning.figures.evaluation import draw

        result["figures"] = draw(model, split, result, rows, config, device)
        write_json(config.output_dir / "evaluation_results.json", result)
    _print(result, class_names, config)
    return result


def _print(result: dict[str, Any], class_names: Sequence[str], config: EvaluationConfig) -> None:
    columns = ("iou", "dice", "precision", "recall")
    rows = [[name, *(result[name][column] for column in columns)] for name in class_names]
    print_table(
        f"Segmentation of {config.split} at original size, {result['num_images']} images with a mask",
        ["class", "IoU", "Dice", "precision", "recall"],
        rows,
    )
    rows = [
        [name.replace("_", " "), result[name], *(result["intervals"][name] or (None, None))]
        for name, value in result.items()
        if name in result["intervals"] and not isinstance(value, dict)
    ]
    print_table("With 95 % intervals over images", ["", "", "from", "to"], rows)
    if result["classes_without_truth"]:
        absent = ", ".join(result["classes_without_truth"])
        print(f"note: no mask holds {absent}: no score, or an IoU of 0 where it was predicted all the same")
    print(f"written to {config.output_dir}: evaluation_results.json, per_image.csv, {len(result['figures'])} figures")


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

"""What an evaluation of phase 2 prints."""

from pathlib import Path
from typing import Any

from core.evaluation import MANY_CLASSES, best_and_worst, print_table
from transfer_learning.inference.fitting import listed

SHOWN = 10


def print_scores(result: dict[str, Any], split: str, output_dir: Path) -> None:
    """Print the scores in evaluation_results.json, of a split, and where that lies."""
    columns = ("iou", "dice", "precision", "recall", "specificity")
    by_class = result["classes"]
    names = list(by_class)
    title = f"Segmentation of {split} at original size, {result['num_images']} images with a mask"
    if len(names) > MANY_CLASSES:
        places = best_and_worst([by_class[name]["iou"] for name in names], 2 * SHOWN)
        names = [names[place] for place in places]
        title += f"; {len(names)} of {len(by_class)} classes, best and worst by IoU"
    rows = [[name, *(by_class[name][column] for column in columns)] for name in names]
    print_table(title, ["class", "IoU", "Dice", "precision", "recall", "specificity"], rows)
    if len(names) < len(by_class):
        print(f"{len(by_class) - len(names)} classes are left out here: evaluation_results.json holds all")
    rows = [
        [name.replace("_", " "), result[name], *(interval or (None, None))]
        for name, interval in result["intervals"].items()
        if name != "classes" and not (result[name] is None and result["class_set"]["background"] is None)
    ]
    print_table("With 95 % intervals over images", ["", "", "from", "to"], rows)
    if absent := result["classes_without_truth"]:
        print(f"note: no mask holds {listed(absent)}: no score, or an IoU of 0 where it was predicted all the same")
    print(f"written to {output_dir}: evaluation_results.json, per_image.csv, {len(result['figures'])} figures")

"""What an evaluation of phase 2 prints."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.evaluation import MANY_CLASSES, best_and_worst, counted, print_table, scored_kind
from transfer_learning.inference.fitting import listed
from transfer_learning.scores.surface import DISTANCES

SHOWN = 10


COLUMNS = {
    "iou": "IoU",
    "dice": "Dice",
    "precision": "precision",
    "recall": "recall",
    "specificity": "specificity",
    "balanced_accuracy": "balanced accuracy",
    "auc": "AUC",
}
# Of pictures that hold one foreground class each.
ONE_OBJECT = {"class_accuracy": "pictures whose class is told", "outline_mean_iou": "mean iou, true class painted in"}


def print_scores(result: dict[str, Any], split: str, output_dir: Path) -> None:
    """Print the scores in evaluation_results.json, of a split, and where that lies."""
    by_class = result["classes"]
    names = list(by_class)
    kind = scored_kind(result)
    title = f"Segmentation of {split} at original size, {counted(result['num_images'], kind)} with a mask"
    if len(names) > MANY_CLASSES:
        places = best_and_worst([by_class[name]["iou"] for name in names], 2 * SHOWN)
        names = [names[place] for place in places]
        title += f"; {len(names)} of {len(by_class)} classes, best and worst by IoU"
    rows = [[name, *map(by_class[name].get, COLUMNS)] for name in names]
    if result["class_set"]["background"] is not None and len(by_class) > 2:
        rows.append(["all foreground as one", *map(result["foreground"].get, COLUMNS)])
    print_table(title, ["class", *COLUMNS.values()], rows)
    if len(names) < len(by_class):
        print(f"{len(by_class) - len(names)} classes are left out here: evaluation_results.json holds all")
    if "distances" in result:
        _print_distances(result["distances"], result["intervals"]["distances"]["classes"], kind)
    rows = [
        [_title(name, kind), result[name], *(interval or (None, None))]
        for name, interval in result["intervals"].items()
        if not isinstance(interval, dict) and not (result[name] is None and _has_none(name, result))
    ]
    rows += [
        [ONE_OBJECT[name], value, *(result["intervals"]["one_object"][name] or (None, None))]
        for name, value in result["one_object"].items()
        if value is not None and len(by_class) > 2  # the outline of a single class is the mean IoU
    ]
    print_table(f"With 95 % intervals over {kind}s", ["", "", "from", "to"], rows)
    for line in _notes(result):
        print(line)
    print(f"written to {output_dir}: evaluation_results.json, per_image.csv, {len(result['figures'])} figures")


def _title(name: str, kind: str) -> str:
    words = name.replace("_", " ")
    return words.replace("pixel", "voxel") if kind == "volume" else words


def _has_none(name: str, result: dict[str, Any]) -> bool:
    """Say whether what was scored can have no such score: of the foreground, or of outlines of pictures."""
    of_pictures = scored_kind(result) == "volume" and name.startswith("boundary_")
    return of_pictures or result["class_set"]["background"] is None


def _print_distances(distances: dict[str, Any], intervals: dict[str, Any], kind: str) -> None:
    """Print both distances of each class, and in how many images or volumes (`kind`) there is none."""
    heads = [
        "class",
        "95 % Hausdorff",
        "from",
        "to",
        "surface distance",
        "from",
        "to",
        f"{kind}s",
        "missed",
        "invented",
    ]
    rows = [
        [
            name,
            *(cell for kind in DISTANCES for cell in (one[kind], *(intervals[name][kind] or (None, None)))),
            *(one[kind] for kind in ("num_scored", "missed", "invented")),
        ]
        for name, one in distances["classes"].items()
    ]
    unit = distances["unit"]
    print_table(f"Distances of surfaces in {unit}, means over the {kind}s where both hold the class", heads, rows)


def _notes(result: dict[str, Any]) -> Iterator[str]:
    cases = result["cases"]
    if result["mean_case_dice"] is not None:
        left = cases["num_cases"] - cases["num_scored"]
        kind = scored_kind(result, "picture") if cases["by"] == "image" else cases["by"]
        without = f"; {left} without foreground in truth and prediction left out" if left else ""
        yield f"mean case dice: over {counted(cases['num_scored'], kind)}{without}"
    if at := result.get("v_rand_at"):
        yield f"v rand: {at['class']} separates from a probability of {at['threshold']} on, the best threshold here"
    if absent := result["classes_without_truth"]:
        yield f"note: no mask holds {listed(absent)}: no score, or an IoU of 0 where it was predicted all the same"

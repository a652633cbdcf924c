"""What an advice hands out: the best way trained on every mask, masks of all pictures, the doubtful ones first."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.files import atomic_path
from core.filing.json_file import read_json
from experiments.advice.arms import Arm
from experiments.advice.choices import FOR_FOLDS, MOST_STEPS
from experiments.advice.places import weights
from experiments.advice.running import Chain
from experiments.advice.work import Work

DOUBTFUL = 50
# The final training is at most so many times as long as those that its score was measured on.
LONGEST = 3
FOR_TRAINING = 0.75  # of what is left for the final model; the rest is for masks of all pictures and the page


def final_training(work: Work, arm: Arm, hours: float, step_seconds: Mapping[str, float]) -> Chain:
    """Return the training of an arm on every mask."""
    seconds = (1 - FOR_FOLDS) * FOR_TRAINING * hours * 3600
    steps = int(min(seconds / step_seconds[arm.name], LONGEST * work.lengths.steps[arm.name], MOST_STEPS))
    run = work.places.final
    command = work.training(arm, work.places.whole, run, max(1, steps))
    return Chain("the final model", (command,), run / "console.txt", weights(run), steps * step_seconds[arm.name])


def prediction(work: Work, images: Path) -> Chain:
    """Return the segmentation of every picture by the final model."""
    folder = work.places.predictions
    words = ["--model_path", str(weights(work.places.final)), "--input", str(images), "--output_dir", str(folder)]
    console = work.places.here / "predictions.txt"
    return Chain(
        "masks of all pictures", (["transfer_learning.predict", words],), console, folder / "predictions.json", 60.0
    )


def doubtful(predictions: Path, labelled: set[str]) -> list[dict[str, Any]]:
    """Return the pictures without a mask that the final model is least sure of, the least sure first.

    Args:
        predictions: predictions.json.
        labelled: files with a mask, as they are named there.
    """
    pictures = [one for one in read_json(predictions)["pictures"] if one["file"] not in labelled]
    pictures.sort(key=lambda one: (one["confidence"], one["file"]))
    return [{"file": one["file"], "confidence": one["confidence"], "mask": one["mask"]} for one in pictures[:DOUBTFUL]]


def write_doubtful(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the list as a table: file, confidence, and where the mask lies that can be begun from."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["file", "confidence", "mask"])
        writer.writeheader()
        writer.writerows(rows)

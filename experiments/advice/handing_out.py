"""What an advice hands out: its page, the best way trained on every mask, masks of all pictures, the doubtful first."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.files import atomic_path, write_csv, write_json
from core.filing.json_file import read_json
from experiments.advice.arms import Arm
from experiments.advice.choices import FOR_FOLDS, MOST_STEPS
from experiments.advice.places import Places, weights
from experiments.advice.planning import Plan
from experiments.advice.running import Chain, run_all

DOUBTFUL = 50
# The final training is at most so many times as long as those that its score was measured on.
LONGEST = 3
FOR_TRAINING = 0.75  # of what is left for the final model; the rest is for masks of all pictures and the page


def write_advice(places: Places, content: Mapping[str, Any]) -> None:
    """Write advice.json and advice.md."""
    write_json(places.here / "advice.json", dict(content))
    conditions = (
        f"It holds for {content['hours']:g} hours on this machine: {content['size']} px, width {content['width']}, "
        f"{content['seconds_a_training']:.0f} s a training, {content['folds']} folds of {content['masks']} masks."
    )
    notes = [f"Note: {line}" for line in [*content["left_out"], *content["warnings"]]]
    text = "\n\n".join(["# Advice", *content["says"], conditions, *notes])
    with atomic_path(places.here / "advice.md") as temporary:
        temporary.write_text(f"{text}\n", encoding="utf-8")


def hand_out(plan: Plan, arm: Arm, content: Mapping[str, Any]) -> None:
    """Train the best way on every mask, segment every picture, write the page and the list of doubtful ones."""
    places, threads = plan.work.places, plan.slots * plan.threads
    run_all([_final_training(plan, arm)], "the final model", 1, threads)
    run_all([_prediction(places, plan.config.require_images())], "masks of all pictures", 1, threads)
    _write_page(places, content)
    rows = doubtful(places.predictions / "predictions.json", set(plan.situation.labelled_files))
    if rows:
        write_csv(places.here / "doubtful.csv", list(rows[0]), rows)
        print(f"{len(rows)} pictures that the final model is least sure of: {places.here / 'doubtful.csv'}")


def _final_training(plan: Plan, arm: Arm) -> Chain:
    """Return the training of an arm on every mask."""
    work, step = plan.work, plan.step_seconds[arm.name]
    seconds = (1 - FOR_FOLDS) * FOR_TRAINING * plan.config.hours * 3600
    steps = max(1, int(min(seconds / step, LONGEST * work.lengths.steps[arm.name], MOST_STEPS)))
    run = work.places.final
    command = work.training(arm, work.places.whole, run, steps)
    return Chain("the final model", (command,), run / "console.txt", weights(run), steps * step)


def _prediction(places: Places, images: Path) -> Chain:
    """Return the segmentation of every picture by the final model."""
    folder = places.predictions
    words = ["--model_path", str(weights(places.final)), "--input", str(images), "--output_dir", str(folder)]
    said, leaves = places.here / "predictions.txt", folder / "predictions.json"
    return Chain("masks of all pictures", (["transfer_learning.predict", words],), said, leaves, 60.0)


def doubtful(predictions: Path, labelled: set[str]) -> list[dict[str, Any]]:
    """Return the pictures without a mask that the final model is least sure of, the least sure first.

    Args:
        predictions: predictions.json.
        labelled: files with a mask, as they are named there.
    """
    pictures = [one for one in read_json(predictions)["pictures"] if one["file"] not in labelled]
    pictures.sort(key=lambda one: (one["confidence"], one["file"]))
    return [{"file": one["file"], "confidence": one["confidence"], "mask": one["mask"]} for one in pictures[:DOUBTFUL]]


def _write_page(places: Places, content: Mapping[str, Any]) -> None:
    from experiments.report import render
    from experiments.runs import find_runs

    page, _ = render(find_runs([places.final]), content)
    with atomic_path(places.here / "report.html") as temporary:
        temporary.write_text(page, encoding="utf-8")

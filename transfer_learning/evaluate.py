"""Score a trained segmentation network at the masks' original size, and draw what it does.

Class scores are brought back through the exact inverse geometry and compared with the labels at original size, ignored
pixels left out; pictures without a mask are not scored. All scores come from one confusion matrix over all pictures,
their intervals from a bootstrap over pictures. Writes evaluation_results.json, per_image.csv and figures.

    python -m transfer_learning.evaluate --model_path runs/pretrained/best_model.safetensors --data_dir data/pets128
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from core.command import run_command
from core.errors import UserError
from core.evaluation import (
    MANY_CLASSES,
    EvaluationConfig,
    best_and_worst,
    print_table,
    provenance,
    require_own_folder,
    scored_before,
    seal_of_scores,
    seal_scores,
)
from transfer_learning.inference.options import ReadoutOptions

if TYPE_CHECKING:
    from core.filing.seal import Seal
    from core.headers.header import Header
    from data.split import Split

PHASE = "transfer_learning"
FORMAT = 2
MOST_ROWS = 50
SHOWN = 10


@dataclass(frozen=True)
class SegmentationEvaluationConfig(EvaluationConfig, ReadoutOptions):
    """Settings of `transfer_learning.evaluate`."""

    visualize_samples: int = 3
    """Pictures drawn in each figure of single pictures, 50 at most. 0: figures of the whole split alone."""
    figures: bool = True
    """Draw figures; without them scoring takes less than half the time."""
    size: int | str | None = None
    """What the network sees, 128 or 360x480 (height x width). Left out: the prepared pictures as they are; with --tile
    windows of the size of the training, which the weights name."""

    def __post_init__(self) -> None:
        EvaluationConfig.__post_init__(self)
        ReadoutOptions.__post_init__(self)
        if self.visualize_samples > MOST_ROWS:
            raise UserError(f"visualize_samples {self.visualize_samples}: a figure holds {MOST_ROWS} rows at most")

    def idle(self) -> dict[str, str]:
        """Return the settings that have no say beside the others, and why."""
        found = super().idle()
        return found if self.figures else {**found, "visualize_samples": "with --no_figures"}


def evaluate(config: SegmentationEvaluationConfig) -> dict[str, Any]:
    """Score, write, print; returns the content of evaluation_results.json, which replaces an earlier one when whole."""
    from core.filing.writing import sole_writer

    require_own_folder(config.output_dir, PHASE)
    seal = seal_of_scores(config, PHASE)
    if earlier := scored_before(config, PHASE, seal):
        return earlier
    with sole_writer(config.output_dir):
        return _evaluate(config, seal)


def _evaluate(config: SegmentationEvaluationConfig, seal: "Seal") -> dict[str, Any]:
    from core.files import write_csv, write_json
    from core.filing.writing import files_named, replacing
    from data.opened import open_data
    from transfer_learning.inference.backends import load_network
    from transfer_learning.inference.splits import readout_of_split
    from transfer_learning.scores.per_image import image_rows, tag_scores
    from transfer_learning.scores.split import results_of, scores_of_split

    loaded = load_network(config.model_path, config, config.device)
    data = open_data(config.data_dir, config.cache_dir)
    split = data.split(config.split)
    if not len(split.labelled):
        raise UserError(f"{config.data_dir}: {split.lacking}")
    require_fit(loaded.header, split, config)
    readout = readout_of_split(loaded, split, config, config.batch_size)
    origin = provenance(config, loaded.header, data, readout.size, loaded.network.device)
    scores = scores_of_split(readout, split)
    rows = image_rows(split, scores)
    result = {
        "format": FORMAT,
        "phase": PHASE,
        **results_of(scores),
        "num_images": len(split.labelled),
        "tags": tag_scores(split, scores),
        "figures": [],
        "settings": readout.settings,
        "provenance": {**origin, "views": config.views_in_words},
    }
    failure = None
    with replacing(config.output_dir, files_named(config.output_dir / "evaluation_results.json")) as folder:
        write_csv(folder / "per_image.csv", list(rows[0]), rows)
        if config.figures:
            from transfer_learning.figures.evaluation import draw

            try:
                result |= draw(readout, loaded.model, split, result, rows, replace(config, output_dir=folder))
            except Exception as error:  # the scores are kept all the same
                failure = error
        write_json(folder / "evaluation_results.json", result)
        if not failure:
            seal_scores(config, seal, result, folder)
    if failure:
        raise failure
    _print(result, config)
    return result


def require_fit(header: "Header", split: "Split", config: EvaluationConfig) -> None:
    """Raise UserError unless weights tell the classes of the data apart, in pictures of as many channels."""
    theirs, ours = header.classes.names, split.class_set.names
    if theirs != ours:
        place = next((place for place, pair in enumerate(zip(theirs, ours, strict=False)) if len({*pair}) == 2), None)
        first = "" if place is None else f"; class {place} is {theirs[place]!r} there and {ours[place]!r} here"
        raise UserError(
            f"{config.model_path} tells {listed(theirs)} apart, {config.data_dir} holds {listed(ours)}{first}: "
            "evaluate on data of the same classes in the same order"
        )
    channels = header.network.in_channels
    if channels != split.channels:
        raise UserError(
            f"{config.model_path} was trained on pictures of {channels} channels, those of {config.data_dir} have "
            f"{split.channels}: prepare them with --channels {channels}"
        )


def listed(names: Sequence[str]) -> str:
    """Return names for a sentence, of many the first and how many follow."""
    more = f" and {len(names) - MANY_CLASSES} more" if len(names) > MANY_CLASSES else ""
    return ", ".join(names[:MANY_CLASSES]) + more


def _print(result: dict[str, Any], config: EvaluationConfig) -> None:
    columns = ("iou", "dice", "precision", "recall", "specificity")
    by_class = result["classes"]
    names = list(by_class)
    title = f"Segmentation of {config.split} at original size, {result['num_images']} images with a mask"
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

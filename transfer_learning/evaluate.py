"""Score a trained segmentation network at the masks' original size, and draw what it does.

Class scores are brought back through the exact inverse geometry and compared with the labels at original size, ignored
pixels left out; pictures without a mask are not scored. All scores come from one confusion matrix over all pictures,
their intervals from a bootstrap over pictures. Writes evaluation_results.json, per_image.csv and figures.

    python -m transfer_learning.evaluate --model_path runs/pretrained/best_model.safetensors --data_dir data/pets128

--compare scores what flips, scales, windows, post-processing and an ensemble add, one after another; --class_map
scores on data of other classes.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.command import run_command
from core.errors import UserError
from core.evaluation import (
    EvaluationConfig,
    provenance,
    require_own_folder,
    scored_before,
    seal_of_scores,
    seal_scores,
)
from transfer_learning.inference.options import ReadoutOptions
from transfer_learning.scores.options import ScoreOptions

if TYPE_CHECKING:
    from torch import nn

    from core.filing.seal import Seal
    from data.loading import AnySplit
    from transfer_learning.inference.readout import Readout
    from transfer_learning.inference.volumes import VolumeReadout
    from transfer_learning.scores.class_map import ClassMap
    from transfer_learning.scores.split import SplitScores

PHASE = "transfer_learning"
FORMAT = 2
MOST_ROWS = 50


@dataclass(frozen=True)
class SegmentationEvaluationConfig(EvaluationConfig, ReadoutOptions, ScoreOptions):
    """Settings of `transfer_learning.evaluate`."""

    visualize_samples: int = 3
    """Pictures drawn in each figure of single pictures, 50 at most. 0: figures of the whole split alone."""
    figures: bool = True
    """Draw figures; without them scoring takes less than half the time."""
    size: int | str | None = None
    """What the network sees, 128 or 360x480 (height x width). Left out: the prepared pictures as they are; with --tile
    windows of the size of the training, which the weights name."""

    class_map: Path | None = None
    """Score on data of other classes: a YAML file of lines `class of the data: class of the weights` (or a list of
    those; "*" is all that are not named). What it does not name is ignored."""
    compare: bool = False
    """Score plainly first, then with flips, scales, windows, each step of --postprocess and the ensemble, as far as
    they are given, one after another: writes what each adds, with paired intervals, as compare.json and compare.md."""

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
    from transfer_learning.inference.weights_files import weights_file

    more = config.mirrors or config.scales != (1.0,) or config.tile or config.steps or config.ensemble
    if config.compare and not more:
        raise UserError(
            "--compare has nothing to add to the plain reading: give --tta flips,0.75,1,1.25, --tile, --postprocess or "
            "--ensemble"
        )
    require_own_folder(config.output_dir, PHASE)
    first, *rest = members = config.members(config.model_path)
    config = replace(config, model_path=first, ensemble=tuple(rest))
    files = tuple(map(weights_file, members))
    seal = seal_of_scores(replace(config, model_path=files[0], ensemble=files[1:]), PHASE)
    if earlier := scored_before(config, PHASE, seal):
        return earlier
    with sole_writer(config.output_dir):
        return _evaluate(config, files, seal)


def _evaluate(config: SegmentationEvaluationConfig, files: Sequence[Path], seal: "Seal") -> dict[str, Any]:
    from core.files import write_csv, write_json
    from core.filing.writing import files_named, replacing
    from data.opened import open_data
    from transfer_learning.inference.backends import load_members
    from transfer_learning.inference.fitting import classes_of
    from transfer_learning.scores.class_map import mapped_split
    from transfer_learning.scores.compare import COMPARED, climb, save_comparison
    from transfer_learning.scores.per_image import image_rows
    from transfer_learning.scores.shown import print_scores

    assert config.model_path is not None, "the first of the networks is the one that was named"
    loaded, *others = load_members((config.model_path, *config.ensemble), config, config.device)
    data = open_data(config.data_dir, config.cache_dir)
    split = data.split(config.split)
    if not len(split.labelled):
        raise UserError(f"{config.data_dir}: {split.lacking}")
    by = classes_of(loaded.header, split, config.model_path, config.class_map)
    if by:
        split = mapped_split(split, by)
    config.require_fit(split.class_set, tuple(split.tags))
    readout, scores, rungs = climb([loaded, *others], split, config, None if by is None else by.groups)
    origins = [
        provenance(replace(config, model_path=file), one.header, data, readout.size, one.network.device)
        for file, one in zip(files, (loaded, *others), strict=True)
    ]
    rows = image_rows(split, scores)
    origin = {**_origin(origins, by), "views": config.views_in_words}
    result = _result(split, scores, readout.settings, origin)
    failure = None
    earlier = [*files_named(config.output_dir / "evaluation_results.json"), *COMPARED]
    with replacing(config.output_dir, earlier) as folder:
        write_csv(folder / "per_image.csv", list(rows[0]), rows)
        if config.figures:
            failure = _draw(readout, loaded.model, split, result, rows, replace(config, output_dir=folder))
        if config.compare:
            result["figures"] += save_comparison(folder, rungs, len(split.labelled), config.figures)
        write_json(folder / "evaluation_results.json", result)
        if not failure:
            seal_scores(config, seal, result, folder)
    if failure:
        raise failure
    print_scores(result, config.split, config.output_dir)
    return result


def _result(
    split: "AnySplit", scores: "SplitScores", settings: dict[str, Any], origin: dict[str, Any]
) -> dict[str, Any]:
    """Return the content of evaluation_results.json, without figures."""
    from transfer_learning.scores.per_image import tag_scores
    from transfer_learning.scores.results import results_of

    return {
        "format": FORMAT,
        "phase": PHASE,
        **results_of(scores),
        "num_images": len(split.labelled),
        "tags": tag_scores(split, scores),
        "figures": [],
        "settings": settings,
        "provenance": origin,
    }


def _draw(
    readout: "Readout | VolumeReadout",
    model: "nn.Module | None",
    split: "AnySplit",
    result: dict[str, Any],
    rows: list[dict[str, Any]],
    config: SegmentationEvaluationConfig,
) -> Exception | None:
    """Draw the figures and name them in the result; return what broke: the scores are kept all the same."""
    from transfer_learning.figures.evaluation import draw

    try:
        result |= draw(readout, model, split, result, rows, config)
    except Exception as error:
        return error
    return None


def _origin(origins: Sequence[dict[str, Any]], by: "ClassMap | None") -> dict[str, Any]:
    """Return where the scores come from: of further networks what tells them apart."""
    kept = ("checkpoint_sha256", "pictures_seen", "seed", "epoch", "training")
    found = dict(origins[0])
    if len(origins) > 1:
        found["ensemble"] = [{name: origin[name] for name in kept} for origin in origins[1:]]
    return found if by is None else {**found, "class_map": by.content}


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

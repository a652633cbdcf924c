"""What each view, each step of post-processing and an ensemble add: scores of readings that differ in one thing."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.classes import ClassSet
from core.evaluation import figure, format_cell, print_table
from core.figures.style import drawn
from core.files import atomic_path, write_json
from data.loading import AnySplit
from transfer_learning.figures.compare import save_gains
from transfer_learning.inference.backends import Loaded
from transfer_learning.inference.options import ReadoutOptions
from transfer_learning.inference.readout import Readout
from transfer_learning.inference.splits import readout_of_split
from transfer_learning.inference.volumes import VolumeReadout
from transfer_learning.scores.confusion import known, scores_of_counts
from transfer_learning.scores.paired import paired_gain
from transfer_learning.scores.split import SplitScores, scores_of_split

SCORES = ("mean_iou", "pixel_accuracy", "mean_foreground_dice")
COLUMNS = ("", "mean IoU", "adds", "from", "to", "seconds a picture")
COMPARED = ("compare.json", "compare.md")
FIGURE = "figures/compare.png"
CAPTION = (
    "By how much each step raises the mean IoU above the reading without it, one after another, with 95 % intervals: "
    "both readings are scored on the same pictures, drawn with replacement."
)


@dataclass(frozen=True)
class Rung:
    """One reading: what it adds to the one before, what its scores are made of, and how long a picture took."""

    title: str
    counts: np.ndarray  # [N, C, 3]
    classes: ClassSet
    seconds: float


def climb(
    networks: Sequence[Loaded], split: AnySplit, config: Any, groups: np.ndarray | None
) -> tuple[Readout | VolumeReadout, SplitScores, list[Rung]]:
    """Score a split; with `config.compare` plainly first, then with one thing more at a time.

    Args:
        networks: the members of the ensemble, or the only one.
        split: what is scored.
        config: `ReadoutOptions` and `ScoreOptions` with `compare` and `batch_size`.
        groups: as of `readout_of_split`.

    Returns:
        The readout with all that is asked for, its scores, and a rung a reading, the last of which it is.

    Raises:
        UserError: as `readout_of_split`.
    """
    first, *others = networks
    rungs = []
    readings = list(ladder(config)) if config.compare else [("", config)]
    # What is refused is refused before the first picture.
    readouts = [
        readout_of_split(first, split, options, config.batch_size, others if options.ensemble else (), groups)
        for _, options in readings
    ]
    for (title, _), readout in zip(readings, readouts, strict=True):
        began = time.perf_counter()
        scores = scores_of_split(readout, split, config)
        seconds = (time.perf_counter() - began) / len(split.labelled)
        rungs.append(Rung(title, scores.counts, scores.class_set, seconds))
    return readout, scores, rungs


def ladder(config: ReadoutOptions) -> Iterator[tuple[str, ReadoutOptions]]:
    """Yield titles and settings, from the plain reading to all that is asked for."""
    options = replace(config, tta=False, tile=False, tile_scale=1.0, postprocess=None, ensemble=())
    yield "plain", options
    if config.mirrors:
        options = replace(options, tta="flips")
        yield "mirrored too", options
    if config.scales != (1.0,):
        options = replace(options, tta=config.tta)
        yield f"at scales {' '.join(f'{scale:g}' for scale in config.scales)}", options
    if config.tile:
        options = replace(options, tile=True, tile_scale=config.tile_scale)
        yield "in windows", options
    for count, step in enumerate(config.steps, 1):
        options = replace(options, postprocess=", ".join(map(str, config.steps[:count])))
        yield str(step), options
    if config.ensemble:
        yield f"{1 + len(config.ensemble)} networks", replace(options, ensemble=config.ensemble)


def rows_of(rungs: Sequence[Rung]) -> list[dict[str, Any]]:
    """Return for each reading its scores, and what it adds in mean IoU to the one before and to the plain one."""
    rows = []
    for place, rung in enumerate(rungs):
        scores = scores_of_counts(rung.counts.sum(axis=0, keepdims=True), rung.classes)
        row: dict[str, Any] = {"title": rung.title, **{name: known(scores[name][0]) for name in SCORES}}
        for key, below in (("gain", rungs[place - 1]), ("gain_over_plain", rungs[0])):
            value, between = paired_gain(below.counts, rung.counts, rung.classes) if place else (None, None)
            row |= {key: value, f"{key}_interval": between}
        rows.append({**row, "seconds_per_picture": rung.seconds})
    return rows


def save_comparison(folder: Path, rungs: Sequence[Rung], images: int, figures: bool) -> list[dict[str, str]]:
    """Write compare.json, compare.md and perhaps a figure, and print the table; returns the figure's entry."""
    rows = rows_of(rungs)
    write_json(folder / COMPARED[0], {"format": 1, "num_images": images, "readings": rows})
    cells = [[format_cell(cell) for cell in _cells(row)] for row in rows]
    lines = [COLUMNS, ["---", *["---:"] * (len(COLUMNS) - 1)], *([_escaped(row[0]), *row[1:]] for row in cells)]
    with atomic_path(folder / COMPARED[1]) as temporary:
        temporary.write_text("".join(f"| {' | '.join(line)} |\n" for line in lines), encoding="utf-8")
    print_table(f"What each step adds, {images} images, 95 % intervals over images", COLUMNS, cells)
    if not figures or not drawn(folder / FIGURE, save_gains, rows):
        return []
    return [figure(FIGURE, "What each step adds", CAPTION)]


def _cells(row: dict[str, Any]) -> list[Any]:
    low, high = row["gain_interval"] or (None, None)
    return [row["title"], row["mean_iou"], row["gain"], low, high, row["seconds_per_picture"]]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")

"""How scoring a picture at original size, and a step of phase 2, grow with the number of classes.

Each is measured in a process of its own, whose memory nothing else has grown.
"""

import itertools
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.config import GrowthConfig
from benchmarks.memory import Peak

IMAGES = 40  # of which a fifth is scored
MEASURED = ("scoring_seconds", "scoring_mebibytes", "step_seconds", "step_mebibytes")


def class_growth(config: GrowthConfig) -> dict[str, Any]:
    """Measure and print; returns what is to be written.

    Returns:
        `rows`, one for each number of classes: seconds a scored picture, seconds a step, and MiB at their height;
        `over_linear`, each as a multiple of what it would be if it grew from the first as the classes do: 1 or less is
        what is wanted; and `of_a_further_class`, what one more class costs between a number and the next.
    """
    from rich.progress import track

    rows = [_row(config, classes) for classes in track(config.classes, "growing", disable=not sys.stdout.isatty())]
    result = {"rows": rows, "over_linear": over_linear(rows), "of_a_further_class": of_a_further_class(rows)}
    _print(result)
    return result


def over_linear(rows: Sequence[dict[str, float]]) -> dict[str, list[float]]:
    """Return each measurement over the first's times the growth of the classes."""
    first = rows[0]
    return {name: [row[name] / (first[name] * row["classes"] / first["classes"]) for row in rows] for name in MEASURED}


def of_a_further_class(rows: Sequence[dict[str, float]]) -> dict[str, list[float]]:
    """Return what a class more adds to each measurement, from every row to the next; equal where growth is linear."""
    pairs = list(itertools.pairwise(rows))
    return {
        name: [(more[name] - less[name]) / (more["classes"] - less["classes"]) for less, more in pairs]
        for name in MEASURED
    }


def _row(config: GrowthConfig, classes: int) -> dict[str, float]:
    from benchmarks.sources import photographs

    data_dir = photographs(config.work_dir, config.class_size, IMAGES, classes).data_dir
    scoring, memory = _apart(_of_scoring, config, data_dir, classes)
    step, of_step = _apart(_of_step, config, data_dir)
    return {"classes": classes, **dict(zip(MEASURED, (scoring, memory, step, of_step), strict=True))}


def _apart(function: Callable[..., tuple[float, float]], *arguments: Any) -> tuple[float, float]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _of_scoring(config: GrowthConfig, data_dir: Path, classes: int) -> tuple[float, float]:
    from benchmarks.sources import pictures_of
    from core.machine.device import for_inference, resolve_device
    from transfer_learning.inference.backends import Network
    from transfer_learning.inference.options import ReadoutOptions
    from transfer_learning.inference.readout import Readout
    from transfer_learning.network import SegmentationUNet
    from transfer_learning.scores.results import results_of
    from transfer_learning.scores.split import scores_of_split

    split, device = pictures_of(data_dir, "Test"), resolve_device(config.device)
    network = Network(for_inference(SegmentationUNet(classes, config.class_width), device), device)
    readout = Readout(network, split.size, split.manifest.resize_mode, ReadoutOptions(), config.class_batch_size)
    seconds, memory = _watched(lambda: results_of(scores_of_split(readout, split)), config.repeats)
    return seconds / len(split.labelled), memory


def _of_step(config: GrowthConfig, data_dir: Path) -> tuple[float, float]:
    from benchmarks.loops import ours
    from core.machine.device import make_fabric

    fabric, _ = make_fabric(config.device, "auto")
    settings = {"width": config.class_width, "batch_size": config.class_batch_size, "device": config.device}
    with tempfile.TemporaryDirectory() as folder:
        step = ours.training("transfer_learning", data_dir, Path(folder), fabric, 1, fixed_batch=True, **settings)
        return _watched(step, config.repeats)


def _watched(work: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Return the median seconds of so many rounds after a first, and the most memory in MiB that they took."""
    seconds = []
    with Peak() as peak:
        for _ in range(repeats + 1):
            started = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:]), peak.mebibytes


def _print(result: dict[str, Any]) -> None:
    from core.evaluation import print_table

    rows, over = result["rows"], result["over_linear"]
    columns = ["", *(f"{row['classes']} classes" for row in rows)]
    cells = [
        [name.replace("_", " "), *(f"{row[name]:.3g} ({of:.2f})" for row, of in zip(rows, over[name], strict=True))]
        for name in MEASURED
    ]
    print_table("Growth with the classes (in brackets: over linear growth from the first)", columns, cells)
    cells = [[name.replace("_", " "), "", *values] for name, values in result["of_a_further_class"].items()]
    print_table("What a further class adds", columns, cells)

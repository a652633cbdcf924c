"""Measure how time and memory grow: with pictures time linearly and memory not at all, with classes both linearly, with
volumes memory not at all.

Every number of pictures is prepared and trained on for one epoch, and with every number of classes pictures are scored
at original size and a step of phase 2 is taken, all in processes of their own. Memory is what they allocate (RssAnon,
so Linux only); pages of the memory-mapped arrays belong to the system's cache. Processor seconds stand beside those of
the clock, since they hold on a machine that is busy with other work too. Writes growth.json,
class_growth.json and volume_growth.json and prints tables.

    python -m benchmarks.growth --counts 5000 20000 80000
    python -m benchmarks.growth --of classes --classes 3 21 50 150
    python -m benchmarks.growth --of volumes --volume_counts 10 200
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.config import GrowthConfig
from benchmarks.memory import allocated
from core.command import run_command
from core.errors import RunError, UserError

SAMPLE_SECONDS = 0.05


def growth(config: GrowthConfig) -> dict[str, Any]:
    """Measure, write and print; returns what was written."""
    from benchmarks.class_growth import class_growth
    from benchmarks.filing import write_results
    from benchmarks.timing import require_proc
    from benchmarks.volume_growth import volume_growth
    from core.machine.device import resolve_device

    require_proc()
    device, results = resolve_device(config.device), {}
    for name, kind, measure in (
        ("growth.json", "pictures", _of_pictures),
        ("class_growth.json", "classes", class_growth),
        ("volume_growth.json", "volumes", volume_growth),
    ):
        if config.of in ("all", kind):
            results[name] = measure(config)
            write_results(config, "benchmarks.growth", device, {name: results[name]})
    return results


def _of_pictures(config: GrowthConfig) -> dict[str, Any]:
    from rich.progress import track

    rows = [_row(config, count) for count in track(config.counts, "growing", disable=not sys.stdout.isatty())]
    multiples = _over_smallest(rows)
    _print(rows, multiples)
    return {"rows": rows, "per_image_over_smallest": multiples}


def _row(config: GrowthConfig, count: int) -> dict[str, float]:
    data_dir = config.work_dir / f"growth-{config.size}-{count}"
    run_dir = config.work_dir / f"growth-run-{config.size}-{count}"
    for folder in (data_dir, run_dir):
        if folder.exists():
            raise UserError(f"{folder} is there already: delete it, so that its making can be measured")
    size = ["--size", str(config.size), "--num_images", str(count)]
    prepare = ["data.prepare", "--dataset", "synthetic", *size, "--output_dir", str(data_dir)]
    network = ["--width", str(config.width), "--batch_size", str(config.batch_size), "--perceptual_weight", "0"]
    places = ["--data_dir", str(data_dir), "--output_dir", str(run_dir), "--device", config.device]
    train = ["reconstruction.train", "--epochs", "1", *network, *places]
    prepared, trained = (watched([sys.executable, "-m", *command]) for command in (prepare, train))
    return {
        "images": count,
        "prepare_seconds": prepared["seconds"],
        "prepare_processor_seconds": prepared["processor_seconds"],
        "prepare_mebibytes": prepared["mebibytes"],
        "epoch_seconds": _epoch_seconds(run_dir),
        "epoch_mebibytes": trained["mebibytes"],
    }


def watched(command: Sequence[str]) -> dict[str, float]:
    """Run a command; return its `seconds`, `processor_seconds`, and the most memory that it allocated in `mebibytes`.

    Raises:
        RunError: it failed.
    """
    started = time.perf_counter()
    highest = 0.0
    before = _processor_seconds()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while process.poll() is None:
        highest = max(highest, allocated(process.pid))
        time.sleep(SAMPLE_SECONDS)
    if process.returncode:
        told = process.stderr.read().strip() if process.stderr else ""
        raise RunError(f"{' '.join(command[2:])} failed: {told}")
    spent = _processor_seconds() - before
    return {"seconds": time.perf_counter() - started, "processor_seconds": spent, "mebibytes": highest}


def _processor_seconds() -> float:
    """Return what all processes that this one started and that have ended took of the processor."""
    times = os.times()
    return times.children_user + times.children_system


def _epoch_seconds(run_dir: Path) -> float:
    """Return what the log says, without start-up and the arrays, which are built once."""
    header, row = (run_dir / "training_log.csv").read_text().splitlines()
    return float(dict(zip(header.split(","), row.split(","), strict=True))["epoch_time"])


def _over_smallest(rows: list[dict[str, float]]) -> dict[str, list[float]]:
    """Return seconds a picture, and memory, as multiples of those at the smallest count: 1 is what is wanted."""
    first = rows[0]
    per_image = {
        name: [row[name] / row["images"] / (first[name] / first["images"]) for row in rows]
        for name in ("prepare_seconds", "prepare_processor_seconds", "epoch_seconds")
    }
    memory = {name: [row[name] / first[name] for row in rows] for name in ("prepare_mebibytes", "epoch_mebibytes")}
    return per_image | memory


def _print(rows: list[dict[str, float]], multiples: dict[str, list[float]]) -> None:
    from core.evaluation import print_table

    cells = [
        [name.replace("_", " "), *(f"{row[name]:.1f} ({of_first[place]:.2f})" for place, row in enumerate(rows))]
        for name, of_first in multiples.items()
    ]
    title = "Growth (in brackets: seconds a picture, or memory, as multiples of those of the first)"
    print_table(title, ["images", *(str(row["images"]) for row in rows)], cells)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command("benchmarks.growth", GrowthConfig, growth, argv, section="growth", description=__doc__)


if __name__ == "__main__":
    sys.exit(main())

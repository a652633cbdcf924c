"""The full network on a GPU: images/s of both phases and of a practitioner's loop, the step's share, peak memory."""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.arms.training import ALONE, PRACTITIONER, SOURCE_SIZES, plain_network
from benchmarks.loops import ours, practitioner
from benchmarks.sources import exported, prepared
from benchmarks.timing import ratios
from core.machine.fabric import Fabric
from core.machine.timing import Times, interleaved, rates
from core.train_config import Amp

SIZES = (128, 256)
WIDTH = 32  # the reference network
BATCH_SIZE = 32
STEPS = 20  # our loop looks at its losses every so many, and makes the device wait then
LOOP = PRACTITIONER


def measure(
    fabric: Fabric,
    repeats: int,
    *,
    amp: Amp = "auto",
    sizes: Sequence[int] = SIZES,
    width: int = WIDTH,
    batch_size: int = BATCH_SIZE,
    steps: int = STEPS,
    on_round: Callable[[], Any] = lambda: None,
) -> list[dict[str, Any]]:
    """Measure each phase at each size; pictures are drawn into a temporary folder.

    Args:
        fabric: device and precision of our arms; others run in fp32.
        repeats: rounds, after one that warms up.
        amp: what the precision came from.
        sizes: sides of the pictures that the network sees.
        width, batch_size, steps: of the network, a step, a round.
        on_round: called after every round.

    Returns:
        A row for each size and phase: images/s end to end (`end_to_end`), on one batch read beforehand (`model_only`)
        and of the practitioner's loop, the ratios, and `peak_mebibytes`, the most memory that torch allocated on the
        GPU for each of them (None on other devices). The practitioner's loop segments: phase 1 has no counterpart.
    """
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            builders = _builders(Path(folder), fabric, size, steps, width=width, batch_size=batch_size, amp=amp)
            arms, peaks = _built(builders, fabric.device)
            times = interleaved(arms, repeats, fabric.device, on_round)
        rows += [_row(phase, size, times, peaks, steps * batch_size) for phase in ours.TASKS]
    return rows


def _builders(
    folder: Path, fabric: Fabric, size: int, steps: int, **settings: Any
) -> dict[str, Callable[[], Callable[[], Any]]]:
    images = 10 * settings["batch_size"]
    settings["device"] = str(fabric.device)
    data_dir = prepared(folder, size, images)
    builders: dict[str, Callable[[], Callable[[], Any]]] = {}
    for phase in ours.TASKS:
        for name, fixed in ((phase, False), (phase + ALONE, True)):
            place = folder / "runs" / name
            builders[name] = partial(ours.training, phase, data_dir, place, fabric, steps, fixed, **settings)
    source = prepared(folder, SOURCE_SIZES[LOOP], images)
    files = exported(source, "Train", folder / "files")

    def loop() -> Callable[[], Any]:
        pinned = fabric.device.type == "cuda"
        pictures, workers = practitioner.PictureFiles(files, size), min(8, os.cpu_count() or 1)
        stream = practitioner.Batches(pictures, settings["batch_size"], workers, pinned)
        return practitioner.Training(practitioner.Step(plain_network(settings["width"]), fabric.device), stream, steps)

    return builders | {LOOP: loop}


def _built(
    builders: Mapping[str, Callable[[], Callable[[], Any]]], device: torch.device
) -> tuple[dict[str, Callable[[], Any]], dict[str, float | None]]:
    """Build the arms and run each once; returns them and the MiB that each took, beside those that were there."""
    arms: dict[str, Callable[[], Any]] = {}
    peaks: dict[str, float | None] = {}
    for name, build in builders.items():
        on_gpu = device.type == "cuda"
        before = torch.cuda.memory_allocated(device) if on_gpu else 0
        if on_gpu:
            torch.cuda.reset_peak_memory_stats(device)
        arms[name] = build()
        arms[name]()
        peaks[name] = (torch.cuda.max_memory_allocated(device) - before) / 2**20 if on_gpu else None
    return arms, peaks


def _row(phase: str, size: int, times: Times, peaks: Mapping[str, float | None], images_a_round: int) -> dict[str, Any]:
    names = {"end_to_end": phase, "model_only": phase + ALONE}
    if phase == "transfer_learning":
        names[LOOP] = LOOP
    speeds = rates(times, images_a_round)
    return {
        "phase": phase,
        "size": size,
        "images_per_second": {kind: speeds[name]["images_per_second"] for kind, name in names.items()},
        "end_to_end_over_model_only": ratios(times[phase + ALONE], times[phase])["wall"],
        "over_practitioner_loop": ratios(times[LOOP], times[phase])["wall"] if LOOP in names else None,
        "peak_mebibytes": {kind: peaks[name] for kind, name in names.items()},
    }


def print_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the medians as tables."""
    from core.evaluation import print_table

    speeds, shares = [], []
    for row in rows:
        name = f"{row['phase'].replace('_', ' ')}, {row['size']} px"
        for kind, speed in row["images_per_second"].items():
            speeds.append([f"{name}: {kind.replace('_', ' ')}", speed["median"], row["peak_mebibytes"][kind]])
        shares.append([f"{name}: share of the time in the step", row["end_to_end_over_model_only"]["median"]])
        if over := row["over_practitioner_loop"]:
            shares.append([f"{name}: over the {LOOP}'s loop", over["median"]])
    print_table("The full network on this GPU", ["", "images/s", "peak MiB"], speeds)
    print_table("Ratios", ["", "median"], shares)

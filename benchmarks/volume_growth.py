"""How the memory of preparing volumes and of learning from them grows with their number: it should not."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.config import GrowthConfig
from core.errors import UserError

MEASURED = ("prepare_mebibytes", "train_mebibytes")


def volume_growth(config: GrowthConfig) -> dict[str, Any]:
    """Measure and print; returns what is to be written.

    Returns:
        `rows`, one for each number of volumes: MiB at the height of preparing and of phase 2's training;
        `over_smallest`, each as a multiple of the first's.
    """
    from rich.progress import track

    counts = track(config.volume_counts, "growing", disable=not sys.stdout.isatty())
    rows = [_row(config, count) for count in counts]
    result = {"rows": rows, "over_smallest": {name: [row[name] / rows[0][name] for row in rows] for name in MEASURED}}
    _print(result)
    return result


def _row(config: GrowthConfig, count: int) -> dict[str, float]:
    from benchmarks.growth import watched

    here = config.work_dir / f"volumes-{config.volume_size}-{count}"
    if here.exists():
        raise UserError(f"{here} is there already: delete it, so that its making can be measured")
    for number in range(count):
        _draw(here, number, config.volume_size)
    given = ["--images", str(here / "images"), "--masks", str(here / "masks"), "--workers", "1"]
    prepare = ["data.prepare", "--dataset", "volumes", *given, "--output_dir", str(here / "data")]
    places = ["--data_dir", str(here / "data"), "--output_dir", str(here / "run"), "--device", config.device]
    # As many steps for every number of volumes, and all of Val behind them.
    steps = ["--max_steps", "40", "--val_every", "40", "--batch_size", "2", "--patch", "32", "--width", "4"]
    commands = (prepare, ["transfer_learning.train", *steps, *places])
    found = [watched([sys.executable, "-m", *command])["mebibytes"] for command in commands]
    return {"volumes": count, **dict(zip(MEASURED, found, strict=True))}


def _draw(folder: Path, number: int, side: int) -> None:
    """Write a cube of noise with a bright block in it, and its mask."""
    import nibabel

    numbers = np.random.default_rng(number)
    mask = np.zeros((side,) * 3, np.uint8)
    first = numbers.integers(0, side // 2, 3)
    mask[tuple(slice(start, start + side // 3) for start in first)] = 1
    voxels = (numbers.integers(0, 500, mask.shape) + 300 * mask.astype(int)).astype(np.int16)
    for name, array in (("images", voxels), ("masks", mask)):
        path = folder / name / f"{number:04d}.nii"
        path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), path)


def _print(result: dict[str, Any]) -> None:
    from core.evaluation import print_table

    rows: Sequence[dict[str, float]] = result["rows"]
    cells = [
        [name.replace("_", " "), *(f"{row[name]:.0f} ({of_first[place]:.2f})" for place, row in enumerate(rows))]
        for name, of_first in result["over_smallest"].items()
    ]
    print_table("Memory (in brackets: times that of the first)", ["volumes", *(str(r["volumes"]) for r in rows)], cells)

"""Measure the throughput of a grid of short arms over the number of Ray workers, all on this machine.

Every number of workers is a cluster of its own with so many CPUs, on which a grid of arms from scratch runs, one a seed
and with one thread each. What loading the libraries takes is part of it: workers do it once each. Writes cluster.json
and prints a table. Needs the extra `cluster`.

    python -m benchmarks.cluster --workers 1 2 4 8
"""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.config import ClusterConfig
from core.command import run_command
from core.errors import RunError, UserError
from core.extras import to_install


def cluster(config: ClusterConfig) -> dict[str, Any]:
    """Measure, write and print; returns what was written."""
    from rich.progress import track

    from benchmarks.filing import write_results
    from core.machine.device import resolve_device

    data_dir = _data(config)
    workers = track(config.workers, "grids", disable=not sys.stdout.isatty())
    result = {"rows": [_row(config, data_dir, count) for count in workers]}
    write_results(
        config, "benchmarks.cluster", resolve_device("cpu"), {"cluster.json": result}, ("ray",), cores=os.cpu_count()
    )
    _print(result["rows"])
    return result


def _data(config: ClusterConfig) -> Path:
    """Return prepared pictures, drawn where they are not there yet."""
    from data.prepare import main as prepare

    folder = config.work_dir / f"cluster-{config.size}"
    if not (folder / "manifest.json").exists():
        size = ["--size", str(config.size), "--num_images", "60"]
        if prepare(["--dataset", "synthetic", *size, "--output_dir", str(folder)]):
            raise RunError("drawing the pictures failed: see above")
    return folder


def _row(config: ClusterConfig, data_dir: Path, workers: int) -> dict[str, float]:
    import yaml

    try:
        import ray
    except ModuleNotFoundError:
        raise UserError(f"ray is not installed: {to_install('cluster')}") from None

    folder = config.work_dir / f"cluster-grid-{workers}"
    if folder.exists():
        raise UserError(f"{folder} is there already: delete it, so that its making can be measured")
    folder.mkdir(parents=True)
    (folder / "grid.yaml").write_text(yaml.safe_dump({"ablation": _grid(config)}), encoding="utf-8")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    begun = ray.init("local", num_cpus=workers, num_gpus=0, include_dashboard=False, logging_level=logging.ERROR)
    places = ["--data_dir", data_dir, "--output_dir", folder / "runs", "--results_dir", folder / "results"]
    on = ["--runner", "ray", "--ray_address", begun.address_info["address"]]
    command = [sys.executable, "-m", "experiments.ablate", "--config", folder / "grid.yaml", *places, *on]
    started = time.perf_counter()
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    finally:
        ray.shutdown()
    if done.returncode:
        raise RunError(f"the grid with {workers} workers failed: {done.stderr.strip().splitlines()[-1]}")
    return {"workers": workers, **_throughput(folder / "results/arms", time.perf_counter() - started)}


def _grid(config: ClusterConfig) -> dict[str, Any]:
    common = {"width": config.width, "batch_size": config.batch_size, "device": "cpu", "amp": "off"}
    return {
        "seeds": list(range(1, config.arms + 1)),
        "fractions": [1.0],
        "learning_rates": [0.001],
        "tuned_at": [1.0],
        "baseline": "scratch",
        "common": {**common, "max_steps": config.steps, "val_every": config.steps, "warmup_steps": 0},
        "variants": {"scratch": {"title": "From scratch"}},
    }


def _throughput(arms: Path, seconds: float) -> dict[str, float]:
    """Return the seconds of the whole command, and arms a minute: in all, and from the first that ended to the last."""
    ended = sorted(path.stat().st_mtime for path in arms.glob("*.json"))
    between = ended[-1] - ended[0]
    return {
        "arms": len(ended),
        "seconds": seconds,
        "arms_per_minute": 60 * len(ended) / seconds,
        "arms_per_minute_once_begun": 60 * (len(ended) - 1) / between,
    }


def _print(rows: list[dict[str, float]]) -> None:
    from core.evaluation import print_table

    names = ("seconds", "arms_per_minute", "arms_per_minute_once_begun")
    cells = [[name.replace("_", " "), *(f"{row[name]:.1f}" for row in rows)] for name in names]
    print_table("A grid on Ray", ["workers", *(str(row["workers"]) for row in rows)], cells)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command("benchmarks.cluster", ClusterConfig, cluster, argv, section="cluster", description=__doc__)


if __name__ == "__main__":
    sys.exit(main())

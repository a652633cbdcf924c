"""Train phase 2 by torch's kernels and by ours, in fp32 and in bf16, over several seeds: does it learn the same?

Rounding differs between the ways, and so does what is learned, as it does between seeds: the curves of the loss must
lie within each other's spread, and the scores too. Each run is an ordinary training and scoring on Test; called again,
it goes on. Writes curves_DATA_WIDTH_PRECISIONS.json and .png into a folder named after the processor.

    python -m benchmarks.curves --size 128 --width 16 --steps 300
"""

import itertools
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.config import CurvesConfig
from core.command import run_command

Run = dict[str, Any]  # kernels, precision, seed; steps and loss of each row; mean IoU on Test


def curves(config: CurvesConfig) -> dict[str, Any]:
    """Train, score, compare, write and print; returns what was written."""
    from benchmarks.filing import file_name, write_results
    from benchmarks.sources import prepared
    from core.machine.device import resolve_device

    data_dir = config.data_dir or prepared(config.work_dir, config.size, config.images)
    ways = list(itertools.product(config.precisions, config.kernels))
    runs = [_run(config, data_dir, *way, seed) for seed in config.seeds for way in ways]
    content = {"runs": runs, "ways": _compared(runs)}
    _print(content["ways"])
    name = f"curves_{data_dir.name}_{config.width}_{'_'.join(config.precisions)}.json"
    folder = write_results(config, "benchmarks.curves", resolve_device(config.device), {name: content})
    draw(runs, (folder / file_name(name, config)).with_suffix(".png"))
    return content


def _run(config: CurvesConfig, data_dir: Path, precision: str, kernels: str, seed: int) -> Run:
    from core.filing.json_file import read_json
    from core.filing.training_log import read_log
    from transfer_learning.evaluate import SegmentationEvaluationConfig, evaluate
    from transfer_learning.train import SegmentationConfig, train

    name = f"{data_dir.name}-{config.width}-{config.steps}-{config.memory_format}-{precision}-{kernels}-{seed}"
    folder = config.work_dir / "curves" / name
    train(
        SegmentationConfig(
            data_dir=data_dir,
            output_dir=folder,
            width=config.width,
            batch_size=config.batch_size,
            max_steps=config.steps,
            val_every=config.every,
            seed=seed,
            device=config.device,
            amp=precision,  # type: ignore[arg-type]
            kernels=kernels,  # type: ignore[arg-type]
            memory_format=config.memory_format,
        )
    )
    results = folder / "results"
    evaluate(
        SegmentationEvaluationConfig(
            data_dir=data_dir,
            output_dir=results,
            model_path=folder / "best_model.safetensors",
            device=config.device,
            figures=False,
        )
    )
    rows = read_log(folder / "training_log.csv")
    return {
        "precision": precision,
        "kernels": kernels,
        "seed": seed,
        "steps": [min(int(row["epoch"]) * config.every, config.steps) for row in rows],
        "train_loss": [row["train_loss"] for row in rows],
        "test_mean_iou": read_json(results / "evaluation_results.json")["mean_iou"],
    }


def _compared(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return for each way its scores, and how far it is from the first way, beside how far seeds are apart."""
    ways = list(dict.fromkeys((run["precision"], run["kernels"]) for run in runs))
    of = {way: [run for run in runs if (run["precision"], run["kernels"]) == way] for way in ways}
    return [{"precision": way[0], "kernels": way[1], **differences(of[way], of[ways[0]])} for way in ways]


def differences(runs: Sequence[Run], first: Sequence[Run]) -> dict[str, Any]:
    """Compare the runs of a way with those of the first way, seed by seed.

    Returns:
        The scores' mean and standard deviation over seeds; the mean difference of the scores, and its standard
        deviation; the largest difference of the mean curves, and where it stands in the spread over seeds: its share
        of the first way's standard deviation at that row. None where there is a single seed.
    """
    scores, theirs = ([run["test_mean_iou"] for run in side] for side in (runs, first))
    apart = [one - other for one, other in zip(scores, theirs, strict=True)]
    rows = list(zip(*(run["train_loss"] for run in runs), strict=True))
    first_rows = list(zip(*(run["train_loss"] for run in first), strict=True))
    pairs = [(abs(statistics.mean(a) - statistics.mean(b)), _spread(b)) for a, b in zip(rows, first_rows, strict=True)]
    largest, spread = max(pairs, key=lambda pair: pair[0])
    return {
        "test_mean_iou": statistics.mean(scores),
        "test_mean_iou_deviation": _spread(scores),
        "difference": statistics.mean(apart),
        "difference_deviation": _spread(apart),
        "largest_difference_of_loss": largest,
        "of_the_spread_over_seeds": largest / spread if spread else None,
    }


def _spread(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def draw(runs: Sequence[Run], path: Path) -> None:
    """Save the loss of every run against the steps, a colour a way."""
    from matplotlib.figure import Figure

    from core.figures.style import LINE_COLOURS, save

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for colour, (label, of_way) in zip(LINE_COLOURS, _by_way(runs), strict=False):
        for number, run in enumerate(of_way):
            axes.plot(run["steps"], run["train_loss"], color=colour, lw=1, label=label if number == 0 else None)
    axes.set_xlabel("steps")
    axes.set_ylabel("training loss")
    axes.legend(frameon=False)
    save(figure, path)


def _by_way(runs: Sequence[Run]) -> Iterator[tuple[str, list[Run]]]:
    label = {"off": "fp32", "bf16": "bf16", "fp16": "fp16"}
    for precision, kernels in dict.fromkeys((run["precision"], run["kernels"]) for run in runs):
        of_way = [run for run in runs if (run["precision"], run["kernels"]) == (precision, kernels)]
        yield f"{label[precision]}, kernels {kernels}, {len(of_way)} seeds", of_way


def _print(ways: Sequence[Mapping[str, Any]]) -> None:
    from core.evaluation import print_table

    def cell(value: float | None) -> str:
        return "" if value is None else f"{value:.4f}"

    columns = [name for name in ways[0] if name not in ("precision", "kernels")]
    rows = [[f"{way['precision']}, {way['kernels']}", *(cell(way[name]) for name in columns)] for way in ways]
    print_table("Ways of computing", ["", *(name.replace("_", " ") for name in columns)], rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command("benchmarks.curves", CurvesConfig, curves, argv, section="curves", description=__doc__)


if __name__ == "__main__":
    sys.exit(main())

"""Measure speed side by side: our training against the network alone, a practitioner's loop, and peers.

Everything that is compared takes turns in the same rounds, so that the ratios stand on a busy machine too; by the clock
and by what the processor spent, workers included; with as many threads as there are cores, and with one. Writes
throughput.json (the speed of every arm) and summary.json (the ratios) into a folder named after the processor, and
prints both as tables. With a CUDA device it goes on with the full network at 128 and 256 px, and writes cuda.json
(images/s, the step's share, peak memory).

    python -m benchmarks.throughput --size 128 --width 16 --repeats 20
"""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.config import ThroughputConfig
from core.command import run_command
from core.errors import UserError
from core.extras import to_install

if TYPE_CHECKING:
    from benchmarks.arms.scoring import Scoring
    from benchmarks.arms.training import Arms
    from core.machine.fabric import Fabric
    from core.machine.timing import Times

START_UP_REPEATS = 5
SPEED_COLUMNS = {"images_per_second": "images/s", "processor_milliseconds": "processor ms an image"}


def throughput(config: ThroughputConfig) -> dict[int, dict[str, Any]]:
    """Measure, write and print; returns the ratios by number of threads and name."""
    arms, scoring_arms = _arms()
    from benchmarks.filing import PEERS, write_results
    from benchmarks.timing import require_proc, thread_counts, threads, timed
    from core.machine.device import make_fabric
    from core.machine.timing import summary

    require_proc()
    fabric, precision = make_fabric(config.device, config.amp)
    speeds, results = {}, {}
    with arms.training_arms(config, fabric) as training:
        scoring = scoring_arms.scoring_arms(config, fabric)
        for count in thread_counts(config.threads):
            with threads(count):
                speeds[count], results[count] = _measure(config, fabric, training, scoring)
    repeats = min(START_UP_REPEATS, config.repeats)
    started = timed("start-up", arms.start_up_arms(), repeats, fabric.device)
    seconds = {
        "help": summary([spent.wall for spent in started["help"]]),
        "import_core": summary(arms.import_core_seconds(repeats)),
    }
    files = {
        "throughput.json": {"threads": speeds, "multiply_adds_per_image": arms.multiply_adds(config)},
        "summary.json": {"ratios": results, "seconds": seconds, "notes": _notes(config, fabric)},
    }
    _print(speeds, results)
    write_results(config, "benchmarks.throughput", fabric.device, files, PEERS, precision=precision)
    _on_gpu(config, fabric, precision)
    return results


def _arms() -> tuple[Any, Any]:
    try:
        import monai.metrics  # noqa: F401 - of the plain scoring, which imports it when it is called

        from benchmarks.arms import scoring, training
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is not installed: {to_install('benchmarks')}") from None
    return training, scoring


def _measure(
    config: ThroughputConfig, fabric: "Fabric", training: "Arms", scoring: "dict[str, Scoring]"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the speed of every arm, and the ratios, with the threads that are set."""
    from benchmarks.timing import timed
    from core.machine.timing import rates

    fewer, device = -(-config.repeats // 2), fabric.device
    trained = timed("training", training, config.repeats, device)
    evaluated = {name: timed(f"evaluation, {name}", one.arms, fewer, device) for name, one in scoring.items()}
    speeds = {
        "training": rates(trained, config.steps * config.batch_size),
        **{f"evaluation_{name}": rates(times, scoring[name].images) for name, times in evaluated.items()},
    }
    gains = {f"{name}_{kind}": ratio for name, of in evaluated.items() for kind, ratio in _evaluation_ratios(of)}
    return speeds, {**_training_ratios(trained), **gains}


def _notes(config: ThroughputConfig, fabric: "Fabric") -> list[str]:
    """Return what was left out, and why."""
    from benchmarks.arms.training import has_bf16

    notes = [] if has_bf16(fabric.device) else ["no bf16 hardware here: arms in bf16 were left out"]
    return notes if config.peers else [*notes, "--no_peers: the loops of SMP and MONAI were left out"]


def _on_gpu(config: ThroughputConfig, fabric: "Fabric", precision: str) -> None:
    if fabric.device.type != "cuda":
        print("no CUDA device here: the full network's images/s and memory on a GPU were left out")
        return
    from rich.progress import Progress

    from benchmarks.arms import cuda
    from benchmarks.filing import write_results

    full = {"width": cuda.WIDTH, "batch_size": cuda.BATCH_SIZE, "steps": cuda.STEPS}
    with Progress() as progress:
        task = progress.add_task("full network", total=len(cuda.SIZES) * (config.repeats + 1))
        rows = cuda.measure(fabric, config.repeats, amp=config.amp, on_round=lambda: progress.advance(task))
    files = {"cuda.json": {"rows": rows, "full_network": full}}
    cuda.print_rows(rows)
    write_results(config, "benchmarks.throughput", fabric.device, files, precision=precision)


def _training_ratios(trained: "Times") -> dict[str, Any]:
    from benchmarks.arms import training as arms
    from benchmarks.timing import ratios

    end_to_end = {phase: ratios(trained[phase + arms.ALONE], trained[phase]) for phase in arms.ours.TASKS}
    over = {
        "over_practitioner_loop": arms.PRACTITIONER,
        "over_practitioner_loop_with_autocast": arms.BF16,
        "over_original_way": arms.ORIGINAL,
        "over_smp_loop_at_equal_network": arms.SMP_OURS,
        "over_monai_loop_at_equal_network": arms.MONAI_OURS,
        "over_smp_loop": arms.SMP,
        "over_monai_loop": arms.MONAI,
    }
    return {
        **{f"end_to_end_over_model_only_{phase}": ratio for phase, ratio in end_to_end.items()},
        **{
            name: ratios(trained[other], trained["transfer_learning"])
            for name, other in over.items()
            if other in trained
        },
    }


def _evaluation_ratios(evaluated: "Times") -> "Iterator[tuple[str, Any]]":
    """Yield what evaluation and prediction gain over the plain loops; all these score at original size."""
    from benchmarks.arms import scoring as arms
    from benchmarks.timing import ratios

    pairs = {
        "evaluation_over_plain_loop": (arms.EVERYTHING, arms.OURS),
        "evaluation_over_counting_pixels": (arms.COUNTING, arms.OURS),
        "prediction_over_counting_pixels": (arms.COUNTING, arms.PREDICTION),
    }
    for name, (slow, fast) in pairs.items():
        for precision in ("", arms.IN_BF16):
            if fast + precision in evaluated:
                yield name + ("_in_bf16" if precision else ""), ratios(evaluated[slow], evaluated[fast + precision])


def _print(speeds: dict[int, dict[str, Any]], results: dict[int, dict[str, Any]]) -> None:
    from core.evaluation import print_table

    for count, kinds in speeds.items():
        rows = [
            [f"{kind.replace('_', ' ')}: {name}", *(values[column]["median"] for column in SPEED_COLUMNS)]
            for kind, arms in kinds.items()
            for name, values in arms.items()
        ]
        print_table(f"{_words(count)}: medians", ["arm", *SPEED_COLUMNS.values()], rows)
        rows = [
            [
                name.replace("_", " "),
                *(of["wall"][column] for column in ("median", "min", "max")),
                of["processor"]["median"],
            ]
            for name, of in results[count].items()
        ]
        print_table(f"{_words(count)}: ratios", ["", "by the clock", "min", "max", "by the processor"], rows)


def _words(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command(
        "benchmarks.throughput", ThroughputConfig, throughput, argv, section="throughput", description=__doc__
    )


if __name__ == "__main__":
    sys.exit(main())

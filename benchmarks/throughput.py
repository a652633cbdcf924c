"""Measure speed side by side: our training against the network alone, a practitioner's loop, and peers.

Everything that is compared takes turns in the same rounds, so that the ratios stand on a busy machine too. Writes
throughput.json (images/s of every arm) and summary.json (the ratios), and prints both as a table. With a CUDA device
it goes on with the full network at 128 and 256 px, and writes cuda.json (images/s, the step's share, peak memory).

    python -m benchmarks.throughput --size 128 --width 16 --repeats 20
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.config import ThroughputConfig
from core.command import run_command

if TYPE_CHECKING:
    from benchmarks.timing import Times

START_UP_REPEATS = 5


def throughput(config: ThroughputConfig) -> dict[str, Any]:
    """Measure, write and print; returns the ratios by name."""
    from benchmarks import arms
    from benchmarks.timing import rates
    from core.files import write_json
    from core.machine.device import inference_layout, make_fabric, resolve_memory_format
    from core.run.provenance import commit, machine, versions

    fabric, precision = make_fabric(config.device, config.amp)
    with arms.training_arms(config, fabric) as training:
        trained = _timed("training", training, config.repeats, fabric.device)
    kernels = _timed("kernels", arms.kernel_arms(config, fabric), -(-config.repeats // 2), fabric.device)
    scoring, scored = arms.evaluation_arms(config, fabric)
    evaluated = _timed("evaluation", scoring, -(-config.repeats // 2), fabric.device)
    started = _timed("start-up", arms.start_up_arms(), min(START_UP_REPEATS, config.repeats), fabric.device)
    common = {
        "hardware": {**machine(fabric.device), "precision": precision, "versions": versions(), "commit": commit()},
        "settings": {name: getattr(config, name) for name in ("size", "width", "batch_size", "steps", "images")},
    }
    details = _speeds(trained, config.steps * config.batch_size, evaluated, scored, arms.multiply_adds(config))
    details["network_alone_images_per_second"] = rates(kernels, config.batch_size)
    results = _ratios(trained, evaluated, started, arms.import_core_seconds(min(START_UP_REPEATS, config.repeats)))
    layouts = resolve_memory_format("auto"), inference_layout(fabric.device)
    results |= _kernel_gains(kernels, *layouts)
    write_json(config.output_dir / "throughput.json", {**details, **common})
    write_json(config.output_dir / "summary.json", {**results, **common})
    _print(details, results)
    print(f"written to {config.output_dir / 'throughput.json'} and summary.json")
    _on_gpu(config, fabric, common["hardware"])
    return results


def _on_gpu(config: ThroughputConfig, fabric: Any, hardware: dict[str, Any]) -> None:
    if fabric.device.type != "cuda":
        print("no CUDA device here: the full network's images/s and memory on a GPU were left out")
        return
    from rich.progress import Progress

    from benchmarks import cuda
    from core.files import write_json

    settings = {"width": cuda.WIDTH, "batch_size": cuda.BATCH_SIZE, "steps": cuda.STEPS}
    with Progress() as progress:
        task = progress.add_task("full network", total=len(cuda.SIZES) * (config.repeats + 1))
        rows = cuda.measure(fabric, config.repeats, amp=config.amp, on_round=lambda: progress.advance(task))
    write_json(config.output_dir / "cuda.json", {"rows": rows, "hardware": hardware, "settings": settings})
    cuda.print_rows(rows)
    print(f"written to {config.output_dir / 'cuda.json'}")


def _ratios(trained: "Times", evaluated: "Times", started: "Times", core: list[float]) -> dict[str, Any]:
    from benchmarks.arms import ALONE, ours
    from benchmarks.timing import ratios, summary

    end_to_end = {phase: ratios(trained[phase + ALONE], trained[phase]) for phase in ours.TASKS}
    return {
        "end_to_end_over_model_only": min(end_to_end.values(), key=lambda ratio: ratio["median"]),
        **{f"end_to_end_over_model_only_{phase}": ratio for phase, ratio in end_to_end.items()},
        "over_practitioner_loop": ratios(trained["practitioner"], trained["transfer_learning"]),
        "over_original_way": ratios(trained["original"], trained["transfer_learning"]),
        "evaluation_over_plain_loop": ratios(evaluated["plain loop"], evaluated["ours"]),
        "prediction_over_plain_loop": ratios(evaluated["plain loop"], evaluated["prediction"]),
        "help_seconds": summary(started["help"]),
        "import_core_seconds": summary(core),
    }


def _kernel_gains(kernels: "Times", training: str, inference: str) -> dict[str, Any]:
    """Return what our norm kernel and layout gain over instance norm in NCHW, in training and in a forward pass."""
    from benchmarks.timing import ratios

    plain = "instance norm, contiguous"
    ours = {"step": f"step, group norm, {training}", "forward": f"forward, group norm, {inference}"}
    return {f"kernels_over_plain_{kind}": ratios(kernels[f"{kind}, {plain}"], kernels[ours[kind]]) for kind in ours}


def _speeds(
    trained: "Times", trained_images: int, evaluated: "Times", evaluated_images: int, multiply_adds: dict[str, float]
) -> dict[str, Any]:
    from benchmarks.timing import rates

    speeds = rates(trained, trained_images)
    return {
        "training_images_per_second": speeds,
        "evaluation_images_per_second": rates(evaluated, evaluated_images),
        "multiply_adds_per_image": multiply_adds,
        "multiply_adds_per_second": {name: speeds[name]["median"] * cost for name, cost in multiply_adds.items()},
    }


def _timed(what: str, arms: Any, repeats: int, device: Any) -> Any:
    from rich.progress import Progress

    from benchmarks.timing import interleaved

    with Progress() as progress:
        task = progress.add_task(what, total=repeats + 1)
        return interleaved(arms, repeats, device, on_round=lambda: progress.advance(task))


def _print(details: dict[str, Any], results: dict[str, Any]) -> None:
    from core.evaluation import print_table

    columns = ["median", "min", "max"]
    rows = [
        [f"{kind.replace('_', ' ')}: {name}", *(values[column] for column in columns)]
        for kind in ("training", "network_alone", "evaluation")
        for name, values in details[f"{kind}_images_per_second"].items()
    ]
    print_table("Images a second", ["arm", *columns], rows)
    rows = [[name, *(values[column] for column in columns)] for name, values in results.items()]
    print_table("Ratios, and seconds", ["", *columns], rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command(
        "benchmarks.throughput", ThroughputConfig, throughput, argv, section="throughput", description=__doc__
    )


if __name__ == "__main__":
    sys.exit(main())

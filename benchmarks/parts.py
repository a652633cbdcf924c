"""Measure what a training step does beside the network, against what others offer for it.

Dice and cross-entropy, the likeliest class, SSIM, the perceptual distance, the target of oriented gradients and the
augmentation of a batch, with one thread: in both layouts and in each precision that this processor has, where these are
a choice. The ways of a part take turns in the same rounds. Writes parts.json into a folder named after the processor,
and prints it.

    python -m benchmarks.parts --size 128 --batch_size 8 --repeats 20
"""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.config import PartsConfig
from core.command import run_command
from core.errors import UserError
from core.extras import to_install

if TYPE_CHECKING:
    import torch

    from benchmarks.arms.parts import Arms


def parts(config: PartsConfig) -> dict[str, Any]:
    """Measure, write and print; returns what was written.

    Raises:
        UserError: the device is not there, processor time cannot be read, or the extra `benchmarks` is not installed.
    """
    from benchmarks.filing import write_results
    from benchmarks.timing import require_proc, threads
    from core.machine.device import resolve_amp, resolve_device
    from core.machine.memory import keep_freed_memory

    try:
        from benchmarks.arms.parts import arms_of
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is not installed: {to_install('benchmarks')}") from None
    require_proc()
    device = resolve_device(config.device)
    keep_freed_memory()  # for others' functions too: here functions are compared, not loops
    precisions = [*dict.fromkeys(("off", resolve_amp(config.amp, device)))]
    rows: list[dict[str, Any]] = []
    with threads(1):
        for part, make in arms_of(config, device, precisions).items():
            rows += _rows(part, make(), config.repeats, device)
    content = {"rows": rows}
    _print(rows)
    packages = ("segmentation-models-pytorch", "pytorch-msssim", "timm", "scikit-image")
    write_results(config, "benchmarks.parts", device, {"parts.json": content}, packages)
    return content


def _rows(part: str, arms: "Arms", repeats: int, device: "torch.device") -> list[dict[str, Any]]:
    """Return the medians of each way of a part, and how many times as long as ours it took."""
    from benchmarks.arms.parts import OURS, Way
    from benchmarks.timing import Times, ratios, summary, timed

    clock = "wall" if device.type == "cuda" else "processor"
    times: Times = timed(part, {"|".join(way): arm for way, arm in arms.items()}, repeats, device)
    rows = []
    for way in arms:
        # Where there is one way of ours alone, all are compared with it.
        ours = way._replace(name=OURS) if way._replace(name=OURS) in arms else Way(OURS)
        spent = times["|".join(way)]
        rows.append(
            {
                "part": part,
                "way": way.name,
                "layout": way.layout,
                "precision": way.precision,
                "clock": clock,
                "milliseconds": summary([1000 * getattr(one, clock) for one in spent]),
                "over_ours": ratios(spent, times["|".join(ours)])[clock],
            }
        )
    return rows


def _print(rows: Sequence[Mapping[str, Any]]) -> None:
    from core.evaluation import print_table

    cells = [
        [
            row["part"],
            f"{row['way']}, {row['layout']}, {row['precision']}",
            f"{row['milliseconds']['median']:.2f}",
            f"{row['over_ours']['median']:.2f}",
        ]
        for row in rows
    ]
    print_table("Beside the network, one thread", ["part", "way", "ms a batch", "times ours"], cells)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command("benchmarks.parts", PartsConfig, parts, argv, section="parts", description=__doc__)


if __name__ == "__main__":
    sys.exit(main())

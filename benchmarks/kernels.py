"""Measure in which layout, and by which kernels for norms and upsampling, the network is fastest on this processor.

A training step and a forward pass of phase 2's network alone, in each precision that this processor has, for every
layout and kernels; beside them a practitioner's (`nn.InstanceNorm2d`, NCHW, fp32), the convolutions by themselves, and
the norm and the upsampling at every shape that the network has. Everything takes turns in the same rounds. Writes
kernels.json into a folder named after the processor, and prints it. --adopt has `auto` of --memory_format and --kernels
take what was fastest with one thread, on every processor of this kind: core/machine/kernels.json, to be committed.

    python -m benchmarks.kernels --size 128 --width 16 --repeats 20
"""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from benchmarks.config import KernelsConfig
from core.command import run_command

if TYPE_CHECKING:
    import torch

    from core.machine.timing import Times

WORKS: tuple[Literal["step", "forward"], ...] = ("step", "forward")


def kernels(config: KernelsConfig) -> dict[str, Any]:
    """Measure, write and print, and adopt where asked; returns what was written.

    Raises:
        UserError: the device is not there, or processor time cannot be read.
    """
    from benchmarks.filing import write_results
    from benchmarks.timing import require_proc, thread_counts
    from core.machine.device import resolve_amp, resolve_device

    require_proc()
    device = resolve_device(config.device)
    precisions = dict.fromkeys(("off", resolve_amp(config.amp, device)))
    counts = thread_counts(config.threads)
    rows = [row for count in counts for precision in precisions for row in _rows(config, device, precision, count)]
    content = {"rows": rows, "parts": _parts(config, device, [*precisions])}
    _print(content)
    write_results(config, "benchmarks.kernels", device, {"kernels.json": content})
    if config.adopt:
        adopt([row for row in rows if row["threads"] == min(counts)], device)
    return content


def _rows(config: KernelsConfig, device: "torch.device", precision: str, count: int) -> list[dict[str, Any]]:
    """Return the medians of each way with so many threads, and the ratios to what it is compared with."""
    from benchmarks.arms.kernels import CONVOLUTIONS, PLAIN, network_arms
    from benchmarks.timing import ratios, threads, timed
    from core.machine.choices import choice
    from core.machine.timing import summary

    with threads(count):
        what = f"{precision}, {count} thread{'s' * (count > 1)}"
        times: Times = timed(what, network_arms(config, device, precision), config.repeats, device)
    clock = "wall" if device.type == "cuda" or count > 1 else "processor"
    rows = []
    for work in WORKS:
        auto = choice(work, device, precision)
        for name, spent in times.items():
            if not name.startswith(f"{work}, "):
                continue
            convolutions = times.get(f"{work}, {CONVOLUTIONS}, {name.split(', ')[-1]}")
            rows.append(
                {
                    "work": work,
                    "way": name.removeprefix(f"{work}, "),
                    "precision": precision,
                    "threads": count,
                    "clock": clock,
                    "auto": name == f"{work}, {auto.kernels}, {auto.memory_format}",
                    "milliseconds": summary([1000 * getattr(one, clock) for one in spent]),
                    "over_plain": ratios(times[f"{work}, {PLAIN}"], spent)[clock],
                    "convolutions_share": ratios(convolutions, spent)[clock] if convolutions else None,
                }
            )
    return rows


def _parts(config: KernelsConfig, device: "torch.device", precisions: Sequence[str]) -> list[dict[str, Any]]:
    """Return the medians of norm and upsampling, forward and backward, with one thread at every shape."""
    from benchmarks.arms.kernels import part_arms
    from benchmarks.timing import threads, timed
    from core.machine.timing import summary

    clock = "wall" if device.type == "cuda" else "processor"
    rows = []
    for precision in precisions:
        with threads(1):
            times: Times = timed(f"parts, {precision}", part_arms(config, device, precision), config.repeats, device)
        rows += [
            {"part": name, "precision": precision, "milliseconds": summary([1000 * getattr(s, clock) for s in spent])}
            for name, spent in times.items()
        ]
    return rows


def adopt(rows: Sequence[Mapping[str, Any]], device: "torch.device") -> None:
    """Write the fastest way of each work and precision into the table that `auto` reads.

    Args:
        rows: of `kernels.json`, of one number of threads.
        device: what they were measured on.
    """
    from core.files import write_json
    from core.machine.choices import TABLE, table
    from core.machine.processor import processor
    from core.run.provenance import versions

    here = processor(device)
    found: dict[str, Any] = {}
    for precision in dict.fromkeys(row["precision"] for row in rows):
        found[precision] = {work: fastest(rows, work, precision) for work in WORKS}
        found[precision]["measured_on"] = f"{here.name}, torch {versions()['torch']}"
    write_json(TABLE, {**table(), here.kind: {**table().get(here.kind, {}), **found}})
    print(f"adopted for {here.kind}: {found}")


def fastest(rows: Sequence[Mapping[str, Any]], work: str, precision: str) -> dict[str, str]:
    """Return the layout and kernels with the smallest median, of those that a network can be told to have."""
    from core.machine.device import LAYOUTS

    able = {
        row["way"]: row["milliseconds"]["median"]
        for row in rows
        if (row["work"], row["precision"]) == (work, precision) and row["way"].split(", ")[0] in ("torch", "own")
    }
    of_kernels, layout = min(able, key=able.__getitem__).split(", ")
    assert layout in LAYOUTS
    return {"memory_format": layout, "kernels": of_kernels}


def _print(content: Mapping[str, Any]) -> None:
    from core.evaluation import print_table

    rows = [
        [
            f"{row['work']}, {row['precision']}, {row['threads']} thread{'s' * (row['threads'] > 1)}",
            row["way"] + " (auto)" * row["auto"],
            f"{row['milliseconds']['median']:.1f}",
            f"{row['over_plain']['median']:.2f}",
            f"{row['convolutions_share']['median']:.2f}" if row["convolutions_share"] else "",
        ]
        for row in content["rows"]
    ]
    print_table("The network alone", ["", "kernels, layout", "ms a batch", "over plain", "convolutions' share"], rows)
    parts = [[row["part"], row["precision"], f"{row['milliseconds']['median']:.2f}"] for row in content["parts"]]
    print_table("Its parts, one thread, all of them in a step", ["part", "precision", "ms"], parts)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command("benchmarks.kernels", KernelsConfig, kernels, argv, section="kernels", description=__doc__)


if __name__ == "__main__":
    sys.exit(main())

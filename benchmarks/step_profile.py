"""Profile where the time of a training step of phase 2, and of a forward pass in evaluation, goes.

A few steps after one that warms up, by torch.profiler: every operator's own time (on a GPU that of its kernels), summed
by kind. Shares hold on a machine that is busy with other work too, as long as it takes from all kinds alike. Writes
profile.json and prints a table.

    python -m benchmarks.step_profile --size 128 --width 16
"""

import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.config import StepProfileConfig
from core.command import run_command

if TYPE_CHECKING:
    import torch

    from core.machine.fabric import Fabric

OTHER = "other"
# What the names of a kind's operators hold, lower case; the first kind that fits counts.
KINDS = {
    "convolutions": ("conv",),
    "norms": ("group_norm", "groupnorm", "instance_norm", "batch_norm", "picturenorm"),
    "upsampling and concatenation": ("upsample", "upsampling", "interpolate", "aten::cat", "catbackward"),
    "activations": ("relu",),
    "optimiser": ("optimizer", "_fused_", "_foreach_", "clip_grad", "vector_norm"),
    "loss": ("softmax", "nll_loss", "nllloss", "cross_entropy"),
    "copies": ("copy", "aten::to", "clone", "contiguous", "fill_", "zero_"),
}


def step_profile(config: StepProfileConfig) -> dict[str, Any]:
    """Measure, write and print; returns what was written."""
    from benchmarks.filing import write_results
    from core.machine.device import make_fabric

    fabric, precision = make_fabric(config.device, config.amp)
    result = {
        "shares": {
            "training step": _of_training(config, fabric),
            "forward pass in evaluation": _of_forward(config, fabric.device),
        },
    }
    _print(result["shares"])
    write_results(config, "benchmarks.step_profile", fabric.device, {"profile.json": result}, precision=precision)
    return result


def shares_of(work: Callable[[], Any], steps: int, device: "torch.device") -> dict[str, float]:
    """Return each kind's share of the operators' own time, adding up to 1, over so many calls after a first."""
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    on_gpu = device.type == "cuda"
    work()
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]) as profiler:
        for _ in range(steps):
            work()
    # A kernel's time is given to the operator that started it, so kernels are not counted again.
    operators = [event for event in profiler.key_averages() if event.device_type == DeviceType.CPU]
    own_time = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    return grouped((event.key, getattr(event, own_time)) for event in operators)


def grouped(times: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Return each kind's share of the time that operators, named, took."""
    sums = dict.fromkeys((*KINDS, OTHER), 0.0)
    for name, seconds in times:
        sums[kind_of(name)] += seconds
    total = sum(sums.values())
    return {kind: seconds / total for kind, seconds in sums.items()}


def kind_of(operator: str) -> str:
    """Return the kind of an operator by its name, such as `aten::mkldnn_convolution`."""
    fitting = (kind for kind, parts in KINDS.items() if any(part in operator.lower() for part in parts))
    return next(fitting, OTHER)


def _of_training(config: StepProfileConfig, fabric: "Fabric") -> dict[str, float]:
    from benchmarks.loops import ours
    from benchmarks.sources import prepared

    data_dir = prepared(config.work_dir, config.size, config.images)
    shared: dict[str, Any] = {"width": config.width, "batch_size": config.batch_size, "device": str(fabric.device)}
    with tempfile.TemporaryDirectory() as folder:
        step = ours.training("transfer_learning", data_dir, Path(folder), fabric, 1, amp=config.amp, **shared)
        return shares_of(step, config.steps, fabric.device)


def _of_forward(config: StepProfileConfig, device: "torch.device") -> dict[str, float]:
    import torch

    from core.machine.device import for_inference
    from transfer_learning.network import SegmentationUNet

    model = for_inference(SegmentationUNet(width=config.width), device)
    images = torch.rand(config.batch_size, 3, config.size, config.size, device=device)
    content = torch.ones_like(images[:, :1], dtype=torch.bool)
    return shares_of(torch.inference_mode()(lambda: model(images, content)), config.steps, device)


def _print(shares: dict[str, dict[str, float]]) -> None:
    from core.evaluation import print_table

    rows = [[kind, *(f"{of_kinds[kind]:.1%}" for of_kinds in shares.values())] for kind in (*KINDS, OTHER)]
    print_table("Shares of the time", ["", *shares], rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command(
        "benchmarks.step_profile", StepProfileConfig, step_profile, argv, section="step_profile", description=__doc__
    )


if __name__ == "__main__":
    sys.exit(main())

"""An ablation whose runs are trained in the process of the case: a process of their own would take seconds."""

from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

from ablation_grid import Here

from experiments import ablate


class Timed(Here):
    """Stands for a few steps that are timed."""

    def __init__(self, commands, console, threads):
        log = Path(console).with_name("training_log.csv")
        log.write_text("epoch,epoch_time\n1,9\n2,3.5\n3,1.5\n")
        self.returncode = 0


def main(argv: Sequence[str]) -> int:
    """Run the command; what its runs say of something unexpected is said here too. Returns its exit code."""
    started = patch("experiments.grid.runners.local.Worker", Here), patch("experiments.grid.estimate.Worker", Timed)
    with started[0], started[1], patch("experiments.grid.queue.LOOK_SECONDS", 0.0):
        code = ablate.main(argv)
    output = Path(argv[argv.index("--output_dir") + 1])
    for console in sorted(output.rglob("console.txt")):
        lines = console.read_text(encoding="utf-8", errors="replace").splitlines()
        print(*(line for line in lines if line.startswith("error: unexpected ")), sep="\n", end="")
    return code

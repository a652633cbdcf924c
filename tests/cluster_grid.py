"""A grid that runs on a cluster, in a process of its own, and what it leaves without times."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import yaml
from ablation_grid import grid, two_variants

from experiments.tables import main as tables

STEPS, ROWS = 60, 6
BEGUN, ROW, ENDS = "training pictures", "epoch 1/", ("finished: best", "stopped: ")


def grid_of_five() -> dict:
    """Return a grid of a pretraining and four arms, of which three can begin at once."""
    content = two_variants(learning_rates=[0.004])
    for part in ("common", "pretraining_common"):
        content[part] |= {"max_steps": STEPS, "val_every": STEPS // ROWS}
    return content


def one_arm(**changes) -> dict:
    """Return a grid of one arm from scratch."""
    content = grid(seeds=[1], **changes)
    content["variants"] = {"scratch": content["variants"]["scratch"]}
    del content["pretraining"]
    return content


class Driver:
    """The command, called in a folder of its own."""

    def __init__(self, folder: Path, flags: list[str], content: dict) -> None:
        (folder / "grid.yaml").write_text(yaml.safe_dump({"ablation": content}, sort_keys=False))
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), environment.get("PYTHONPATH", "")])
        self.said = folder / f"said_{len(list(folder.glob('said_*')))}.txt"
        command = [sys.executable, "-m", "experiments.ablate", "--config", "grid.yaml", *flags]
        with self.said.open("w") as said:
            self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said)

    def until(self, done, what: str) -> None:
        """Wait until something is so."""
        end = time.monotonic() + 300
        while not done():
            assert self.process.poll() is None, self.said.read_text()
            assert time.monotonic() < end, f"{what}: {self.said.read_text()}"
            time.sleep(0.05)

    def end(self) -> tuple[int, str]:
        code = self.process.wait(timeout=400)
        return code, self.said.read_text()


def in_training(folder: Path) -> list[Path]:
    """Return the consoles below a folder whose run trains, and has a row of its log behind it."""
    consoles = {path: path.read_text(errors="replace") for path in folder.rglob("console.txt")}
    last = {path: max(said.rfind(end) for end in ENDS) for path, said in consoles.items()}
    return [path for path, said in consoles.items() if ROW in said and said.rfind(BEGUN) > last[path]]


def without_times(results: Path, to: Path) -> dict[str, bytes]:
    """Return the files of a grid's results and of the tables made of them, byte for byte, all times alike."""
    shutil.copytree(results, to)
    for path in to.rglob("*.json"):
        path.write_text(re.sub(r'("seconds": )[\d.]+', r"\g<1>1.0", path.read_text()))
    with contextlib.redirect_stdout(io.StringIO()):
        assert tables(["--results", str(to)]) == 0
    return {path.relative_to(to).as_posix(): path.read_bytes() for path in to.rglob("*") if path.is_file()}

"""A small grid for tests, its processes run here, one by one."""

import contextlib
import importlib
import json
from pathlib import Path
from typing import ClassVar

import pytest
import yaml

from experiments.ablate import main
from experiments.grid import queue
from experiments.grid.runners import local

ROOT = Path(__file__).parents[1]
SMALL = {"width": 2, "batch_size": 4, "max_steps": 6, "val_every": 3, "warmup_steps": 0, "amp": "off", "device": "cpu"}


class Here:
    """Stands for the process of a run, which is over when it is looked at."""

    begun: ClassVar[list[list]] = []
    lost = None

    def __init__(self, commands, console, threads):
        Here.begun.append(commands)
        with Path(console).open("a") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
            self.returncode = 0
            for module, arguments in commands:
                self.returncode = self.returncode or importlib.import_module(module).main(arguments)

    def poll(self):
        return self.returncode

    wait = poll

    def kill(self):
        """Do nothing: it is over."""


def grid(**changes) -> dict:
    """Return the grid of config/ablation_demo.yaml, shrunk."""
    content = yaml.safe_load((ROOT / "config/ablation_demo.yaml").read_text())["ablation"]
    for part in ("common", "pretraining_common"):
        content[part] |= SMALL
    content |= {"fractions": [1.0], "seeds": [1, 2], "learning_rates": [0.004]}
    return {**content, **changes}


def one_variant(steps: int) -> dict:
    """Return a grid of one pretraining and two arms of so many steps."""
    content = grid(seeds=[1])
    for part in ("common", "pretraining_common"):
        content[part] |= {"max_steps": steps, "val_every": steps // 2}
    content["variants"] = {name: content["variants"][name] for name in ("scratch", "denoise_all")}
    del content["pretraining"]["plain"]
    return content


def run(folder: Path, data: Path, content: dict, *flags: str) -> int:
    """Run a grid in a folder; returns the exit code."""
    folder.mkdir(exist_ok=True)
    (folder / "grid.yaml").write_text(yaml.safe_dump({"ablation": content}, sort_keys=False))
    places = {"--config": "grid.yaml", "--output_dir": "runs", "--results_dir": "results"}
    words = [word for name, place in places.items() for word in (name, str(folder / place))]
    return main([*words, "--data_dir", str(data), *flags])


def finished_grid(folder: Path, data: Path, content: dict) -> tuple[Path, list[list]]:
    """Run a grid to its end with processes run here; returns its folder and the commands of each, in order."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "Worker", Here)
        patch.setattr(queue, "LOOK_SECONDS", 0.0)
        Here.begun = []
        assert run(folder, data, content) == 0
    return folder, list(Here.begun)


def read(folder: Path, kind: str) -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text()) for path in (folder / "results" / kind).glob("*.json")}


def two_variants(**changes) -> dict:
    content = grid(**{"learning_rates": [0.0005, 0.02], **changes})
    content["variants"] = {name: content["variants"][name] for name in ("scratch", "denoise_all")}
    del content["pretraining"]["plain"]
    return content


def change(content: dict, **parts) -> dict:
    return {**content, **{name: {**content[name], **part} for name, part in parts.items()}}

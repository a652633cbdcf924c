"""Every command that is killed at random moments and called again leaves the bytes of one that was never stopped.

`make soak` runs it; training, which goes on from its state, is in tests/core/test_killed.py. SOAK_KILLS says how many
kills must strike each command, SOAK_SEED draws other moments.
"""

import csv
import io
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import ready_processes
import yaml
from ablation_grid import one_variant
from fuzz import corpus

KILLS = int(os.environ.get("SOAK_KILLS", "12"))
SEED = int(os.environ.get("SOAK_SEED", "0"))
# What says how long something took, or how the code stands while others work on it.
TIMES = ("seconds", "epoch_time", "commit")
NANOSECONDS = 10**18  # whole numbers above it are times of files
# What only serves those who come back.
NOT_COMPARED = re.compile(
    r"(\.lock|\.done|console\.txt|speeds\.json|state(\.previous)?\.ckpt|command\.txt|training_config\.json)$"
)
LEFTOVER = re.compile(r"\.tmp$|\.partial(/|$)|\.part$")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Pictures, prepared data, trained runs and results."""
    folder = tmp_path_factory.mktemp("killed") / "corpus"
    corpus.make(folder)
    return folder


def prepare(made: Path, folder: Path) -> list[str]:
    flags = "--dataset drawn_pets --num_images 150 --labelled_fraction 0.5 --size 48 --workers 2"
    return ["data.prepare", *flags.split(), "--output_dir", str(folder / "made")]


def prepare_archives(made: Path, folder: Path) -> list[str]:
    places = {"--archives": made / "archives/pets", "--raw_dir": folder / "raw", "--output_dir": folder / "made"}
    return ["data.prepare", "--dataset", "oxford_pets", "--size", "48", *_words(places)]


def evaluate_phase_1(made: Path, folder: Path) -> list[str]:
    return _evaluate("reconstruction", made / "phase_1", made, folder)


def evaluate_phase_2(made: Path, folder: Path) -> list[str]:
    return _evaluate("transfer_learning", made / "phase_2", made, folder)


def _evaluate(phase: str, run: Path, made: Path, folder: Path) -> list[str]:
    # A copy, so that the arrays are built under the kills too.
    if not (folder / "data").exists():
        shutil.copytree(made / "data", folder / "data", ignore=shutil.ignore_patterns("arrays"))
    places = {"--model_path": run / "best_model.safetensors", "--data_dir": folder / "data"}
    return [
        f"{phase}.evaluate",
        "--device",
        "cpu",
        "--visualize_samples",
        "2",
        *_words(places),
        "--output_dir",
        str(folder / "made"),
    ]


def predict(made: Path, folder: Path) -> list[str]:
    places = {
        "--model_path": made / "phase_2/best_model.safetensors",
        "--input": made / "own/images",
        "--output_dir": folder / "made",
    }
    return ["transfer_learning.predict", "--device", "cpu", "--batch_size", "2", *_words(places)]


def tables(made: Path, folder: Path) -> list[str]:
    return ["experiments.tables", "--results", str(_copied(made / "results", folder))]


def tables_of_ablation(made: Path, folder: Path) -> list[str]:
    return ["experiments.tables", "--results", str(_copied(made / "ablation/format_2", folder))]


def _copied(source: Path, folder: Path) -> Path:
    if not (folder / "made").exists():
        shutil.copytree(source, folder / "made")
    return folder / "made"


def report(made: Path, folder: Path) -> list[str]:
    runs = [made / "phase_1", made / "phase_2", made / "results"]
    return ["experiments.report", *map(str, runs), "--output", str(folder / "made/report.html")]


def ablate(made: Path, folder: Path) -> list[str]:
    folder.mkdir(exist_ok=True)
    (folder / "grid.yaml").write_text(yaml.safe_dump({"ablation": one_variant(steps=12)}))
    places = {"--config": folder / "grid.yaml", "--data_dir": made / "data", "--output_dir": folder / "runs"}
    return ["experiments.ablate", *_words(places), "--results_dir", str(folder / "made")]


def _words(places: dict[str, Path]) -> list[str]:
    return [word for flag, place in places.items() for word in (flag, str(place))]


COMMANDS: tuple[Callable[[Path, Path], list[str]], ...] = (
    *(prepare, prepare_archives, evaluate_phase_1, evaluate_phase_2, predict),
    *(tables, tables_of_ablation, report, ablate),
)


def ends(command: list[str], folder: Path, seconds: float | None = None) -> bool:
    """Call a command, kill it after so many seconds; says whether it came to its end, which must be a good one."""
    console = folder.with_suffix(".txt")
    console.write_text("")
    process = ready_processes.start(command[0], command[1:], console)
    process.join(seconds)
    process.kill()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL), console.read_text()
    return process.exitcode == 0


def left_by(folder: Path) -> dict[str, Any]:
    """Read all that a command left, times aside."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        str(path.relative_to(folder)): _content(path, folder) for path in paths if not NOT_COMPARED.search(path.name)
    }


def _content(path: Path, folder: Path) -> Any:
    content = path.read_bytes()
    if path.suffix == ".json":
        return _without_times(json.loads(content.decode().replace(str(folder), "")))
    if path.suffix == ".csv" and b"epoch_time" in content:
        return [_without_times(row) for row in csv.DictReader(io.StringIO(content.decode()))]
    return content.replace(str(folder).encode(), b"") if path.suffix in (".md", ".yaml", ".html") else content


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(item) for key, item in value.items() if key not in TIMES}
    if isinstance(value, int) and value > NANOSECONDS:
        return None
    return [_without_times(item) for item in value] if isinstance(value, list) else value


def assert_same(whole: dict[str, Any], killed: dict[str, Any]) -> None:
    assert not [name for name in killed if LEFTOVER.search(name)]
    assert sorted(killed) == sorted(whole)
    for name in whole:
        assert killed[name] == whole[name], name


def killed_often(command: Callable[[Path, Path], list[str]], made: Path, folder: Path, kills: int) -> None:
    """Let so many kills strike, and compare whenever the command came to its end."""
    random = Random(f"{command.__name__} {SEED}")
    whole, killed = folder / "whole", folder / "killed"
    whole.mkdir()
    words = command(made, whole)
    began = time.perf_counter()
    assert ends(words, whole)
    seconds, struck = time.perf_counter() - began, 0
    expected = left_by(whole)
    while struck < kills:
        killed.mkdir(exist_ok=True)
        words, moment = command(made, killed), random.uniform(0, seconds)
        if ends(words, killed, moment):
            assert_same(expected, left_by(killed))
            shutil.rmtree(killed)
        else:
            struck += 1
            print(f"{command.__name__}: killed {moment:.3f} s into {seconds:.3f} s")
    killed.mkdir(exist_ok=True)
    assert ends(command(made, killed), killed)
    assert_same(expected, left_by(killed))


@pytest.mark.all
def test_a_prediction_that_is_killed_is_the_same_when_called_again(made, tmp_path):
    killed_often(predict, made, tmp_path, kills=1)


@pytest.mark.soak
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_soak(command, made, tmp_path):
    killed_often(command, made, tmp_path, KILLS)

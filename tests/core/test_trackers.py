"""Trackers: what they are told of a run, what they keep of it, and that none of them can end a training."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import ablation_grid
import cv2
import numpy as np
import pytest
from ablation_grid import change, grid
from hypothesis import given
from hypothesis import strategies as st
from run_folders import rows_of, stopped_at

from core.files import write_json
from core.run.outputs import picture_of
from core.run.trackers.following import Trackers
from core.run.trackers.told import all_told
from core.run.trackers.tracker import TRACKERS, Row, TrackerName, plain_names
from transfer_learning.train import main as train

ROOT = Path(__file__).parents[2]
COLUMNS = ("epoch", "train_loss", "dice_a/b", "mean_iou")
ROWS = [{"epoch": n, "train_loss": 1 / n, "dice_a/b": None if n == 1 else 0.1 * n, "mean_iou": 0.25} for n in (1, 2, 3)]
DESCRIPTION = {"settings": {"lr": 0.1, "data_dir": "a|b", "patch": None, "rates": [1, 2]}, "commit": "abc+changes"}
SMALL = ["--width", "2", "--batch_size", "8", "--amp", "off", "--device", "cpu", "--max_steps", "4", "--val_every", "2"]
needs = {
    name: pytest.mark.skipif(
        any(find_spec(package) is None for package in row.packages),
        reason=f"no {name}: pip install -e '.[trackers]' -c constraints.txt",
    )
    for name, row in TRACKERS.items()
}


class Recorder:
    """A tracker that keeps what it is told, or raises in some methods."""

    calls: list[tuple]
    raising: tuple[str, ...] = ()
    key = "here"

    def __getattr__(self, method):
        def call(*arguments):
            self.calls.append((method, *arguments))
            if method in self.raising:
                raise ConnectionError("no\nroute")
            return self.key

        return call


@pytest.fixture
def made(monkeypatch):
    """Put classes of trackers in the place of both real ones."""

    def put(name: str, **attributes) -> list[tuple]:
        adapter = type("Adapter", (Recorder,), {"calls": [], **attributes})
        monkeypatch.setitem(sys.modules, f"a_{name}", SimpleNamespace(Adapter=adapter))
        monkeypatch.setitem(TRACKERS, name, Row(f"a_{name}", ()))
        return adapter.calls

    return put


def follow(folder: Path, *rows: dict, names=("tensorboard",), known=0, finishes=True) -> None:
    """Tell a run as the loop does, which has some rows already."""
    write_json(folder / "training_config.json", DESCRIPTION)
    with Trackers(names, folder, DESCRIPTION, COLUMNS) as trackers:
        trackers.begin(rows[:known])
        for row in rows[known:]:
            trackers.log(row)
        if finishes:
            trackers.finish(rows[-1])


def told(calls: list[tuple], method: str) -> list:
    return [call[1:] for call in calls if call[0] == method]


def test_the_table_has_a_row_for_each_word():
    assert set(TRACKERS) == set(get_args(TrackerName))


@given(st.lists(st.text(max_size=20), unique=True, max_size=6))
def test_plain_names_are_distinct_and_taken_by_all(columns):
    plain = plain_names(columns)
    assert list(plain) == columns
    assert len(set(plain.values())) == len(columns)
    for name in plain.values():
        assert name == name.strip() != ""
        assert not set("/:\\\n\x00<|") & set(name)
        assert len(name) < 250


def test_a_tracker_is_told_all_of_a_run(made, tmp_path):
    calls = made("tensorboard")
    picture_of(tmp_path, 2).parent.mkdir()
    picture_of(tmp_path, 2).write_bytes(b"PNG")
    follow(tmp_path, *ROWS)
    assert [call[0] for call in calls] == ["begin", "log", "log", "picture", "log", "best", "close"]
    run = calls[0][1]
    assert (run.known_as, run.next_epoch, run.commit, run.settings["lr"]) == (None, 1, "abc+changes", 0.1)
    assert told(calls, "log")[:2] == [
        (1, {"train_loss": 1.0, "mean_iou": 0.25}),
        (2, {"train_loss": 0.5, "dice_a_b": 0.2, "mean_iou": 0.25}),
    ]
    assert told(calls, "picture") == [(2, picture_of(tmp_path, 2))]
    assert [epoch for epoch, _ in told(calls, "best")] == [3]
    assert told(calls, "close") == [(True,)]
    assert all_told(tmp_path, ["tensorboard"])
    assert not all_told(tmp_path, ["tensorboard", "mlflow"])


def test_one_that_goes_on_gets_what_it_lacks_and_is_told_what_is_taken_back(made, tmp_path):
    calls = made("tensorboard")
    follow(tmp_path, *ROWS, finishes=False)
    assert told(calls, "close") == [(False,)]
    calls.clear()
    follow(tmp_path, *ROWS[:2], known=1)  # a state of before was restored
    assert (calls[0][1].known_as, calls[0][1].next_epoch) == ("here", 2)
    assert [epoch for epoch, _ in told(calls, "log")] == [2]
    late = made("mlflow")
    calls.clear()
    follow(tmp_path, *ROWS, names=("mlflow", "tensorboard"), known=2)
    assert [epoch for epoch, _ in told(late, "log")] == [1, 2, 3]
    assert [epoch for epoch, _ in told(calls, "log")] == [3]


def test_one_that_does_not_know_the_run_any_more_gets_it_whole(made, tmp_path):
    made("tensorboard")
    follow(tmp_path, *ROWS[:2], finishes=False)
    calls = made("tensorboard", key="elsewhere")
    follow(tmp_path, *ROWS, known=2)
    assert [epoch for epoch, _ in told(calls, "log")] == [1, 2, 3]


@pytest.mark.parametrize("method", ["begin", "log", "picture", "best", "close"])
def test_one_that_fails_is_left_aside_and_the_other_goes_on(made, tmp_path, capsys, method):
    picture_of(tmp_path, 1).parent.mkdir()
    picture_of(tmp_path, 1).write_bytes(b"PNG")
    failing, other = made("mlflow", raising=(method,)), made("tensorboard")
    follow(tmp_path, *ROWS, names=("mlflow", "tensorboard"))
    assert capsys.readouterr().err == (
        "note: --tracker mlflow failed (ConnectionError: no route) and is left aside; training goes on, and what it "
        "missed it is told when the same command is given again\n"
    )
    assert failing[-1][0] == method
    assert [epoch for epoch, _ in told(other, "log")] == [1, 2, 3]
    missed = made("mlflow")
    follow(tmp_path, *ROWS, names=("mlflow", "tensorboard"), known=3)
    assert [epoch for epoch, _ in told(missed, "best")] == [3]
    assert all_told(tmp_path, ["mlflow", "tensorboard"])
    assert len(told(other, "best")) == 1


def test_a_note_that_is_none_costs_the_tracker_alone(made, tmp_path, capsys):
    calls = made("tensorboard")
    write_json(tmp_path / "trackers/tensorboard/told.json", {"epochs": -1})
    follow(tmp_path, *ROWS)
    assert "told.json is not one of ours (epochs: " in capsys.readouterr().err
    assert calls == []


def test_trackers_have_no_say_in_what_is_learned(made, pets, tmp_path, capsys):
    def run(name: str, *flags: str) -> int:
        return train([*SMALL, "--data_dir", str(pets), "--output_dir", str(tmp_path / name), *flags])

    both = ["--tracker", "mlflow", "tensorboard", "--save_every", "1"]
    made("mlflow", raising=("begin", "log", "picture", "best", "close"))
    assert run("plain") == 0
    calls = made("tensorboard")
    with stopped_at(3):
        assert run("followed", *both) == 130
    assert run("followed", *both) == 0
    assert capsys.readouterr().err.count("note: --tracker mlflow failed") == 2  # once a call of the command
    best = "best_model.safetensors"
    assert (tmp_path / "plain" / best).read_bytes() == (tmp_path / "followed" / best).read_bytes()
    assert rows_of(tmp_path / "plain") == rows_of(tmp_path / "followed")
    assert [epoch for epoch, _ in told(calls, "log")] == [1, 2]
    assert [epoch for epoch, _ in told(calls, "picture")] == [1, 2]
    assert told(calls, "close") == [(False,), (True,)]
    assert told(calls, "best")[0][1]["train_loss"] == float(
        json.loads((tmp_path / "plain/metrics.json").read_text())["train_loss"]
    )
    # A finished run is told to who was not there.
    assert run("plain", "--tracker", "tensorboard") == 0
    assert [epoch for epoch, _ in told(calls, "log")] == [1, 2, 1, 2]
    count = len(calls)
    assert run("plain", "--tracker", "tensorboard") == 0
    assert len(calls) == count
    assert "other settings" not in capsys.readouterr().err


def test_a_missing_package_is_refused_before_anything_is_read(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(TRACKERS, "mlflow", Row("core.run.trackers.mlflow", ("json", "not_there_at_all")))
    assert train(["--data_dir", "nowhere", "--output_dir", str(tmp_path / "run"), "--tracker", "mlflow"]) == 2
    assert capsys.readouterr().err == (
        "error: --tracker mlflow: not_there_at_all is not installed: pip install -e '.[trackers]' -c constraints.txt\n"
    )
    assert not list(tmp_path.iterdir())


def test_a_grid_whose_tracker_is_missing_is_refused_before_anything_trains(pets, tmp_path, monkeypatch, here, capsys):
    monkeypatch.setitem(TRACKERS, "mlflow", Row("core.run.trackers.mlflow", ("not_there_at_all",)))
    assert ablation_grid.run(tmp_path, pets, change(grid(), common={"tracker": ["mlflow"]})) == 2
    assert "--tracker mlflow: not_there_at_all is not installed" in capsys.readouterr().err
    assert not here
    assert not (tmp_path / "results").exists()


def draw(folder: Path, epoch: int) -> np.ndarray:
    picture = np.random.default_rng(epoch).integers(0, 256, (6, 8, 3), np.uint8)
    picture_of(folder, epoch).parent.mkdir(exist_ok=True)
    cv2.imwrite(str(picture_of(folder, epoch)), picture)
    return picture


@needs["tensorboard"]
def test_tensorboard_reads_back_what_it_was_told(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    picture = draw(tmp_path, 2)
    follow(tmp_path, *ROWS, finishes=False)
    changed = {**ROWS[2], "train_loss": 7.0}
    follow(tmp_path, *ROWS[:2], changed, known=2)  # the third is taken back
    kept = EventAccumulator(str(tmp_path / "trackers/tensorboard"))
    kept.Reload()
    assert [(point.step, point.value) for point in kept.Scalars("train_loss")] == [(1, 1.0), (2, 0.5), (3, 7.0)]
    assert [point.step for point in kept.Scalars("dice_a_b")] == [2, 3]
    assert [(point.step, point.value) for point in kept.Scalars("best/train_loss")] == [(3, 7.0)]
    (image,) = kept.Images("pictures")
    pixels = cv2.imdecode(np.frombuffer(image.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    assert image.step == 2
    np.testing.assert_array_equal(pixels, picture)
    settings = kept.Tensors("settings/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "| lr | 0.1 |\n| data_dir | a&#124;b |\n| patch | none |\n| rates | [1, 2] |" in settings
    assert kept.Tensors("commit/text_summary")[0].tensor_proto.string_val == [b"abc+changes"]
    content = kept.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert HParamsPluginData.FromString(content).session_start_info.hparams["lr"].number_value == 0.1


@needs["mlflow"]
@pytest.mark.all
def test_mlflow_reads_back_what_it_was_told(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "pets" / "a run"
    folder.mkdir(parents=True)
    picture = draw(folder, 2)
    names = ("mlflow",)
    follow(folder, *ROWS[:2], names=names, finishes=False)
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/pets/mlflow.db")
    experiment = client.get_experiment_by_name("pets")

    def runs():
        return client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"])

    assert [run.info.status for run in runs()] == ["KILLED"]
    follow(folder, *ROWS, names=names, known=2)
    (run,) = runs()
    assert (run.info.run_name, run.info.status) == ("a run", "FINISHED")
    assert run.data.params == {"lr": "0.1", "data_dir": "a|b", "patch": "None", "rates": "[1, 2]"}
    assert run.data.tags["mlflow.source.git.commit"] == "abc+changes"
    history = client.get_metric_history(run.info.run_id, "train_loss")
    assert [(point.step, point.value) for point in history] == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]
    assert run.data.metrics["best/mean_iou"] == 0.25
    assert [point.step for point in client.get_metric_history(run.info.run_id, "dice_a_b")] == [2, 3]
    got = client.download_artifacts(run.info.run_id, "figures/epoch_0002.png", str(tmp_path))
    np.testing.assert_array_equal(cv2.imread(got), picture)
    kept = client.download_artifacts(run.info.run_id, "run.json", str(tmp_path))
    assert json.loads(Path(kept).read_text()) == DESCRIPTION
    # A second run of the folder beside it; then a run that was deleted in the store.
    follow(tmp_path / "pets/b", ROWS[0], names=names)
    assert [run.info.run_name for run in runs()] == ["a run", "b"]
    client.delete_run(run.info.run_id)
    follow(folder, *ROWS, names=names, known=3)
    again = next(run for run in runs() if run.info.run_name == "a run")
    assert [point.step for point in client.get_metric_history(again.info.run_id, "train_loss")] == [1, 2, 3]


@needs["mlflow"]
@pytest.mark.all
def test_two_that_begin_at_once_share_the_store_that_neither_found(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    code = """
import sys
from pathlib import Path
from test_trackers import ROWS, follow
follow(Path(sys.argv[1]), *ROWS, names=("mlflow",))
"""
    left = tmp_path / "runs/.mlflow.db.4194305.tmp"  # by a killed process; Linux counts to one less
    left.parent.mkdir()
    left.write_text("half a store")
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests/core")))
    begun = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "runs" / name)], env={**os.environ, "PYTHONPATH": paths}
        )
        for name in ("a", "b")
    ]
    assert [process.wait() for process in begun] == [0, 0]
    assert all(all_told(tmp_path / "runs" / name, ["mlflow"]) for name in ("a", "b"))
    assert not list(tmp_path.glob("runs/.*.tmp"))


@needs["mlflow"]
def test_a_store_that_is_not_there_is_a_note(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # nobody listens to port 9
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    follow(tmp_path, *ROWS, names=("mlflow",))
    errors = capsys.readouterr().err
    assert errors.count("note: --tracker mlflow failed (") == 1
    assert not all_told(tmp_path, ["mlflow"])


@needs["mlflow"]
@needs["tensorboard"]
@pytest.mark.all
def test_both_at_once_leave_the_weights_as_they_are(pets, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for name, flags in (("plain", []), ("followed", ["--tracker", "tensorboard", "mlflow", "--save_every", "1"])):
        assert train([*SMALL, "--data_dir", str(pets), "--output_dir", str(tmp_path / name), *flags]) == 0
    best = "best_model.safetensors"
    assert (tmp_path / "plain" / best).read_bytes() == (tmp_path / "followed" / best).read_bytes()
    assert all_told(tmp_path / "followed", ["tensorboard", "mlflow"])
    assert len(list(tmp_path.glob("mlartifacts/*/artifacts/figures/epoch_*.png"))) == 2

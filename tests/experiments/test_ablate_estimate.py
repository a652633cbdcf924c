"""What a grid says of the time that it takes, and runs side by side."""

import csv
import io
import json
import time
from pathlib import Path
from typing import ClassVar

import pytest
from ablation_grid import Here, grid, read, run, two_variants

from core.errors import UserError
from experiments.grid import console
from experiments.grid import estimate as speed
from experiments.grid.arms import TuningWork
from experiments.grid.config import AblationConfig
from experiments.grid.console import Console, seconds_left
from experiments.grid.estimate import STEPS, Speeds, left_in_words
from experiments.grid.planning.plan import build_plan
from experiments.grid.planning.prepared import read_data
from experiments.grid.queue import Running
from experiments.grid.run_folder import log_rows
from experiments.grid.runners import local
from experiments.grid.to_do import all_works


@pytest.fixture
def works(pets, tmp_path):
    """An arm from scratch, and one with a frozen encoder behind its pretraining."""
    content = grid()
    del content["variants"]["denoise_all"], content["pretraining"]["denoise"]
    names = ("variants", "pretraining", "pretraining_common", "common")
    places = {"data_dir": pets, "output_dir": tmp_path / "runs", "results_dir": tmp_path / "results"}
    lists = {"fractions": (1.0,), "seeds": (1,), "learning_rates": (0.004,), "tuned_at": (1.0,)}
    config = AblationConfig(**{name: content[name] for name in names}, **places, **lists)
    return all_works(build_plan(config), read_data(pets, (1.0,), (1,), (1.0,)))


def speeds_of(works, *results) -> Speeds:
    return Speeds(results, works[0].plan.config.output_dir, works[0].data.resolution)


def write_log(folder: Path, seconds: list[float]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [[number, 0.5, value] for number, value in enumerate(seconds, start=1)]
    file = io.StringIO()
    csv.writer(file).writerows([["epoch", "mean_iou", "epoch_time"], *rows])
    (folder / "training_log.csv").write_text(file.getvalue())


class Trial:
    """Stands for a few steps: half a second a step, three a validation, and a slow first row."""

    commands: list

    def __init__(self, commands, console, threads):
        Trial.commands = commands
        write_log(Path(console).parent, [100 + STEPS * 0.5 + 3, STEPS * 0.5 + 3, 0.5 + 3])

    def wait(self):
        return 0

    def kill(self):
        pass


def test_a_few_steps_give_the_time_of_a_step_and_of_a_validation(works, monkeypatch):
    monkeypatch.setattr(speed, "Worker", Trial)
    arm = next(work for work in works if work.name.startswith("plain_frozen"))
    speeds = speeds_of(works)
    speeds.measure([arm], 1)
    words = Trial.commands[0][1]
    assert words[words.index("--max_steps") + 1] == str(2 * STEPS + 1)
    assert "--pretrained_encoder" not in words
    # 6 steps and 2 validations of 24 pictures; the test pictures are scored at the same speed.
    whole = speed.START_SECONDS + (6 * 0.5 + 2 * 3) * (24 + arm.data.test_labels) / 24
    assert speeds.seconds(arm) == pytest.approx(whole)
    assert speeds_of(works).seconds(arm) == speeds.seconds(arm)  # kept
    assert not speeds.is_guess(arm)
    object.__setattr__(arm.data, "resolution", 80)  # four times the pixels
    assert speeds.seconds(arm) == pytest.approx(speed.START_SECONDS + 4 * (whole - speed.START_SECONDS))
    assert speeds.is_guess(arm)
    object.__setattr__(arm.config, "encoder", "resnet18")
    assert speeds.seconds(arm) is None  # of another encoder nothing is known


def test_rows_that_are_there_already_tell_the_time(works):
    arm = next(work for work in works if work.name.startswith("scratch"))
    speeds = speeds_of(works)
    speeds.see_rows(works)
    assert speeds.seconds(arm) is None
    write_log(arm.folder, [7.0])  # of two
    speeds.see_rows(works)
    assert speeds.seconds(arm) == pytest.approx(speed.START_SECONDS + 14 * (24 + arm.data.test_labels) / 24)


@pytest.mark.parametrize(
    ("each", "jobs", "said"),
    [
        ([], 2, "about 0 s"),
        ([None, None], 2, "?"),
        ([1200.0, None], 2, "more than 10 min"),
        ([1200.0, 1200.0, 1200.0], 2, "about 30 min"),
        ([1200.0], 2, "about 20 min"),
    ],
)
def test_time_left_in_words(each, jobs, said):
    assert left_in_words(each, jobs) == said


def test_progress_learns_the_time_from_the_run_under_way(works, monkeypatch, capsys):
    monkeypatch.setattr(console, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(console, "HEARTBEAT_SECONDS", 0.0)
    arm = next(work for work in works if work.name.startswith("scratch"))
    shown = Console(len(works), 0, speeds_of(works), 1, verbose=False)
    shown.started(arm)
    running = [Running(arm, None, 0, time.perf_counter() - 600)]
    shown.look(running, [])
    assert (
        "0 of 3 finished, ? left; under way: scratch, 100 % of the labels, seed 1: starting" in capsys.readouterr().out
    )
    write_log(arm.folder, [1.0])
    shown.look(running, [])
    said = capsys.readouterr().out
    assert "row 1/2, mean_iou 0.5000" in said
    assert "about 1" in said  # half is done after ten minutes
    shown.look(running, [work for work in works if work is not arm])
    assert "more than " in capsys.readouterr().out


def test_an_arm_that_tuning_trains_takes_no_more_time(pets, tmp_path, monkeypatch):
    content = grid()
    names = ("variants", "pretraining", "pretraining_common", "common")
    places = {"data_dir": pets, "output_dir": tmp_path / "runs", "results_dir": tmp_path / "results"}
    lists = {"fractions": (0.5, 1.0), "seeds": (1, 2), "learning_rates": (0.004, 0.01), "tuned_at": (1.0,)}
    config = AblationConfig(**{name: content[name] for name in names}, **places, **lists)
    works = all_works(build_plan(config), read_data(pets, (0.5, 1.0), (1, 2), (1.0,)))
    speeds = speeds_of(works)
    monkeypatch.setattr(speeds, "seconds", lambda work: 1000.0)
    times = {work.name: seconds_left(speeds, work, {}) for work in works}
    assert times["tuning scratch, 100 % of the labels, rate 0.01"] == 1000
    assert times["scratch, 100 % of the labels, seed 1"] < 10  # the better of the two that tuning trains
    assert times["scratch, 100 % of the labels, seed 2"] == 1000
    assert times["scratch, 50 % of the labels, seed 1"] == 1000


def test_a_variant_whose_rates_all_broke_does_not_stop_the_progress_of_others(pets, tmp_path, monkeypatch):
    names = ("variants", "pretraining", "pretraining_common", "common")
    places = {"data_dir": pets, "output_dir": tmp_path / "runs", "results_dir": tmp_path / "results"}
    lists = {"fractions": (1.0,), "seeds": (1, 2), "learning_rates": (0.004, 0.01), "tuned_at": (1.0,)}
    config = AblationConfig(**{name: grid()[name] for name in names}, **places, **lists)
    works = all_works(build_plan(config), read_data(pets, (1.0,), (1, 2), (1.0,)))
    speeds = speeds_of(works)
    monkeypatch.setattr(speeds, "seconds", lambda work: 1000.0)
    monkeypatch.setattr(TuningWork, "done", True)
    monkeypatch.setattr(TuningWork, "score", -1.0)
    (arm,) = (work for work in works if work.name == "scratch, 100 % of the labels, seed 2")
    with pytest.raises(UserError, match="training broke at every rate"):
        _ = arm.folder
    assert seconds_left(speeds, arm, {}) == 0


def test_two_run_side_by_side_and_an_arm_after_its_tuning(pets, tmp_path, here, monkeypatch):
    at_once = []

    class Slow(Here):
        """A process that is over when it is looked at the second time."""

        under_way: ClassVar[list] = []

        def __init__(self, commands, console, threads):
            super().__init__(commands, console, threads)
            self.looks, self.folder, self.threads = 0, Path(console).parent, threads
            Slow.under_way.append(self.folder)
            at_once.append(list(Slow.under_way))

        def poll(self):
            self.looks += 1
            if self.looks == 2:
                Slow.under_way.remove(self.folder)
            return self.returncode if self.looks >= 2 else None

    monkeypatch.setattr(local, "Worker", Slow)
    content = two_variants(seeds=[1], learning_rates=[0.004, 0.02])
    del content["variants"]["denoise_all"], content["pretraining"]["denoise"]
    content["common"] |= {"max_steps": 2, "val_every": 1}
    assert run(tmp_path, pets, content, "--jobs", "2") == 0
    assert [len(folders) for folders in at_once] == [1, 2, 1]
    assert at_once[2][0] in at_once[1]  # the arm, in the folder of the rate that won
    assert len(read(tmp_path, "arms")) == 1
    assert json.loads((tmp_path / "results/plan.json").read_text())["learning_rates"] == [0.004, 0.02]


def test_what_is_given_for_the_data_goes_on_to_trainings_and_scoring(works):
    arm = next(work for work in works if work.name.startswith("scratch"))
    seen = {"--allow_seen", "--cache_dir", "kept"}
    assert not any(seen & {*words} for _, words in arm.commands())
    object.__setattr__(arm.config, "allow_seen", True)  # common to all arms
    assert all("--allow_seen" in words for _, words in arm.commands())
    object.__setattr__(arm.plan.config, "cache_dir", Path("kept"))
    object.__setattr__(arm.plan.config, "allow_seen", True)
    for _, words in arm.commands():
        assert seen <= {*words}
        assert [words.count(flag) for flag in ("--allow_seen", "--cache_dir", "--data_dir", "--output_dir")] == [1] * 4


@pytest.mark.parametrize(
    "content",
    [
        b"epoch,epoch_time\n1,\xff\n",
        b"epoch,epoch_time\n1,2\nepoch,epoch_time\n",
        b"epoch,epoch_time\n1,2,3\n",
        b"epoch,epoch_time\n,2\n",
        b"epoch,epoch_time\n1,nan\n",
        b"epoch,epoch_time\n1,-2\n",
        b"epoch,epoch_time\n1.5,2\n",
        b"epoch\n1\n",
        b"",
    ],
)
def test_a_damaged_log_is_refused_by_name(tmp_path, content):
    (tmp_path / "training_log.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"training_log\.csv is damaged"):
        log_rows(tmp_path)

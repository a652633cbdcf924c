"""Replays of an advice: their sums against hand-made rows, the user that is made of a data set, and one to its end."""

import json

import pytest

from benchmarks.advise_replay import main
from benchmarks.replaying.summary import advised, priors_of, row_of, summary_of
from data.prepare import main as prepare
from experiments.advice import choices, planning


def row(data: str, folds: dict, scores: dict, gain: float, forecast: list | None) -> dict:
    """Return a replay whose folds are sure of what they say."""
    found = {"data": data, "folds": folds, "scores": scores, "gain": gain, "forecast": forecast, "number_of_folds": 5}
    differences = {arm: {"value": score - folds["scratch"], "error": 0.001} for arm, score in folds.items()}
    return {**found, "differences": differences, "outside": {arm: arm == "imagenet" for arm in scores}}


def test_regrets_are_of_the_advice_and_of_every_fixed_one():
    rows = [
        row("a", {"scratch": 0.5, "imagenet": 0.6}, {"scratch": 0.5, "imagenet": 0.7}, 0.05, [0.04, 0.0, 0.1]),
        row("b", {"scratch": 0.6, "imagenet": 0.5}, {"scratch": 0.5, "imagenet": 0.6}, 0.2, [0.04, 0.0, 0.1]),
    ]
    found = summary_of(rows)
    both = found["with_outside_weights"]
    for what in ("advice", "highest in the folds"):
        assert both[what] == {"near": 0.5, "median": pytest.approx(0.05), "mean": pytest.approx(0.05)}
    assert both["always imagenet"]["mean"] == pytest.approx(0.0)
    assert both["always scratch"]["mean"] == pytest.approx(0.15)
    assert set(found["without_outside_weights"]) == {"advice", "highest in the folds", "always scratch"}
    forecasts = found["forecasts"]
    assert (forecasts["number"], forecasts["coverage"], forecasts["median_width"]) == (2, 0.5, pytest.approx(0.1))
    # The width, and 2 / 0.05 times what the second lies beyond.
    assert forecasts["interval_score"] == pytest.approx((0.1 + 0.1 + 40 * 0.1) / 2)


def test_an_advice_is_weighed_with_the_other_data_sets_alone():
    ahead = [
        row(name, {"scratch": 0.5, "imagenet": 0.5}, {"scratch": 0.5, "imagenet": 0.7}, 0.0, None) for name in "ab"
    ]
    last = row("c", {"scratch": 0.5, "imagenet": 0.45}, {"scratch": 0.5, "imagenet": 0.1}, 0.0, None)
    last["differences"]["imagenet"]["error"] = 0.5  # its folds are not sure
    assert priors_of(ahead)["imagenet"].mean == pytest.approx(0.2)
    assert advised(last, priors_of(ahead), ["scratch", "imagenet"]) == "imagenet"
    assert advised(last, {}, ["scratch", "imagenet"]) == "scratch"
    assert advised(last, priors_of(ahead), ["scratch"]) == "scratch"
    # c is advised by a and b, and regrets it; a and b by one another and c.
    assert summary_of([*ahead, last])["with_outside_weights"]["advice"]["mean"] > 0.4 / 3 - 1e-9


def test_a_row_says_what_was_advised_and_what_came():
    arms = {"scratch": {"outside_weights": False, "score": {"value": 0.5}, "difference": None}}
    advice = {
        "masks": 8,
        "best": "scratch",
        "told_apart": False,
        "says": ["a", "Do: b."],
        "expected": 0.4,
        "arms": arms,
        "steps": {"scratch": 300},
        "folds": 4,
    }
    found = row_of("pets_96_8_1", {**advice, "forecast": {"cannot": "why"}}, {"scratch": 0.6, "twice": 0.65})
    assert (found["data"], found["scores"], found["forecast"]) == ("pets_96", {"scratch": 0.6}, None)
    assert found["gain"] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "name prepared data sets"),
        (["--masks", "0"], "masks: give numbers from 1"),
        (["--jobs", "0"], "jobs 1 or more"),
    ],
)
def test_what_it_cannot_do_is_said(flags, message, capsys):
    assert main(flags) == 2
    assert message in capsys.readouterr().err


@pytest.mark.all
def test_a_replay_runs_to_its_end_and_is_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        planning, "lengths", lambda seconds, steps, hours: choices.Lengths(5.0, dict.fromkeys(steps, 4), 4)
    )
    data = ["--dataset", "shapes", "--variant", "binary", "--num_images", "60", "--labelled_fraction", "1"]
    assert prepare([*data, "--size", "48", "--output_dir", str(tmp_path / "shapes")]) == 0
    words = [
        "--data_dirs",
        str(tmp_path / "shapes"),
        "--masks",
        "8",
        "--arms",
        "teacher",
        "--size",
        "40",
        "--width",
        "2",
    ]
    words += ["--output_dir", str(tmp_path / "out"), "--work_dir", str(tmp_path / "work")]
    assert main(words) == 0
    found = json.loads((tmp_path / "out/replay.json").read_text())
    (one,) = found["rows"]
    assert set(one["scores"]) == {"scratch", "teacher"}
    assert all(0 <= score <= 1 for score in one["scores"].values())
    assert one["masks"] == 8
    assert found["with_outside_weights"]["advice"]["near"] in (0.0, 1.0)
    before = (tmp_path / "out/replays/shapes_8_1.json").stat().st_mtime_ns
    capsys.readouterr()
    assert main(words) == 0
    assert (tmp_path / "out/replays/shapes_8_1.json").stat().st_mtime_ns == before
    assert "replay 1 of 1" not in capsys.readouterr().out

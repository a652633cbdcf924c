"""Replays of an advice: their sums against hand-made rows, the user that is made of a data set, and one to its end."""

import json

import numpy as np
import pytest

from benchmarks.advise_replay import main
from benchmarks.replaying.summary import advised, priors_of, row_of, summary_of
from data.prepare import main as prepare
from experiments.advice import choices, planning


def row(data: str, folds: dict, scores: dict, gain: float = 0.0, slope: dict | None = None) -> dict:
    """Return a replay whose folds are sure of what they say."""
    found = {"data": data, "folds": folds, "scores": scores, "gain": gain, "slope": slope, "number_of_folds": 5}
    differences = {
        arm: {"value": score - folds["scratch"], "low": None, "error": 0.001} for arm, score in folds.items()
    }
    outside = {arm: arm == "imagenet" for arm in scores}
    return {**found, "masks": 40, "forecast_of": "scratch", "differences": differences, "outside": outside}


# Twice the labels close a tenth of what 0.5 lacks, give or take next to nothing.
SURE = {"labels": 32, "score": 0.5, "score_error": 0.0, "exponent": float(-np.log2(0.9)), "error": 1e-4, "folds": 5}


def test_regrets_are_of_the_advice_and_of_every_fixed_one():
    rows = [
        row("a", {"scratch": 0.5, "imagenet": 0.6}, {"scratch": 0.5, "imagenet": 0.7}),
        row("b", {"scratch": 0.6, "imagenet": 0.5}, {"scratch": 0.5, "imagenet": 0.6}),
    ]
    found = summary_of(rows)
    both = found["with_outside_weights"]
    for what in ("advice", "highest in the folds"):
        assert both[what] == {
            "near": 0.5,
            "near_by_data_set": 0.5,
            "median": pytest.approx(0.05),
            "mean": pytest.approx(0.05),
        }
    assert both["always imagenet"]["mean"] == pytest.approx(0.0)
    assert both["always scratch"]["mean"] == pytest.approx(0.15)
    assert set(found["without_outside_weights"]) == {"advice", "highest in the folds", "always scratch"}
    assert found["forecasts"] == {"number": 0}, "neither has a curve"


def test_a_data_set_of_many_replays_counts_as_one():
    worse = row("a", {"scratch": 0.5, "imagenet": 0.4}, {"scratch": 0.4, "imagenet": 0.6})
    right = row("b", {"scratch": 0.5, "imagenet": 0.4}, {"scratch": 0.5, "imagenet": 0.4})
    found = summary_of([worse, worse, worse, right])["with_outside_weights"]["always scratch"]
    assert found == {"near": 0.25, "near_by_data_set": 0.5, "median": pytest.approx(0.2), "mean": pytest.approx(0.1)}


def test_forecasts_are_held_against_what_came():
    # From 40 masks, whose score is a little higher than that of 32: a tenth of what is missing then.
    gap = 0.5 * (40 / 32) ** np.log2(0.9)
    rows = [row(name, {"scratch": 0.5}, {"scratch": 0.5}, gain, SURE) for name, gain in (("a", gap / 10), ("b", 0.2))]
    content = summary_of(rows)
    forecasts, (median, low, high) = content["forecasts"], content["rows"][0]["forecast"]
    assert median == pytest.approx(gap / 10, abs=2e-3)
    assert (forecasts["number"], forecasts["coverage"]) == (2, 0.5)
    assert forecasts["median_width"] == pytest.approx(high - low)
    # The width, and 2 / 0.05 times what the second lies beyond.
    assert forecasts["interval_score"] == pytest.approx(high - low + 40 * (0.2 - high) / 2)


def test_an_advice_is_weighed_with_the_other_data_sets_alone():
    ahead = [
        row(name, {"scratch": 0.5, "imagenet": 0.5}, {"scratch": 0.5, "imagenet": 0.7}, 0.0, None) for name in "ab"
    ]
    last = row("c", {"scratch": 0.5, "imagenet": 0.45}, {"scratch": 0.5, "imagenet": 0.1})
    last["differences"]["imagenet"]["error"] = 0.5  # its folds are not sure
    assert priors_of(ahead)["imagenet"].mean == pytest.approx(0.2)
    assert advised(last, priors_of(ahead), ["scratch", "imagenet"]) == "imagenet"
    assert advised(last, {}, ["scratch", "imagenet"]) == "scratch"
    assert advised(last, priors_of(ahead), ["scratch"]) == "scratch"
    told = [one["advised"] for one in summary_of([*ahead, last])["rows"]]
    assert told[2] == "imagenet", "c is advised by a and b, whatever came of it"


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
        "seconds_a_training": 60.0,
        "size": 64,
        "width": 8,
    }
    found = row_of("pets_96_8_1", {**advice, "forecast": {"cannot": "why"}}, {"scratch": 0.6, "twice": 0.65})
    assert (found["data"], found["scores"], found["slope"]) == ("pets_96", {"scratch": 0.6}, None)
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
        planning, "lengths", lambda a_run, steps, *hours: choices.Lengths(5.0, dict.fromkeys(steps, 4), 4)
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
    words += ["--seconds", "5", "--output_dir", str(tmp_path / "out"), "--work_dir", str(tmp_path / "work")]
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
    assert main([*words, "--adopt"]) == 2
    assert "replays of one data set say nothing of the next" in capsys.readouterr().err
    assert main([*words, "--seconds", "90"]) == 2
    assert "is of seconds 5.0: give another --output_dir" in capsys.readouterr().err

"""Curves of ways to compute are compared as the words say."""

import json

import pytest

from benchmarks.curves import differences, main


def run(loss, score):
    return {"train_loss": loss, "test_mean_iou": score}


def test_differences_by_hand():
    first = [run([2.0, 1.0], 0.5), run([2.0, 1.4], 0.7)]
    other = [run([2.1, 1.2], 0.6), run([2.1, 1.3], 0.6)]
    found = differences(other, first)
    assert found["test_mean_iou"] == pytest.approx(0.6)
    assert found["test_mean_iou_deviation"] == pytest.approx(0)
    assert found["difference"] == pytest.approx(0)  # +0.1 and -0.1
    assert found["difference_deviation"] == pytest.approx(0.02**0.5)
    assert found["largest_difference_of_loss"] == pytest.approx(0.1)  # of 2.1 and 2.0; 1.25 and 1.2 are nearer
    assert found["of_the_spread_over_seeds"] is None  # there the seeds agree
    first[1] = run([2.2, 1.4], 0.7)
    found = differences(other, first)
    assert found["largest_difference_of_loss"] == pytest.approx(0.05)
    assert found["of_the_spread_over_seeds"] == pytest.approx(0.05 / 0.08**0.5)


def test_the_command_trains_scores_and_draws(pets, tmp_path, capsys):
    flags = "--width 2 --batch_size 2 --steps 4 --every 2 --seeds 1 2 --device cpu --data_dir"
    argv = [*flags.split(), str(pets), "--work_dir", str(tmp_path / "work"), "--output_dir", str(tmp_path / "results")]
    assert main(argv) == 0
    (file,) = (tmp_path / "results").glob("*/curves*.json")
    content = json.loads(file.read_text())
    assert [(run["kernels"], run["seed"], run["steps"]) for run in content["runs"]] == [
        (kernels, seed, [2, 4]) for seed in (1, 2) for kernels in ("torch", "own")
    ]
    assert content["ways"][0]["difference"] == 0
    assert file.with_suffix(".png").stat().st_size > 1000
    capsys.readouterr()
    assert main(argv) == 0
    assert "Nothing to do" in capsys.readouterr().out


def test_auto_is_no_way(capsys):
    assert main(["--kernels", "auto"]) == 2
    assert "give others than auto" in capsys.readouterr().err

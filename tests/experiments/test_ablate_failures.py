"""Runs of a grid that fail, and rates at which training breaks."""

from pathlib import Path

import pytest
from ablation_grid import Here, read, run, two_variants

from core.errors import UserError
from experiments.grid.estimate import Speeds
from experiments.grid.run_folder import provenance_of, settings_of, training_of


def test_arms_wait_for_a_pretraining_that_failed(pets, tmp_path, here, capsys):
    content = two_variants(seeds=[1])
    content["pretraining"]["denoise"]["amp"] = "fp16"
    assert run(tmp_path, pets, content, "--variants", "denoise_all") == 1
    errors = capsys.readouterr().err.splitlines()
    assert "FAILED    pretraining denoise: --amp fp16 needs a GPU" in errors[0]
    assert "waits     denoise_all, 100 % of the labels, seed 1: needs pretraining denoise" in errors
    assert "1 of 4 runs failed, 3 wait for them (pretraining denoise)" in errors[-1]
    assert len(here) == 1


def test_a_rate_at_which_training_breaks_has_lost(pets, tmp_path, here):
    content = two_variants(seeds=[1], learning_rates=[0.004, 1e30])
    content["common"] |= {"clip": 0.0, "optimizer": "sgd"}
    assert run(tmp_path, pets, content, "--variants", "scratch") == 0
    tuning = read(tmp_path, "tuning")
    assert tuning["scratch__1__lr_1e+30"]["val_mean_iou"] is None
    assert read(tmp_path, "arms")["scratch__1__seed_1"]["arm"]["learning_rate"] == 0.004


def test_where_every_rate_broke_the_list_goes_on(pets, tmp_path, here, monkeypatch, capsys):
    monkeypatch.setattr(Speeds, "measure", lambda *_: None)
    content = two_variants(seeds=[1], learning_rates=[1e29, 1e30])
    content["common"] |= {"clip": 0.0, "optimizer": "sgd"}
    del content["variants"]["denoise_all"], content["pretraining"]["denoise"]
    assert run(tmp_path, pets, content) == 1
    assert "every rate: give smaller learning_rates and another results_dir" in capsys.readouterr().err
    assert run(tmp_path, pets, content, "--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("done")
    assert lines[2].startswith("failed before")
    assert "scratch: training broke at every rate" in lines[2]
    assert not (tmp_path / "runs/runs/not known yet").exists()


def test_damage_found_while_a_failure_is_looked_at_does_not_end_the_grid(pets, tmp_path, here, monkeypatch, capsys):
    begin = Here.__init__

    def damage(self, commands, console, threads):
        begin(self, commands, console, threads)
        if self.returncode:
            (Path(console).parent / "training_config.json").write_text("{")

    monkeypatch.setattr(Here, "__init__", damage)
    content = two_variants(seeds=[1], learning_rates=[1e30, 0.004])
    content["common"] |= {"clip": 0.0, "optimizer": "sgd"}
    assert run(tmp_path, pets, content, "--variants", "scratch") == 1
    errors = capsys.readouterr().err
    assert "FAILED    tuning scratch, 100 % of the labels, rate 1e+30: " in errors
    assert "training_config.json is not valid JSON" in errors
    assert set(read(tmp_path, "tuning")) == {"scratch__1__lr_0.004"}


@pytest.mark.parametrize("content", ["{}", "[]", '{"identity": 3}', '{"identity": {}, "machine": {}, "versions": {}}'])
def test_a_run_folder_that_was_altered_is_named(tmp_path, content):
    for name in ("training_config.json", "metrics.json"):
        (tmp_path / name).write_text(content)
    for read_it in (provenance_of, settings_of, training_of):
        with pytest.raises(UserError, match=rf"^{tmp_path}/\w+\.json is (damaged|not one of ours)"):
            read_it(tmp_path)

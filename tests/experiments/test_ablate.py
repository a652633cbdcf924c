"""The ablation from its file to the JSON of its arms, on drawn pictures; its processes run here, one by one."""

import csv
import json
import shutil

import numpy as np
import pytest
from ablation_grid import finished_grid, read, run, two_variants
from sample_classes import write_manifest

from core.files import file_sha256
from core.headers.header import header_content
from core.weights import load_weights, save_weights
from experiments.grid.estimate import Speeds


@pytest.fixture(scope="module")
def finished(tmp_path_factory, pets):
    """A finished grid: two variants, two rates to choose from, one fraction, two seeds."""
    return finished_grid(tmp_path_factory.mktemp("grid"), pets, two_variants())


def test_every_arm_is_there_at_the_rate_that_val_chose(finished):
    folder, begun = finished
    arms, tuning = read(folder, "arms"), read(folder, "tuning")
    assert set(arms) == {f"{name}__1__seed_{seed}" for name in ("scratch", "denoise_all") for seed in (1, 2)}
    assert set(tuning) == {f"{name}__1__lr_{lr}" for name in ("scratch", "denoise_all") for lr in ("0.0005", "0.02")}
    for name in ("scratch", "denoise_all"):
        tried = [entry for entry in tuning.values() if entry["arm"]["variant"] == name]
        best = max(tried, key=lambda entry: (entry["val_mean_iou"], -entry["arm"]["learning_rate"]))
        for seed in (1, 2):
            assert arms[f"{name}__1__seed_{seed}"]["arm"]["learning_rate"] == best["arm"]["learning_rate"]
        # With the first seed the arm is that very run of the little grid.
        assert arms[f"{name}__1__seed_1"]["val_mean_iou"] == best["val_mean_iou"]
    trained = [words[words.index("--output_dir") + 1] for commands in begun for module, words in commands[:1]]
    assert len(begun) == 1 + 4 + 4
    assert len(set(trained)) == 1 + 4 + 2


def test_an_arm_says_what_its_scores_are_made_of(finished, pets):
    folder, _ = finished
    arm = read(folder, "arms")["denoise_all__1__seed_2"]
    manifest = json.loads((pets / "manifest.json").read_text())
    hit, true, said = np.sum(list(arm["per_image"].values()), axis=0).reshape(3, -1)
    assert arm["class_set"] == manifest["class_set"]
    assert np.mean(hit / (true + said - hit)) == arm["mean_iou"]
    painted, told = np.zeros(9), 0  # all that was said to be cat or dog as the one that is there
    for counts in arm["per_image"].values():
        hit, true, said = np.reshape(counts, (3, -1))
        (c,) = 1 + np.flatnonzero(true[1:])
        both = true.sum() - true[0] - said[0] + hit[0]
        for row, values in enumerate(((hit[0], both), (true[0], true[c]), (said[0], true.sum() - said[0]))):
            painted[[3 * row, 3 * row + c]] += values
        told += said[c] > said[3 - c]
    hit, true, said = painted.reshape(3, -1)
    outline = np.mean(hit / (true + said - hit))
    assert arm["one_object"] == {"class_accuracy": told / len(arm["per_image"]), "outline_mean_iou": outline}
    tested = {image["name"] for image in manifest["images"] if image["split"] == "Test" and image["labelled"]}
    assert set(arm["per_image"]) == tested
    run_folder = next((folder / "runs/runs").glob("denoise_all__1__seed_2__lr_*"))
    with (run_folder / "training_log.csv").open() as file:
        rows = list(csv.DictReader(file))
    best = max(rows, key=lambda row: float(row["mean_iou"]))
    assert (arm["val_mean_iou"], arm["best_step"]) == (float(best["mean_iou"]), 3 * int(best["epoch"]))
    assert arm["compute"]["seconds"] == pytest.approx(sum(float(row["epoch_time"]) for row in rows))
    assert arm["compute"]["images"] == 24
    assert arm["compute"]["passes"] == 72
    assert arm["data_sha256"] == manifest["fingerprint"]
    pretraining = read(folder, "pretraining")["denoise"]
    assert arm["pretraining"]["sha256"] == pretraining["sha256"] == arm["settings"]["pretrained_encoder_sha256"]
    assert [step for step, _ in pretraining["log"]] == [3, 6]
    assert arm["settings"]["seed"] == 2
    assert arm["settings"]["transfer"] == "all"
    assert (run_folder / "command.txt").read_text().count("python -m transfer_learning.") == 2


def test_the_parameters_are_those_of_the_network(finished):
    from transfer_learning.network import SegmentationUNet

    folder, _ = finished
    network = SegmentationUNet(width=2)
    counted = sum(parameter.numel() for parameter in network.parameters())
    assert read(folder, "arms")["scratch__1__seed_1"]["compute"]["parameters"] == counted


def test_multiply_adds_are_those_of_the_networks_on_these_pictures(finished, pets):
    from reconstruction.network import Autoencoder
    from transfer_learning.description import counted
    from transfer_learning.network import SegmentationUNet

    folder, _ = finished
    size = json.loads((pets / "manifest.json").read_text())["size"]
    size = [size, size] if isinstance(size, int) else size
    arm = read(folder, "arms")["denoise_all__1__seed_2"]
    before = arm["pretraining"]["compute"]
    assert arm["compute"]["multiply_adds"] == 72 * counted(SegmentationUNet(width=2).eval(), size).multiply_adds
    assert before["multiply_adds"] == before["passes"] * counted(Autoencoder(width=2).eval(), size).multiply_adds
    assert before == read(folder, "pretraining")["denoise"]["compute"]
    assert before["passes"] == 3 * before["images"]


def test_finished_arms_are_not_run_again_without_run_folders(finished, pets, tmp_path, here, capsys):
    shutil.copytree(finished[0] / "results", tmp_path / "results")
    assert run(tmp_path, pets, two_variants()) == 0
    assert here == []
    assert "all 9 runs are done" in capsys.readouterr().out
    # One is lost: what it needs is made again, the same weights in the same bits, and nothing else.
    lost = tmp_path / "results/arms/denoise_all__1__seed_2.json"
    before = json.loads(lost.read_text())
    lost.unlink()
    assert run(tmp_path, pets, two_variants()) == 0
    assert [commands[0][0] for commands in here] == ["reconstruction.train", "transfer_learning.train"]
    assert json.loads(lost.read_text())["per_image"] == before["per_image"]
    assert "WARNING" not in capsys.readouterr().out


def test_the_list_shows_what_is_done_and_measures_the_rest(finished, pets, tmp_path, capsys):
    shutil.copytree(finished[0] / "results", tmp_path / "results")
    (tmp_path / "results/arms/scratch__1__seed_2.json").unlink()
    assert run(tmp_path, pets, two_variants(), "--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines].count("done") == 8
    to_do = [line.split("  ")[-1] for line in lines if line.startswith("to do")]
    assert to_do == ["scratch, 100 % of the labels, seed 2"]
    assert lines[-1].startswith("8 of 9 runs done; left: about ")
    assert not (tmp_path / "runs").exists()


def test_the_list_answers_at_once_and_measures_where_it_is_asked_to(pets, tmp_path, monkeypatch, capsys):
    measured = []
    monkeypatch.setattr(Speeds, "measure", lambda self, works, threads: measured.extend(works))
    assert run(tmp_path, pets, two_variants(), "--list") == 0
    said = capsys.readouterr().out
    assert measured == []
    assert said.count("to do ") == 9
    assert '0 of 9 runs done; left: ?\nnote: "?" stands where no run like it was timed yet: --measure takes' in said
    assert run(tmp_path, pets, two_variants(), "--list", "--measure") == 0
    assert len(measured) == 9
    assert run(tmp_path, pets, two_variants(), "--measure") == 2
    assert "--measure goes with --list" in capsys.readouterr().err


def test_what_a_stopped_run_has_done_is_no_time_left(finished, pets, tmp_path, monkeypatch, capsys):
    shutil.copytree(finished[0] / "results", tmp_path / "results")
    (tmp_path / "results/arms/scratch__1__seed_2.json").unlink()
    monkeypatch.setattr(Speeds, "seconds", lambda self, work: 6000.0)
    assert run(tmp_path, pets, two_variants(), "--list") == 0
    assert "left: about 1 h 40 min" in capsys.readouterr().out
    shutil.copytree(finished[0] / "runs", tmp_path / "runs")
    (log,) = (tmp_path / "runs/runs").glob("scratch__1__seed_2__*/training_log.csv")
    rows = log.read_text().splitlines(keepends=True)
    log.write_text("".join(rows[: 1 + (len(rows) - 1) // 2]))
    (log.parent / "console.txt").unlink()
    assert run(tmp_path, pets, two_variants(), "--list") == 0
    assert "left: about 50 min" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"common": {"weight_decay": 0.5}}, "weight_decay 0.01 there, 0.5 now"),
        ({"pretraining_common": {"lr": 0.5}}, "pretraining denoise: lr 0.002 there, 0.5 now"),
        ({"learning_rates": [0.0005, 0.02, 0.1]}, "learning_rates [0.0005, 0.02] there"),
        ({"seeds": [2, 1]}, "rates tuned with seed 1 there, 2 now"),
    ],
)
def test_a_results_folder_of_other_settings_is_refused(finished, pets, tmp_path, here, capsys, change, message):
    shutil.copytree(finished[0] / "results", tmp_path / "results")
    content = two_variants()
    for name, value in change.items():
        content[name] = {**content[name], **value} if isinstance(value, dict) else value
    assert run(tmp_path, pets, content) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "choose another results_dir" in error
    assert here == []


def test_a_results_folder_of_other_data_is_refused(finished, pets, tmp_path, here, capsys):
    shutil.copytree(finished[0] / "results", tmp_path / "results")
    other = tmp_path / "data"
    manifest = json.loads((pets / "manifest.json").read_text())
    write_manifest(other, manifest)
    assert run(tmp_path, other, two_variants()) == 2
    assert f"data_sha256 {manifest['fingerprint'][:12]}… there, 000000000000… now" in capsys.readouterr().err
    assert here == []


def test_what_fails_is_reported_and_the_rest_goes_on(finished, pets, tmp_path, here, capsys):
    folder = finished[0]
    shutil.copytree(folder / "runs/pretraining", tmp_path / "runs/pretraining")
    shutil.copytree(folder / "results/pretraining", tmp_path / "results/pretraining")
    weights = tmp_path / "runs/pretraining/denoise/best_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    content = two_variants(seeds=[1], learning_rates=[0.004])
    content["variants"]["gone"] = {"encoder": "double_conv", "output_stride": 8}  # known when it is made
    assert run(tmp_path, pets, content) == 1
    errors = capsys.readouterr().err
    assert set(read(tmp_path, "arms")) == {"scratch__1__seed_1"}
    failures = [line for line in errors.splitlines() if line.startswith("FAILED")]
    assert len(failures) == 2
    assert f"{weights} is not a whole safetensors file" in failures[0]
    assert f"{weights.parent} is deleted" in failures[0]
    assert "'double_conv' cannot keep its features at 1/8" in failures[1]
    assert "console.txt" in failures[1]
    assert "error: 2 of 4 runs failed, 1 wait for them (pretraining denoise; gone, 100 %" in errors.splitlines()[-1]
    gone = tmp_path / "runs/runs/gone__1__seed_1__lr_0.004"
    assert "'double_conv' cannot keep its features at 1/8" in (gone / "failed.txt").read_text()
    content["variants"].pop("gone")
    assert run(tmp_path, pets, content, "--list") == 0
    assert sum(line.startswith("failed before") for line in capsys.readouterr().out.splitlines()) == 1
    # Once the cause is gone the same command makes up for it.
    weights.write_bytes(whole)
    here.clear()
    assert run(tmp_path, pets, content) == 0
    assert len(here) == 1
    assert set(read(tmp_path, "arms")) == {"scratch__1__seed_1", "denoise_all__1__seed_1"}


def test_other_weights_than_those_of_the_finished_arms_are_told(finished, pets, tmp_path, here, capsys):
    shutil.copytree(finished[0] / "results", tmp_path / "results")
    shutil.copytree(finished[0] / "runs/pretraining", tmp_path / "runs/pretraining")
    weights = tmp_path / "runs/pretraining/denoise/best_model.safetensors"
    tensors, _ = load_weights(weights)
    save_weights(weights, {name: tensor + 1e-3 for name, tensor in tensors.items()}, header_content(weights))
    assert run(tmp_path, pets, two_variants()) == 0  # nothing needs them
    assert here == []
    (tmp_path / "results/arms/denoise_all__1__seed_2.json").unlink()
    assert run(tmp_path, pets, two_variants()) == 0
    told = capsys.readouterr()
    assert told.out.count("WARNING: its weights are others than those of") == 1
    mixed = "WARNING: the runs with pretraining denoise began with 2 different encoders"
    assert told.err.count(mixed) == 1
    assert run(tmp_path, pets, two_variants(), "--list") == 0  # and every later call
    assert mixed in capsys.readouterr().err
    arms = read(tmp_path, "arms")
    assert arms["denoise_all__1__seed_2"]["pretraining"]["sha256"] == file_sha256(weights)
    assert arms["denoise_all__1__seed_1"]["pretraining"]["sha256"] != file_sha256(weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight_decay": 0.5}, "scratch__1__seed_1__lr_0.0005 holds another run (weight_decay 0.01 there, 0.5 now)"),
        ({}, "other weights of pretraining denoise"),
    ],
)
def test_a_run_folder_of_another_run_is_refused(finished, pets, tmp_path, here, capsys, change, message):
    for part in ("runs", "results"):
        shutil.copytree(finished[0] / part, tmp_path / part)
    content = two_variants()
    content["common"] |= change
    if change:
        shutil.rmtree(tmp_path / "results")
    else:  # the pretraining was trained again, elsewhere
        weights = tmp_path / "runs/pretraining/denoise/best_model.safetensors"
        altered = bytearray(weights.read_bytes())
        altered[-1] ^= 1
        weights.write_bytes(altered)
        about = tmp_path / "results/pretraining/denoise.json"
        about.write_text(json.dumps(json.loads(about.read_text()) | {"sha256": file_sha256(weights)}))
        (tmp_path / "results/arms/denoise_all__1__seed_2.json").unlink()
    assert run(tmp_path, pets, content) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert "delete that folder or choose another output_dir" in errors
    assert here == []


def test_a_variant_that_left_the_file_stays_in_the_plan_with_its_arms(finished, pets, tmp_path, here):
    shutil.copytree(finished[0] / "results", tmp_path / "results")
    before = json.loads((tmp_path / "results/plan.json").read_text())["variants"]
    content = two_variants()
    del content["variants"]["denoise_all"], content["pretraining"]["denoise"]
    plan = tmp_path / "results/plan.json"
    assert run(tmp_path, pets, content) == 0
    assert json.loads(plan.read_text())["variants"] == before
    for path in (tmp_path / "results").glob("*/denoise_all__*.json"):
        path.unlink()
    assert run(tmp_path, pets, content) == 0
    assert list(json.loads(plan.read_text())["variants"]) == ["scratch"]
    assert here == []

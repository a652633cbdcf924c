"""The ablation from its file to the JSON of its arms, on drawn pictures; its processes run here, one by one."""

import contextlib
import csv
import json
import shutil
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import yaml

from core.files import file_sha256
from data.label_fraction import label_subset
from experiments.ablate import main
from experiments.grid import child, queue
from transfer_learning.metrics import segmentation_scores

ROOT = Path(__file__).parents[1]
SMALL = {"width": 2, "batch_size": 4, "max_steps": 6, "val_every": 3, "warmup_steps": 0, "amp": "off", "device": "cpu"}


class Here:
    """Stands for the process of a run, which is over when it is looked at."""

    begun: ClassVar[list[list]] = []

    def __init__(self, commands, console, threads):
        Here.begun.append(commands)
        with Path(console).open("a") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
            self.returncode = 0
            for module, arguments in commands:
                self.returncode = self.returncode or child.importlib.import_module(module).main(arguments)

    def poll(self):
        return self.returncode


@pytest.fixture
def here(monkeypatch):
    """Run the processes here; returns the list of what began."""
    monkeypatch.setattr(queue, "start", Here)
    monkeypatch.setattr(queue, "LOOK_SECONDS", 0.0)
    Here.begun = []
    return Here.begun


def grid(**changes) -> dict:
    """Return the grid of config/ablation_demo.yaml, shrunk."""
    content = yaml.safe_load((ROOT / "config/ablation_demo.yaml").read_text())["ablation"]
    for part in ("common", "pretraining_common"):
        content[part] |= SMALL
    content |= {"fractions": [1.0], "seeds": [1, 2], "learning_rates": [0.004]}
    return {**content, **changes}


def run(folder: Path, data: Path, content: dict, *flags: str) -> int:
    """Run a grid in a folder; returns the exit code."""
    folder.mkdir(exist_ok=True)
    (folder / "grid.yaml").write_text(yaml.safe_dump({"ablation": content}, sort_keys=False))
    places = {"--config": "grid.yaml", "--output_dir": "runs", "--results_dir": "results"}
    words = [word for name, place in places.items() for word in (name, str(folder / place))]
    return main([*words, "--data_dir", str(data), *flags])


def read(folder: Path, kind: str) -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text()) for path in (folder / "results" / kind).glob("*.json")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, pets):
    """A finished grid: two variants, two rates to choose from, one fraction, two seeds."""
    folder = tmp_path_factory.mktemp("grid")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue, "start", Here)
        patch.setattr(queue, "LOOK_SECONDS", 0.0)
        Here.begun = []
        assert run(folder, pets, two_variants()) == 0
    return folder, list(Here.begun)


def two_variants(**changes) -> dict:
    content = grid(**{"learning_rates": [0.0005, 0.02], **changes})
    content["variants"] = {name: content["variants"][name] for name in ("scratch", "denoise_all")}
    return content


def test_every_arm_is_there_at_the_rate_that_val_chose(finished):
    folder, begun = finished
    arms, tuning = read(folder, "arms"), read(folder, "tuning")
    assert set(arms) == {f"{name}__1__seed_{seed}" for name in ("scratch", "denoise_all") for seed in (1, 2)}
    assert set(tuning) == {f"{name}__1__lr_{lr}" for name in ("scratch", "denoise_all") for lr in ("0.0005", "0.02")}
    for name in ("scratch", "denoise_all"):
        tried = [entry for entry in tuning.values() if entry["arm"]["variant"] == name]
        best = max(tried, key=lambda entry: entry["val_mean_iou"])
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
    names = arm["class_names"]
    matrix = np.sum(list(arm["per_image"].values()), axis=0).reshape(3, 3)
    assert segmentation_scores(matrix, names)["mean_iou"] == arm["mean_iou"]
    manifest = json.loads((pets / "manifest.json").read_text())
    tested = {image["name"] for image in manifest["images"] if image["split"] == "Test" and image["labelled"]}
    assert set(arm["per_image"]) == tested
    run_folder = next((folder / "runs/runs").glob("denoise_all__1__seed_2__lr_*"))
    with (run_folder / "training_log.csv").open() as file:
        rows = list(csv.DictReader(file))
    best = max(rows, key=lambda row: float(row["mean_iou"]))
    assert (arm["val_mean_iou"], arm["best_step"]) == (float(best["mean_iou"]), 3 * int(best["epoch"]))
    assert arm["compute"]["seconds"] == pytest.approx(sum(float(row["epoch_time"]) for row in rows))
    assert arm["compute"]["images"] == 24
    assert arm["data_sha256"] == manifest["fingerprint"]
    pretraining = read(folder, "pretraining")["denoise"]
    assert arm["pretraining"]["sha256"] == pretraining["sha256"] == arm["settings"]["pretrained_encoder_sha256"]
    assert [step for step, _ in pretraining["log"]] == [3, 6]
    assert arm["settings"]["seed"] == 2
    assert arm["settings"]["transfer"] == "all"
    assert (run_folder / "command.txt").read_text().count("python -m transfer_learning.") == 2


def test_the_parameters_are_those_of_the_network(finished):
    from transfer_learning.unet import SegmentationUNet

    folder, _ = finished
    network = SegmentationUNet(width=2)
    counted = sum(parameter.numel() for parameter in network.parameters())
    assert read(folder, "arms")["scratch__1__seed_1"]["compute"]["parameters"] == counted


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
    other.mkdir()
    manifest = json.loads((pets / "manifest.json").read_text())
    (other / "manifest.json").write_text(json.dumps({**manifest, "fingerprint": "0" * 64}))
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
    content["variants"]["gone"] = {"device": "cuda:7", "freeze": 1}
    assert run(tmp_path, pets, content) == 1
    errors = capsys.readouterr().err
    assert set(read(tmp_path, "arms")) == {"scratch__1__seed_1"}
    failures = [line for line in errors.splitlines() if line.startswith("FAILED")]
    assert len(failures) == 2
    assert f"{weights} is cut or altered: delete {weights.parent}" in failures[0]
    assert "cuda:7 does not exist" in failures[1]
    assert "console.txt" in failures[1]
    assert "error: 2 of 4 runs failed, 1 wait for them (pretraining denoise; gone, 100 %" in errors.splitlines()[-1]
    gone = tmp_path / "runs/runs/gone__1__seed_1__lr_0.004"
    assert "cuda:7 does not exist" in (gone / "failed.txt").read_text()
    content["variants"].pop("gone")
    assert run(tmp_path, pets, content, "--list") == 0
    assert sum(line.startswith("failed before") for line in capsys.readouterr().out.splitlines()) == 1
    # Once the cause is gone the same command makes up for it.
    weights.write_bytes(whole)
    here.clear()
    assert run(tmp_path, pets, content) == 0
    assert len(here) == 1
    assert set(read(tmp_path, "arms")) == {"scratch__1__seed_1", "denoise_all__1__seed_1"}


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


def test_other_weights_than_those_of_the_finished_arms_are_told(finished, pets, tmp_path, here, capsys):
    shutil.copytree(finished[0] / "results", tmp_path / "results")
    shutil.copytree(finished[0] / "runs/pretraining", tmp_path / "runs/pretraining")
    weights = tmp_path / "runs/pretraining/denoise/best_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert run(tmp_path, pets, two_variants()) == 0  # nothing needs them
    assert here == []
    (tmp_path / "results/arms/denoise_all__1__seed_2.json").unlink()
    assert run(tmp_path, pets, two_variants()) == 0
    assert capsys.readouterr().out.count("WARNING: its weights are others than those of") == 1
    arms = read(tmp_path, "arms")
    assert arms["denoise_all__1__seed_2"]["pretraining"]["sha256"] == file_sha256(weights)
    assert arms["denoise_all__1__seed_1"]["pretraining"]["sha256"] != file_sha256(weights)


def change(content: dict, **parts) -> dict:
    return {**content, **{name: {**content[name], **part} for name, part in parts.items()}}


REFUSED = [
    (grid(fractions=[0.5, 1.5]), "fraction 1.5 asks for "),
    (grid(fractions=[0.001, 0.002]), "fractions 0.001 and 0.002 mean the same 2 labelled pictures"),
    (grid(fractions=[]), "fractions is empty"),
    (grid(fractions=[0.5, 0.5]), "fractions: 0.5 is given twice"),
    (grid(seeds=[1, 2, 1]), "seeds: 1 is given twice"),
    (grid(learning_rates=[0.0]), "learning_rates: 0.0 must be above 0"),
    (grid(baseline="scrach"), "baseline 'scrach' is not among the variants; did you mean scratch?"),
    (grid(baseline="denoise_all"), "baseline denoise_all has the pretraining denoise"),
    (change(grid(), variants={"twin": {"freeze": "never"}}), "the variants scratch and twin differ in nothing"),
    (
        change(grid(), pretraining={"twin": {"pretext": "denoise"}}),
        "pretrainings denoise and twin differ in nothing",
    ),
    (
        change(grid(), variants={"a": {"pretraining": "denoize"}}),
        "unknown pretraining 'denoize'; did you mean denoise?",
    ),
    (
        change(grid(), variants={"a": {"freze": 3}}),
        "ablation.variants.a: unknown setting 'freze'; did you mean freeze?",
    ),
    (change(grid(), variants={"a": {"freeze": "now"}}), "ablation.variants.a: freeze: "),
    (change(grid(), variants={"a": {"lr": 0.1}}), "ablation.variants.a: lr is set by the grid"),
    (change(grid(), variants={"a": {"transfer": "all", "freeze": 3}}), "ablation.variants.a: transfer all"),
    (change(grid(), variants={"a": {"pretraining": "plain", "width": 4}}), "width 4, but 2 in its pretraining plain"),
    (change(grid(), variants={"a/b": {"freeze": 3}}), "the name 'a/b' becomes part of file names"),
    (change(grid(), common={"max_stps": 3}), "ablation.common: unknown setting 'max_stps'; did you mean max_steps?"),
    (change(grid(), common={"max_steps": None}), "give max_steps in common"),
    (change(grid(), common={"epochs": 0}), "ablation.variants.scratch: epochs 0 must be at least 1"),
    (
        change(grid(), pretraining_common={"perceptual_weight": 0.1}),
        "give perceptual_weight 0 there",
    ),
    (change(grid(), pretraining_common={"skip": "all"}), "ablation.pretraining_common: unknown setting 'skip'"),
    ({**grid(), "comon": {}}, "unknown setting 'comon'; did you mean common?"),
    (grid(variants={}), "has no variants"),
]


@pytest.mark.parametrize(("content", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_a_grid_that_cannot_be_is_refused_before_anything_trains(content, message, pets, tmp_path, here, capsys):
    assert run(tmp_path, pets, content) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert here == []
    assert not (tmp_path / "results").exists()


def test_an_unknown_variant_and_a_class_without_labels_are_refused(pets, tmp_path, here, capsys):
    assert run(tmp_path, pets, grid(), "--variants", "scratch", "denoise_al") == 2
    assert "unknown variant 'denoise_al'; did you mean denoise_all?" in capsys.readouterr().err
    manifest = json.loads((pets / "manifest.json").read_text())
    for image in manifest["images"]:
        image["labelled"] &= image["species"] == "dog"
    (tmp_path / "data").mkdir()
    (tmp_path / "data/manifest.json").write_text(json.dumps(manifest))
    assert run(tmp_path, tmp_path / "data", grid()) == 2
    assert "leaves no labelled picture of a cat to learn from" in capsys.readouterr().err
    assert here == []


def test_rates_come_from_the_nearest_fraction_and_labels_are_counted_as_training_does(pets, tmp_path, here):
    from experiments.grid.config import AblationConfig
    from experiments.grid.data import read_data
    from experiments.grid.plan import build_plan

    content = {name: grid()[name] for name in ("variants", "pretraining", "pretraining_common", "common")}
    plan = build_plan(AblationConfig(**content, tuned_at=(0.1, 1.0)))
    assert [plan.tuned_at(fraction) for fraction in (0.01, 0.1, 0.25, 0.33, 1.0)] == [0.1, 0.1, 0.1, 1.0, 1.0]
    manifest = json.loads((pets / "manifest.json").read_text())
    train = [image for image in manifest["images"] if image["split"] == "Train" and image["labelled"]]
    chosen = label_subset([image["name"] for image in train], [image["species"] for image in train], 0.5, 7)
    assert read_data(pets, [0.5], [7], [1.0]).num_labels[0.5, 7] == len(chosen)

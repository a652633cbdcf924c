"""Pretrainings of a seed of their own: what is trained, what arms begin with, and what the tables say of it."""

import json
import shutil

import pytest
from ablation_grid import finished_grid, grid, read, run, two_variants

from experiments.ablation.outputs import write_ablation
from experiments.grid.estimate import Speeds

PAIRED = {"pretraining_seeds": "paired"}


def output_dirs(begun):
    return [words[words.index("--output_dir") + 1].split("/")[-1] for commands in begun for _, words in commands[:1]]


@pytest.fixture(scope="module")
def paired(tmp_path_factory, pets):
    """A finished grid of two variants, two rates and two seeds, each with a phase 1 of its own."""
    folder, begun = finished_grid(tmp_path_factory.mktemp("paired"), pets, two_variants(**PAIRED))
    return folder, output_dirs(begun)


def test_each_seed_begins_with_its_own_phase_1(paired):
    folder, _ = paired
    made = read(folder, "pretraining")
    assert set(made) == {"denoise__seed_1", "denoise__seed_2"}
    assert {name: run["name"] for name, run in made.items()} == {name: name for name in made}
    assert [made[f"denoise__seed_{seed}"]["settings"]["seed"] for seed in (1, 2)] == [1, 2]
    assert made["denoise__seed_1"]["sha256"] != made["denoise__seed_2"]["sha256"]
    arms = read(folder, "arms")
    for seed in (1, 2):
        own, arm = made[f"denoise__seed_{seed}"], arms[f"denoise_all__1__seed_{seed}"]
        assert arm["pretraining"]["name"] == f"denoise__seed_{seed}"
        assert arm["pretraining"]["sha256"] == own["sha256"] == arm["settings"]["pretrained_encoder_sha256"]
        assert arms[f"scratch__1__seed_{seed}"]["pretraining"] is None
    tuned = [trial for trial in read(folder, "tuning").values() if trial["arm"]["variant"] == "denoise_all"]
    assert {trial["pretraining"]["sha256"] for trial in tuned} == {made["denoise__seed_1"]["sha256"]}
    assert json.loads((folder / "results/plan.json").read_text())["pretraining_seeds"] == "paired"


def test_a_phase_1_comes_right_before_the_first_run_that_needs_it(paired):
    _, begun = paired
    rate = begun[-1].split("__lr_")[1]
    assert begun.index("denoise__seed_1") == 2  # after the tuning of scratch
    second = begun.index("denoise__seed_2")
    assert begun[second + 1] == f"denoise_all__1__seed_2__lr_{rate}"
    assert begun[second - 1].startswith("scratch__1__seed_2__lr_")
    assert len(begun) == 2 + 4 + 4


def test_nothing_is_made_twice_and_only_what_is_lost_again(paired, pets, tmp_path, here, capsys):
    shutil.copytree(paired[0] / "results", tmp_path / "results")
    assert run(tmp_path, pets, two_variants(**PAIRED)) == 0
    assert here == []
    assert "all 10 runs are done" in capsys.readouterr().out
    lost = tmp_path / "results/arms/denoise_all__1__seed_2.json"
    before = json.loads(lost.read_text())
    lost.unlink()
    assert run(tmp_path, pets, two_variants(**PAIRED), "--list") == 0
    lines = [line.split("  ")[-1] for line in capsys.readouterr().out.splitlines() if line.startswith("to do")]
    assert lines == ["pretraining denoise__seed_2", "denoise_all, 100 % of the labels, seed 2"]
    assert run(tmp_path, pets, two_variants(**PAIRED)) == 0
    assert output_dirs(here)[0] == "denoise__seed_2"
    assert len(here) == 2
    assert json.loads(lost.read_text())["per_image"] == before["per_image"]
    assert "WARNING" not in capsys.readouterr().err


def test_one_speed_tells_of_all_seeds(paired, pets, tmp_path, monkeypatch, capsys):
    shutil.copytree(paired[0] / "results", tmp_path / "results")
    for name in ("arms/denoise_all__1__seed_2", "pretraining/denoise__seed_2"):
        (tmp_path / f"results/{name}.json").unlink()
    monkeypatch.setattr(Speeds, "is_guess", lambda self, work: False)
    assert run(tmp_path, pets, two_variants(**PAIRED), "--list") == 0
    said = capsys.readouterr().out
    assert "8 of 10 runs done; left: about " in said
    assert "?" not in said


@pytest.mark.parametrize(
    ("there", "now", "message"),
    [
        (PAIRED, {}, "pretraining denoise__seed_1 there, denoise now"),
        ({}, PAIRED, "pretraining denoise there, denoise__seed_1 now"),
    ],
)
def test_arms_of_the_other_kind_are_refused(paired, pets, tmp_path, here, capsys, there, now, message):
    shutil.copytree(paired[0] / "results", tmp_path / "results")
    if not there:  # as a shared grid would have left them
        for path in (tmp_path / "results").glob("*/denoise_all__*.json"):
            path.write_text(
                path.read_text().replace("denoise__seed_1", "denoise").replace("denoise__seed_2", "denoise")
            )
        shutil.rmtree(tmp_path / "results/pretraining")
    assert run(tmp_path, pets, two_variants(**now)) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert here == []


def test_a_phase_1_of_other_settings_or_another_seed_is_refused(paired, pets, tmp_path, here, capsys):
    shutil.copytree(paired[0] / "results", tmp_path / "results")
    content = two_variants(**PAIRED)
    content["pretraining_common"] = {**content["pretraining_common"], "lr": 0.5}
    assert run(tmp_path, pets, content) == 2
    assert ": lr 0.002 there, 0.5 now" in capsys.readouterr().err
    path = tmp_path / "results/pretraining/denoise__seed_2.json"
    about = json.loads(path.read_text())
    about["settings"]["seed"] = 1
    path.write_text(json.dumps(about))
    assert run(tmp_path, pets, two_variants(**PAIRED)) == 2
    assert f"{path} comes from other settings (pretraining denoise__seed_2: seed 1 there" in capsys.readouterr().err
    assert here == []


@pytest.mark.parametrize("place", ["pretraining_common", "pretraining.denoise"])
def test_a_pretraining_cannot_have_two_seeds(pets, tmp_path, here, capsys, place):
    content = two_variants(**PAIRED)
    own = content["pretraining_common"] if place == "pretraining_common" else content["pretraining"]["denoise"]
    own["seed"] = 5
    assert run(tmp_path, pets, content) == 2
    assert f"ablation.{place}: seed 5, but with pretraining_seeds paired each" in capsys.readouterr().err
    assert run(tmp_path, pets, {**content, "pretraining_seeds": "shared"}, "--list") == 0


def test_the_tables_say_whether_seeds_of_phase_1_are_in_the_intervals(paired, tmp_path):
    shutil.copytree(paired[0] / "results", tmp_path / "results")
    own = (
        "Each phase 1 was trained once a seed, and arms begin with that of their seed: the intervals hold what phase 1"
    )
    text = write_ablation(tmp_path / "results", tmp_path)
    assert own in text
    assert "Each phase 1 was trained once," not in text
    assert "denoise (one a seed)" in text
    assert "was made 2 times with different weights" not in text
    # Beside another variant whose arms share one.
    plan = json.loads((tmp_path / "results/plan.json").read_text())
    plan["variants"]["older"] = {**plan["variants"]["denoise_all"], "title": "Older"}
    (tmp_path / "results/plan.json").write_text(json.dumps(plan))
    for seed in (1, 2):
        path = tmp_path / f"results/arms/denoise_all__1__seed_{seed}.json"
        arm = json.loads(path.read_text())
        arm["arm"]["variant"], arm["pretraining"]["name"], arm["pretraining"]["sha256"] = "older", "denoise", "e" * 64
        path.with_name(f"older__1__seed_{seed}.json").write_text(json.dumps(arm))
    text = write_ablation(tmp_path / "results", tmp_path)
    assert f"denoise_all: {own[0].lower()}{own[1:]}" in text
    assert "older: each phase 1 was trained once, and all arms of a variant begin with it" in text


def test_seeds_of_some_fractions_have_their_phase_1_too(pets, tmp_path, capsys):
    content = grid(fractions=[0.5, 1.0], more_seeds={0.5: [7]}, **PAIRED)
    assert run(tmp_path, pets, content, "--list", "--variants", "denoise_all") == 0
    names = [line.split("  ")[-1] for line in capsys.readouterr().out.splitlines() if line.startswith("to do")]
    assert [name for name in names if name.startswith("pretraining")] == [
        f"pretraining denoise__seed_{seed}" for seed in (1, 2, 7)
    ]
    assert names[-2:] == ["pretraining denoise__seed_7", "denoise_all, 50 % of the labels, seed 7"]


def test_a_grid_grows_by_fractions_whose_rates_are_tuned_on_their_own(paired, pets, tmp_path, here, capsys):
    shutil.copytree(paired[0] / "results", tmp_path / "results")
    more = two_variants(**PAIRED, fractions=[0.5, 1.0], tuned_at=[0.5, 1.0])
    assert run(tmp_path, pets, more, "--list") == 0
    done = [line for line in capsys.readouterr().out.splitlines() if line.startswith("done")]
    assert sum("100 %" in line for line in done) == 8  # four rates tried and four arms
    assert here == []
    # Where their own rates would be tuned elsewhere now, the arms that are there do not belong to the grid.
    assert run(tmp_path, pets, two_variants(**PAIRED, fractions=[0.5, 1.0], tuned_at=[0.5]), "--list") == 2
    assert "the arms' rates were chosen by that grid" in capsys.readouterr().err


def test_a_single_rate_is_chosen_nowhere_whatever_the_plans_say(paired, pets, tmp_path, here, capsys):
    results = tmp_path / "results"
    shutil.copytree(paired[0] / "results", results)
    shutil.rmtree(results / "tuning")
    rate = json.loads((results / "arms/scratch__1__seed_1.json").read_text())["arm"]["learning_rate"]
    plan = json.loads((results / "plan.json").read_text())
    (results / "plan.json").write_text(json.dumps({**plan, "learning_rates": [rate]}))
    for path in results.glob("arms/*.json"):
        if json.loads(path.read_text())["arm"]["learning_rate"] != rate:
            path.unlink()
    assert run(tmp_path, pets, two_variants(**PAIRED, learning_rates=[rate], tuned_at=[0.5]), "--list") == 0
    assert "2 of 6 runs done" in capsys.readouterr().out

"""Variants of an ablation that another's arms teach: the order of runs, whose weights, what they cost, refusals."""

import re
import shutil

import pytest
from ablation_grid import finished_grid, grid, read, run

from core.errors import UserError
from core.files import file_sha256
from data.opened import open_data
from data.prepare import main as prepare
from experiments.architectures.at_work import measured_as
from experiments.grid import arms
from experiments.grid.config import AblationConfig
from experiments.grid.planning.plan import build_plan
from transfer_learning.description import counted
from transfer_learning.network import SegmentationUNet

SIZE = (40, 40)  # of the pets in conftest.py
TAUGHT = {"unlabelled": "self_training", "unlabelled_batch": 4, "threshold": 0.0, "control": True}


def of_rounds(**changes) -> dict:
    """Return a grid in which two rounds of self-training follow a run from scratch, with half of the labels."""
    content = grid(**{"seeds": [1], "fractions": [0.5], "tuned_at": [0.5], "learning_rates": [0.0005, 0.02], **changes})
    content["pretraining"] = {}
    content["common"] |= {"save_every": 1}
    content["variants"] = {
        "scratch": {},
        "first": {"taught_by": "scratch", "stable": 0.5, "unlabelled_pictures": "species=cat", **TAUGHT},
        "second": {"taught_by": "first", "width": 4, **TAUGHT},
    }
    return content


@pytest.fixture(scope="module")
def finished(tmp_path_factory, pets):
    folder, begun = finished_grid(tmp_path_factory.mktemp("taught"), pets, of_rounds())
    return folder, [commands[0][1] for commands in begun]


def test_each_round_learns_from_the_arm_before(finished):
    folder, begun = finished
    arms = read(folder, "arms")
    for student, teacher in (("first", "scratch"), ("second", "first")):
        arm, before = arms[f"{student}__0.5__seed_1"], arms[f"{teacher}__0.5__seed_1"]
        assert arm["teacher"]["variant"] == teacher
        assert arm["teacher"]["sha256"] == before["provenance"]["weights_sha256"]
        assert arm["settings"]["teacher_weights_sha256"] == before["provenance"]["weights_sha256"]
    assert arms["scratch__0.5__seed_1"]["teacher"] is None
    tuned = [trial for trial in read(folder, "tuning").values() if trial["arm"]["variant"] == "second"]
    assert len(tuned) == 2
    assert {trial["teacher"]["variant"] for trial in tuned} == {"first"}
    # The rates of a round are tried once the arm that teaches it is there.
    places = [words[words.index("--output_dir") + 1].split("/")[-1].split("__")[0] for words in begun]
    assert places == ["scratch", "scratch", "scratch", "first", "first", "first", "second", "second", "second"]


def test_an_arm_costs_what_its_teachers_cost(finished, pets):
    folder, _ = finished
    arms = {name.split("__")[0]: arm for name, arm in read(folder, "arms").items()}
    images = arms["scratch"]["compute"]["images"]
    assert arms["scratch"]["compute"]["passes"] == 3 * images == 3 * 6 * 4
    cats = open_data(pets, None).splits("Train")[0].tags["species"].count("cat")
    # A step of 4 labelled pictures and 4 others; three checkpoints and the teacher look at every cat once.
    assert arms["first"]["compute"]["passes"] == 6 * (3 * 4 + 4 * 4) + 4 * cats
    assert arms["first"]["teacher"]["passes"] == 72
    assert arms["second"]["compute"]["passes"] == 6 * (3 * 4 + 4 * 4)
    assert arms["second"]["teacher"]["passes"] == 72 + arms["first"]["compute"]["passes"]
    # What the teacher looks at costs what its network takes, of whatever width that is.
    narrow, wide = (counted(SegmentationUNet(width=width).eval(), SIZE).multiply_adds for width in (2, 4))
    assert arms["first"]["compute"]["multiply_adds"] == arms["first"]["compute"]["passes"] * narrow
    assert arms["first"]["teacher"]["multiply_adds"] == 72 * narrow
    assert arms["second"]["compute"]["multiply_adds"] == 6 * (4 * narrow + (3 * 4 + 3 * 4) * wide)
    assert arms["second"]["teacher"]["multiply_adds"] == arms["second"]["teacher"]["passes"] * narrow


@pytest.mark.all
def test_a_teacher_whose_weights_are_lost_is_trained_again(finished, pets, tmp_path, here, capsys):
    shutil.copytree(finished[0] / "results", tmp_path / "results")
    lost = tmp_path / "results/arms/second__0.5__seed_1.json"
    kept = {path: path.read_bytes() for path in (tmp_path / "results/arms").glob("*.json") if path != lost}
    lost.unlink()
    assert run(tmp_path, pets, of_rounds(), "--list") == 0
    lines = [line.split("  ")[-1] for line in capsys.readouterr().out.splitlines() if line.startswith("to do")]
    assert lines == [f"{name}, 50 % of the labels, seed 1" for name in ("scratch", "first", "second")]
    assert run(tmp_path, pets, of_rounds()) == 0
    assert len(here) == 3
    assert all(path.read_bytes() == content for path, content in kept.items())
    weights = next((tmp_path / "runs/runs").glob("first__*")) / "best_model.safetensors"
    assert read(tmp_path, "arms")["second__0.5__seed_1"]["teacher"]["sha256"] == file_sha256(weights)


@pytest.mark.parametrize(
    ("variants", "problem"),
    [
        (
            {"a": {}, "c": {"taught_by": "b", **TAUGHT}, "b": {"flip": 0.0, "control": True}},
            "taught_by b is none of the variants above it",
        ),
        ({"a": {}, "b": {"taught_by": "a"}}, "ablation.variants.b: unlabelled self_training and taught_by go together"),
        ({"a": {}, "b": TAUGHT}, "ablation.variants.b: unlabelled self_training and taught_by go together"),
        (
            {"a": {}, "b": {"outside_weights": True, "flip": 0.0, "control": True}, "c": {"taught_by": "b", **TAUGHT}},
            "taught_by b, which has outside weights: say outside_weights true",
        ),
        (
            {"a": {"save_every": 0}, "b": {"taught_by": "a", "stable": 0.5, **TAUGHT}},
            "stable 0.5 goes by the checkpoints of a, which keeps none",
        ),
    ],
)
def test_what_cannot_teach_is_refused(variants, problem):
    content = of_rounds(variants=variants, baseline="a")
    content["variants"] = variants
    config = AblationConfig(**{name: value for name, value in content.items() if name != "data_dir"})
    with pytest.raises(UserError, match=problem):
        build_plan(config)


@pytest.mark.parametrize(
    ("part", "settings", "problem"),
    [
        (
            "pretraining",
            {"pictures": "species=lynx"},
            "ablation.pretraining.denoise: .* no picture of Train has the species 'lynx'",
        ),
        (
            "variants",
            {"unlabelled": "consistency", "unlabelled_pictures": "colour=red"},
            "ablation.variants.denoise_all: .* no tag 'colour'",
        ),
    ],
)
def test_pools_are_looked_at_before_anything_trains(part, settings, problem, pets, tmp_path, here, capsys):
    content = grid(seeds=[1])
    content[part]["denoise" if part == "pretraining" else "denoise_all"] |= (
        {"control": True, **settings} if part == "variants" else settings
    )
    assert run(tmp_path, pets, content) == 2
    assert re.search(problem, capsys.readouterr().err)
    assert here == []


def test_a_pool_whose_masks_are_all_learned_from_is_refused_before_anything_trains(tmp_path, here, capsys):
    flags = "--dataset synthetic --num_images 20 --labelled_fraction 1 --size 40"
    assert prepare([*flags.split(), "--output_dir", str(tmp_path / "data")]) == 0
    content = grid(seeds=[1], fractions=[0.5, 1.0])
    content["variants"]["taught"] = {"unlabelled": "consistency", "control": True}
    assert run(tmp_path, tmp_path / "data", content) == 2
    problem = "ablation.variants.taught: it learns from pictures without masks, and at fraction 1 the masks of all"
    assert problem in capsys.readouterr().err
    assert here == []
    assert run(tmp_path, tmp_path / "data", {**content, "fractions": [0.5], "tuned_at": [0.5]}, "--list") == 0


def test_a_taught_run_is_timed_without_its_teacher():
    """A few steps of it, and its network on a bench, need no teacher that is yet to be trained."""
    content = {name: value for name, value in of_rounds().items() if name != "data_dir"}
    plan = build_plan(AblationConfig(**content))
    variant = plan.variants["first"]
    measured = measured_as(variant.config, "cpu")
    assert (measured.unlabelled, measured.teacher_weights, measured.stable) == ("consistency", None, 1.0)
    own = arms.TestedArm(plan, None, variant, 0.5, 1).untransferred
    assert own == {"transfer": "encoder", "unlabelled": "consistency", "stable": 1.0}


def test_a_teacher_whose_checkpoints_are_lost_is_told_before_anything_trains(finished, pets, tmp_path, here, capsys):
    for name in ("results", "runs"):
        shutil.copytree(finished[0] / name, tmp_path / name)
    (tmp_path / "results/arms/first__0.5__seed_1.json").unlink()
    # Another pupil, which needs the teacher's weights alone, is looked at before it.
    content = of_rounds()
    content["variants"] = {
        "scratch": {},
        "all": {"taught_by": "scratch", **TAUGHT},
        **content["variants"],
    }
    runs = tmp_path / "runs/runs"
    for folder in (*runs.glob("scratch__*/checkpoints"), *runs.glob("first__*")):
        shutil.rmtree(folder)
    assert run(tmp_path, pets, content) == 2
    error = capsys.readouterr().err
    assert "goes by the checkpoints of scratch, 50 % of the labels, seed 1" in error
    assert "has none: delete that folder, and the same command trains it again" in error
    assert here == []


def test_what_has_no_say_in_a_variant_is_told(pets, tmp_path, capsys):
    content = grid(seeds=[1])
    content["variants"]["taught"] = {"unlabelled": "consistency", "stable": 0.5, "control": True}
    content["pretraining"]["denoise"] |= {"mask_patch": 4}
    assert run(tmp_path, pets, content, "--list") == 0
    told = capsys.readouterr().err
    assert "note: ablation.variants.taught: without effect: stable with --unlabelled consistency\n" in told
    assert "note: ablation.pretraining.denoise: without effect: mask_patch without --pretext mask" in told


def test_a_rise_longer_than_the_run_is_told(pets, tmp_path, capsys):
    content = grid(seeds=[1])
    content["variants"]["slow"] = {"warmup_steps": 9999, "control": True}
    content["pretraining"]["denoise"] |= {"warmup_steps": 9998, "max_steps": None, "epochs": 2, "batch_size": 8}
    assert run(tmp_path, pets, content, "--list") == 0
    told = capsys.readouterr().err
    assert "note: ablation.variants.slow: the run has 6 steps, --warmup_steps 9999: its rate never reaches" in told
    assert "note: ablation.pretraining.denoise: the run has 8 steps, --warmup_steps 9998: its rate never" in told
    assert told.count("never reaches") == 2

"""Recipes: what their files say, the steps that come of it, and one followed from drawn pictures to a page."""

import dataclasses
import json
import shlex
from importlib import import_module

import pytest
import yaml

from ae_pretrained.__main__ import main
from core.calling import commands_called
from core.cli import COMMANDS
from core.config import from_mapping, read_section
from experiments import recipe as module
from experiments.recipe import CONFIGS, RecipeConfig
from experiments.recipe_steps import merged, settings_of, steps_of, usual_steps

RECIPES = [path for path in sorted(CONFIGS.glob("*.yaml")) if read_section(path, "recipe")]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
@pytest.mark.parametrize("quick", [False, True], ids=["whole", "quick"])
def test_a_recipe_says_what_it_needs_and_every_section_can_be_read(path, quick, tmp_path):
    recipe = from_mapping(RecipeConfig, read_section(path, "recipe"), path.stem)
    recipe = dataclasses.replace(recipe, quick=quick and recipe.shortened is not None, input="photo.jpg")
    assert recipe.title
    assert recipe.time != "?"
    content = settings_of(path, recipe)
    for command in COMMANDS:
        if command.section in content:
            from_mapping(getattr(import_module(command.module), command.settings), content[command.section], path.stem)
    steps = list(steps_of(recipe, content, tmp_path))
    # What a section says is followed, and each step is a command whose flags are settings.
    assert set(content) <= {command.section for words in steps for command in commands_called(words[0])}
    for name, *words in steps:
        known = {
            field.name
            for command in commands_called(name)
            for field in dataclasses.fields(getattr(import_module(command.module), command.settings))
        }
        assert {word[2:].removeprefix("no_") for word in words if word.startswith("--")} <= known | {"config"}
    assert not any("{here}" in word for words in steps for word in words)


def test_sections_say_the_steps_where_the_file_gives_none():
    both = list(usual_steps({"data": {}, "reconstruction": {}, "transfer_learning": {}}))
    assert [shlex.split(step)[0] for step in both] == [
        "prepare",
        "pretrain",
        *["train"] * 2,
        *["evaluate"] * 3,
        "report",
    ]
    assert [step for step in both if "--pretrained_encoder" in step] == [both[3]]
    volumes = [step for step in usual_steps({"reconstruction": {"patch": 16}}) if step.startswith("evaluate")]
    assert len(volumes) == 2  # pretraining on volumes has no scores of its own
    assert "autoencoder" not in " ".join(volumes)
    alone = [shlex.split(step)[0] for step in usual_steps({"transfer_learning": {}})]
    assert alone == ["train", "evaluate", "report"]
    assert [shlex.split(step)[0] for step in usual_steps({"data": {}, "ablation": {}})] == [
        "prepare",
        "ablate",
        "tables",
    ]


def test_shortened_settings_replace_at_any_depth():
    below = {"ablation": {"seeds": [1, 2], "common": {"width": 8, "max_steps": 900}}, "data": {"size": 64}}
    above = {"ablation": {"seeds": [1], "common": {"max_steps": 4}}}
    assert merged(below, above) == {
        "ablation": {"seeds": [1], "common": {"width": 8, "max_steps": 4}},
        "data": {"size": 64},
    }
    assert below["ablation"]["seeds"] == [1, 2]


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A recipe of one's own, whose commands are only noted; returns its file, and what was called with what codes."""
    called, codes = [], []

    class Module:
        def main(self, words):
            called.append(words)
            return codes.pop(0) if codes else 0

    monkeypatch.setattr(module, "import_module", lambda name: called.append(name) or Module())
    content = {"recipe": {"title": "One", "time": "now", "shortened": {"data": {"size": 33}}}}
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({**content, "data": {"size": 64}, "transfer_learning": {"width": 2}}))
    return path, called, codes


def test_commands_follow_each_other_until_one_does_not_end_well(own, tmp_path, capsys):
    path, called, codes = own
    here = ["--output_dir", str(tmp_path / "here")]
    codes += [0, 2]
    assert main(["recipe", str(path), *here, "--archives", "somewhere"]) == 2
    assert called[::2] == ["data.prepare", "transfer_learning.train"]
    assert called[1][-2:] == ["--archives", "somewhere"]
    assert "--archives" not in called[3]
    said = capsys.readouterr().err
    assert "stopped in the step train: the same recipe goes on there" in said
    assert "error:" not in said  # which a step says itself
    for stopped in (130, 143):
        codes[:] = [0, stopped]
        assert main(["recipe", str(path), *here]) == stopped
        assert "stopped: the same recipe goes on there" in capsys.readouterr().err
    del called[:]
    codes[:] = [0, 0, 0]
    called_before = len(called)
    assert main(["recipe", str(path), *here, "--quick"]) == 2
    assert "holds the recipe with other settings" in capsys.readouterr().err
    assert len(called) == called_before


def test_quick_reads_the_shortened_settings(own, tmp_path):
    path, _, codes = own
    codes += [1]
    assert main(["recipe", str(path), "--quick", "--output_dir", str(tmp_path / "here")]) == 1
    assert yaml.safe_load((tmp_path / "here/recipe.yaml").read_text())["data"] == {"size": 33}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a recipe: ae-pretrained recipe shapes_unet"),
        (["shapes_unit"], "unknown recipe shapes_unit; did you mean shapes_unet? (--list says which there are)"),
        (["model_config"], "has no section recipe with a title"),
        (["nowhere.yaml"], "config file nowhere.yaml does not exist"),
        (["--quick", "photo_deeplab", "--input", "a.jpg"], "photo_deeplab.yaml has no `shortened` settings"),
        (["--output_dir", "here", "Shapes_unet.yml"], "config file Shapes_unet.yml does not exist"),
    ],
)
def test_what_is_no_recipe_is_said_in_a_line(words, said, capsys):
    assert main(["recipe", *words]) == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert errors.count("error:") == 1


def test_every_recipe_is_listed(capsys):
    assert main(["recipe", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [path.stem for path in RECIPES]


@pytest.mark.all
def test_the_beginners_recipe_goes_from_nothing_to_a_page_and_again(tmp_path, capsys):
    flags = ["recipe", "shapes_unet", "--quick", "--output_dir", str(tmp_path / "here")]
    assert main(flags) == 0
    results = json.loads((tmp_path / "here/results/evaluation_results.json").read_text())
    assert set(results["classes"]) == {"background", "shape"}
    assert (tmp_path / "here/report.html").stat().st_size > 10_000
    capsys.readouterr()
    assert main(flags) == 0
    assert capsys.readouterr().out.count("nothing to do") >= 3


def test_an_own_picture_and_weights_stand_where_the_recipe_names_them(tmp_path, monkeypatch, capsys):
    called = []
    monkeypatch.setattr(module, "_take", called.append)
    assert main(["recipe", "photo_deeplab", "--output_dir", str(tmp_path)]) == 2
    assert "--input photo.jpg" in capsys.readouterr().err
    assert main(["recipe", "photo_deeplab", "--output_dir", str(tmp_path), "--input", "my photo.jpg"]) == 0
    assert called[0][:5] == ["predict", "--model_path", "torchvision:deeplabv3_resnet101", "--input", "my photo.jpg"]
    own = ["--input", "a.jpg", "--weights", "w.safetensors"]
    assert main(["recipe", "photo_deeplab", "--output_dir", str(tmp_path), *own]) == 0
    assert called[1][2] == "w.safetensors"


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({}, "the recipe has neither steps nor sections that say what there is to do"),
        (
            {"steps": ["tran --width 2"]},
            "the step 'tran --width 2' is no command (unknown command tran; did you mean train?",
        ),
        ({"steps": ["train '"]}, "is no command (No closing quotation)"),
        ({"steps": ["recipe own.yaml"]}, "the step 'recipe own.yaml' is a recipe: write that one's steps here"),
        (
            {"steps": ["train --encoder_weights {weight}"]},
            "{weight} stands for nothing; did you mean {weights}? (there are",
        ),
    ],
)
def test_steps_that_cannot_be_taken_are_refused_before_the_first(recipe, said, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "_take", pytest.fail)
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({"recipe": {"title": "Own", **recipe}}))
    assert main(["recipe", str(path), "--output_dir", str(tmp_path / "here")]) == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert errors.count("\n") == 1


def test_a_section_that_no_step_reads_is_told_and_its_words_stand_for_something(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "_take", lambda words: None)
    path = tmp_path / "own.yaml"
    content = {"recipe": {"title": "Own", "steps": ["describe"]}, "describe": {"width": 2}, "data": {"size": 64}}
    path.write_text(yaml.safe_dump(content))
    assert main(["recipe", "--output_dir", str(tmp_path / "here"), str(path)]) == 0
    assert capsys.readouterr().err == "note: without effect: data: no step reads what stands there\n"
    path.write_text(yaml.safe_dump({**content, "data": {"images": "{here}/pictures"}}))
    assert main(["recipe", str(path), "--output_dir", str(tmp_path / "there")]) == 2
    assert "{here} stands for nothing" in capsys.readouterr().err


def test_a_name_is_found_where_it_stands_and_beside_what_is_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text("")
    assert str(module.file_of("own.yaml")) == "own.yaml"
    assert module.file_of("shapes_unet") == CONFIGS / "shapes_unet.yaml"
    with pytest.raises(module.UserError, match=r"did you mean shapes_unet\?"):
        module.file_of("config/shapes_unet.yaml")
    with pytest.raises(module.UserError, match=r"unknown recipe own; did you mean own.yaml\?"):
        module.file_of("own")


def test_nothing_is_left_of_a_recipe_whose_first_step_is_refused(tmp_path, capsys):
    made = tmp_path / "runs" / "made"
    assert main(["recipe", "shapes_unet", "--quick", "--output_dir", str(made), "--archives", str(tmp_path)]) == 2
    assert "--archives has no meaning for --dataset shapes" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

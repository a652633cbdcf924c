"""Output of one kind never mixes with that of another, and a refusal leaves no folder behind."""

import dataclasses
import importlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.cli import COMMANDS
from core.errors import UserError
from core.filing import kinds
from core.filing.kinds import held, require_places
from core.filing.writing import sole_writer
from core.run.folder import RunFolder

MARKS = {
    kinds.PREPARED: ("manifest.json", '{"format_version": 2}'),
    kinds.PREPARATION: ("settings.json", '{"dataset": "folder"}'),
    kinds.PREDICTION: ("predictions.json", '{"num_pictures": 1}'),
    kinds.EVALUATION: ("reconstruction_metrics.json", "{}"),
    kinds.RUN: ("training_config.json", "{}"),
    kinds.ABLATION: ("plan.json", '{"format": "ablation plan 2"}'),
    kinds.SUGGESTION: ("suggestion.json", '{"format": "suggestion 1"}'),
}
# What may lie beside what, in one folder: everything else is refused.
BESIDE = {
    kinds.RUN: {kinds.RUN, kinds.SUGGESTION},
    kinds.EVALUATION: {kinds.EVALUATION, kinds.RUN, kinds.ABLATION, kinds.SUGGESTION},
    kinds.PREDICTION: {kinds.PREDICTION, kinds.RUN, kinds.ABLATION, kinds.SUGGESTION},
    kinds.ABLATION: {kinds.ABLATION, kinds.RUN, kinds.EVALUATION, kinds.PREDICTION, kinds.SUGGESTION},
    kinds.EXPORT: {kinds.ABLATION, kinds.RUN, kinds.EVALUATION, kinds.PREDICTION, kinds.SUGGESTION},
    kinds.FOLDERS: {kinds.ABLATION, kinds.RUN, kinds.EVALUATION, kinds.PREDICTION, kinds.SUGGESTION},
    kinds.SUGGESTION: {kinds.ABLATION, kinds.RUN, kinds.EVALUATION, kinds.PREDICTION, kinds.SUGGESTION},
}


def folder_of(path: Path, kind: str) -> Path:
    name, content = MARKS[kind]
    path.mkdir(parents=True)
    (path / name).write_text(content)
    return path


def refused(path: Path, what: str) -> str | None:
    try:
        require_places(SimpleNamespace(output_dir=path, writes={"output_dir": what}))
    except UserError as error:
        return str(error)
    return None


@pytest.mark.parametrize("there", MARKS)
def test_what_may_lie_beside_what(tmp_path, there):
    folder = folder_of(tmp_path / "there", there)
    assert [*held(folder)] == [there]
    for what, allowed in BESIDE.items():
        said = refused(folder, what)
        assert (said is None) == (there in allowed), (what, said)
        assert said is None or said.endswith("choose another --output_dir")
        # Below, prepared data alone are no place for others, at any depth and through links.
        (folder / "deep").mkdir(exist_ok=True)
        (tmp_path / what).symlink_to(folder / "deep")
        inside = there in (kinds.PREPARED, kinds.PREPARATION)
        for below in (folder / "x", folder / "deep/x/y", tmp_path / what / "x"):
            assert (refused(below, what) is not None) == inside, (what, below)
    # Preparing refuses itself what its own folder holds; in no other one it may lie.
    assert refused(folder, kinds.PREPARED) is None
    assert there in str(refused(folder / "x/y", kinds.PREPARED))


def test_a_file_that_a_setting_names_to_be_read_is_never_written(tmp_path):
    (tmp_path / "page.html").write_text("results")
    (tmp_path / "link.html").symlink_to(tmp_path / "page.html")
    for given in (tmp_path / "page.html", (str(tmp_path / "x"), str(tmp_path / "link.html"))):
        config = SimpleNamespace(runs=given, output=tmp_path / "page.html", writes={"output": kinds.A_FILE})
        with pytest.raises(UserError, match=r"is read by this command \(--runs\): choose another --output"):
            require_places(config)
    require_places(SimpleNamespace(runs=(tmp_path,), output=tmp_path / "page.html", writes={"output": kinds.A_FILE}))


def test_other_peoples_files_of_these_names_are_no_reason(tmp_path):
    (tmp_path / "manifest.json").write_text('{"name": "a web page"}')
    (tmp_path / "plan.json").write_text("{}")
    (tmp_path / "training_config.json").mkdir()
    assert [refused(tmp_path / part, what) for part in ("", "x") for what in BESIDE] == [None] * 2 * len(BESIDE)


def contents(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_no_command_writes_into_prepared_data(pets, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = contents(pets)
    tried = 0
    for command in COMMANDS:
        module = importlib.import_module(command.module)
        settings = getattr(module, command.settings)
        for flag in getattr(settings, "writes", {}):
            place = pets / ("report.png" if flag in ("output", "preview") else "Train")
            words = ["--images", str(tmp_path)] if command.name == "inspect" else []
            assert module.main([*words, f"--{flag}", str(place)]) == 2, command
            error = capsys.readouterr().err
            assert error.count("\n") == 1
            assert "prepared pictures" in error
            assert f"choose another --{flag}" in error
            tried += 1
    assert tried >= 9
    assert contents(pets) == before
    assert contents(tmp_path) == set()


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("transfer_learning.predict", ["--model_path", "nowhere", "--input", "a.png", "--output_dir", "new/deep"]),
        ("transfer_learning.evaluate", ["--model_path", "nowhere", "--output_dir", "new/deep"]),
        ("reconstruction.evaluate", ["--model_path", "nowhere", "--output_dir", "new"]),
        ("data.inspect", ["--images", "nowhere", "--preview", "new/deep/a.png"]),
        ("data.prepare", ["--dataset", "folder", "--images", "nowhere", "--output_dir", "new/deep/data"]),
    ],
)
def test_a_refusal_leaves_no_folder(module, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").touch()
    assert importlib.import_module(module).main(words) == 2
    assert "nowhere" in capsys.readouterr().err
    assert contents(tmp_path) == {"a.png"}


def test_only_what_was_made_goes_again(tmp_path):
    (tmp_path / "mine").mkdir()
    for folder in (tmp_path / "mine", tmp_path / "mine/new/deep"):
        with pytest.raises(ValueError, match="refused"), sole_writer(folder):
            raise ValueError("refused")
    assert contents(tmp_path) == {"mine"}
    with sole_writer(tmp_path / "mine/new/deep"):
        (tmp_path / "mine/new/a.txt").touch()
    assert contents(tmp_path) == {"mine", "mine/new", "mine/new/a.txt"}


def test_a_run_that_is_not_there_cannot_be_extended_and_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match="no run that --extend_to could make longer"):
        RunFolder(tmp_path / "run", {"identity": {"extend_to": 4}}, ["epoch"])
    assert contents(tmp_path) == set()


def test_settings_name_fields_and_kinds():
    known = {*MARKS, kinds.A_FILE, kinds.EXPORT, kinds.FOLDERS}
    for command in COMMANDS:
        settings = getattr(importlib.import_module(command.module), command.settings)
        fields = {field.name for field in dataclasses.fields(settings)}
        for flag, what in getattr(settings, "writes", {}).items():
            assert flag in fields
            assert what in known

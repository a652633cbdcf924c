"""All commands under one name, and what users import."""

import dataclasses
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Union, get_args, get_origin, get_type_hints

import pytest
import torch
from sample_header import sample_header

import ae_pretrained
from ae_pretrained.__main__ import main
from core.cli import COMMANDS, SECTIONS, called_as, subcommands
from core.config import kind_of
from core.filing.yaml_file import read_yaml
from core.headers.header import EXPORTED
from core.weights import save_weights
from transfer_learning.inference.exported import KINDS

ROOT = Path(__file__).parents[2]
NAMES = ["prepare", "inspect", "pretrain", "train", "evaluate", "predict", "app", "export", "push", "describe"]
NAMES += ["convert", "ablate", "networks", "recipe", "crossval", "advise", "suggest", "config", "tables", "report"]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.module)
def test_the_table_says_what_each_command_reads(command, monkeypatch):
    module = import_module(command.module)
    seen = []
    monkeypatch.setattr(module, "run_command", lambda *given, section, **rest: seen.append((*given[:2], section)) or 0)
    assert module.main([]) == 0
    assert seen == [(command.module, getattr(module, command.settings), command.section)]
    assert dataclasses.is_dataclass(getattr(module, command.settings))


def test_names_and_sections_are_distinct():
    assert list(subcommands()) == NAMES
    assert len(set(SECTIONS)) == len(SECTIONS) == len({command.module for command in COMMANDS})
    for commands in subcommands().values():
        assert len({command.help for command in commands}) == 1


def test_help_lists_the_commands_with_a_line_each(capsys):
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, commands in subcommands().items():
        assert [line for line in lines if line.startswith(f"  {name} ")] == [f"  {name:<10}{commands[0].help}"]
    assert max(map(len, lines)) <= 120
    assert main([]) == 2


def test_a_wrong_name_is_answered_with_the_nearest(capsys):
    assert main(["trian", "--lr", "1"]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: unknown command trian; did you mean train? (there are prepare, inspect, ")
    assert errors.count("\n") == 1


@pytest.mark.parametrize("name", [name for name in NAMES if name != "evaluate"])
def test_help_shows_how_the_command_was_called(name, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/ae-pretrained", name, "--help"])
    assert main() == 0
    assert f"usage: ae-pretrained {name} " in capsys.readouterr().out
    assert called_as.get() is None
    assert import_module(subcommands()[name][0].module).main(["--help"]) == 0
    assert f"usage: python -m {subcommands()[name][0].module} " in capsys.readouterr().out


def test_exit_codes_and_errors_are_those_of_the_command(capsys):
    assert main(["train", "--epohcs", "3"]) == 2
    assert "unknown flag --epohcs; did you mean epochs?" in capsys.readouterr().err


@pytest.fixture
def called(monkeypatch) -> list:
    """What would have been called with which arguments."""
    calls = []
    for phase in ("reconstruction", "transfer_learning"):
        module = import_module(f"{phase}.evaluate")
        monkeypatch.setattr(module, "main", lambda arguments, phase=phase: calls.append((phase, arguments)) or 0)
    return calls


@pytest.mark.parametrize("phase", ["reconstruction", "transfer_learning"])
@pytest.mark.parametrize("form", [["--model_path", "{}"], ["--model_path={}"], ["--model-path", "{}"]])
def test_evaluate_goes_by_the_phase_of_the_weights(phase, form, called, tmp_path):
    path = tmp_path / "best_model.safetensors"
    save_weights(path, {"a": torch.zeros(2, dtype=torch.bfloat16)}, sample_header(phase))
    arguments = ["--split", "Val", *(word.format(path) for word in form)]
    assert main(["evaluate", *arguments]) == 0
    assert called == [(phase, arguments)]


def test_evaluate_takes_exported_networks(called):
    assert sorted(KINDS) == sorted(EXPORTED)
    for name in ("exported/model.onnx", "exported/model.xml"):
        assert main(["evaluate", "--model_path", name]) == 0
    assert [phase for phase, _ in called] == ["transfer_learning"] * 2


def damaged(path: Path, wrong: str) -> None:
    save_weights(path, {"a": torch.zeros(2)}, sample_header("distillation" if wrong == "phase" else "reconstruction"))
    if wrong == "cut":
        path.write_bytes(path.read_bytes()[:-3])
    elif wrong == "text":
        path.write_text("these are no weights")
    elif wrong == "absent":
        path.unlink()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("phase", "comes from distillation: this command takes weights of reconstruction or transfer_learning"),
        ("cut", "is not a whole safetensors file"),
        ("text", "is not a whole safetensors file"),
        ("absent", "no weights at"),
    ],
)
def test_weights_that_cannot_be_scored_are_refused_in_one_line(wrong, message, called, tmp_path, capsys):
    path = tmp_path / "weights.safetensors"
    damaged(path, wrong)
    assert main(["evaluate", "--model_path", str(path)]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert called == []


def test_evaluate_without_weights_says_what_is_missing(called, capsys):
    assert main(["evaluate"]) == 2
    assert "--model_path runs/" in capsys.readouterr().err
    assert main(["evaluate", "--help"]) == 0
    text = capsys.readouterr().out
    assert "python -m reconstruction.evaluate --help and python -m transfer_learning.evaluate --help" in text
    assert called == []


@pytest.mark.parametrize(
    ("flags", "phases"),
    [
        (["--batch_size", "3"], ["reconstruction", "transfer_learning"]),
        (["--visualize-samples=2", "--tta"], ["transfer_learning"]),
        (["--analyze_latent_space"], ["reconstruction"]),
    ],
    ids=lambda value: value[0],
)
def test_evaluate_prints_the_settings_of_each_phase_that_has_them(flags, phases, capsys, tmp_path):
    assert main(["evaluate", *flags, "--print_config"]) == 0
    printed = capsys.readouterr()
    assert not printed.err
    (tmp_path / "printed.yaml").write_text(printed.out)
    assert list(read_yaml(tmp_path / "printed.yaml")) == [f"{phase}_evaluation" for phase in phases]
    read_back = ["--config", str(tmp_path / "printed.yaml"), "--print_config"]
    for phase in phases:
        assert import_module(f"{phase}.evaluate").main(read_back) == 0
        assert capsys.readouterr().out.splitlines()[1:2] == [f"{phase}_evaluation:"]
    assert main(["evaluate", "--no_such", "--print_config"]) == 2
    assert "unknown flag --no_such" in capsys.readouterr().err


def whole_numbers(hint: object) -> int:
    """How many words a setting of whole numbers alone takes, 0 for another one."""
    parts = [part for part in get_args(hint) or (hint,) if part not in (type(None), Ellipsis)]
    is_one = get_origin(hint) in (None, Union, UnionType)
    return len(parts) if set(parts) == {int} and (not is_one or len(parts) == 1) else 0


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.module)
def test_a_whole_number_is_written_as_one(command, capsys):
    """As files of settings refuse it. Of each kind of setting the first."""
    module = import_module(command.module)
    hints = get_type_hints(getattr(module, command.settings))
    first = {hint: name for name, hint in reversed(hints.items()) if whole_numbers(hint)}
    for hint, name in first.items():
        words = ["1e1"] * whole_numbers(hint)
        assert module.main([f"--{name}", *words]) == 2
        assert capsys.readouterr().err == f"error: --{name}: got '{' '.join(words)}', wanted: {kind_of(hint)}\n"


def test_choosing_a_command_loads_no_torch(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_weights(path, {"a": torch.zeros(2)}, sample_header("none"))
    code = f"""
import sys, ae_pretrained
from ae_pretrained.__main__ import main
assert main(["--version"]) == main(["--help"]) == 0
assert main(["evaluate", "--model_path", {str(path)!r}]) == 2
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_the_package_offers_a_segmenter_and_its_version():
    assert ae_pretrained.Segmenter.__module__ == "transfer_learning.inference.segmenter"
    assert ae_pretrained.__version__.count(".") == 2
    with pytest.raises(AttributeError, match="no attribute 'Segmentor'"):
        _ = ae_pretrained.Segmentor

"""Every command that a page names: its flags are there, and what it says happens, on small drawn stand-ins."""

import itertools
import re
import tomllib
from fnmatch import fnmatch
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from ablation_grid import Here
from documented_commands import PAGES, ROOT, Command, commands_of
from documented_makers import SIDE, TRAINING, shrunk
from documented_stand_ins import StandIns, missing

from core.calling import module_called
from core.cli import COMMANDS, subcommands
from core.errors import UserError
from core.filing.yaml_file import read_yaml
from experiments import recipe
from experiments.advice import planning, running
from experiments.advice.answer import handing_out
from experiments.advice.choices import Lengths

# Commands that are parsed and not run, and why. An entry that fits no command of any page fails.
NOT_RUN = {
    "make *": "environments, suites and long runs: the target is looked up in the Makefile",
    "PETS_ARCHIVES=* make *": "is `make test` with archives that lie elsewhere",
    "pip install *": "asks a registry: the extras are looked up in pyproject.toml",
    "uv sync *": "asks a registry: the extras are looked up in pyproject.toml",
    "source *": "is the shell's",
    "torchrun *": "takes several GPUs or machines",
    "srun *": "takes a SLURM cluster",
    "* --runner ray*": "takes a cluster of Ray: tests/experiments/test_ray.py",
    "* --runner slurm*": "takes a SLURM cluster: tests/experiments/test_slurm.py",
    "*--download*": "fetches gigabytes",
    "ae-pretrained app *": "serves until it is stopped: tests/transfer_learning/test_page.py",
    "ae-pretrained push *": "uploads: tests/transfer_learning/test_push.py",
    "* hf://USER/NAME *": "downloads: tests/transfer_learning/test_push.py",
    "* torchvision:deeplabv3_resnet101 *": "takes weights that are downloaded",
    "ae-pretrained recipe photo_deeplab --input photo.jpg": "takes weights that are downloaded",
    "* --encoder resnet50 --encoder_weights imagenet": "takes weights that are downloaded",
    "ae-pretrained convert *": "takes Google's files: tests/transfer_learning/test_convert.py",
    "*--measure": "measures in processes of their own: tests/experiments/test_networks.py",
    "ae-pretrained advise --images my/pictures *": "is run as docs/advise.md has it",
    "* --precision int8 *": "takes a network that has learned: tests/transfer_learning/test_export_eight_bits.py",
    "python -m benchmarks.*": "measures for minutes to hours: tests/benchmarks",
}
# A word of a page that stands for any of its kind.
STANDS_FOR = {"COMMAND": "train"}
SCORING = ["--batch_size", "4", "--device", "cpu"]
# What is laid over a command's own flags, so that it takes a moment: the last of two flags holds.
LAID_OVER = {
    "data.prepare": ["--size", str(SIDE), "--workers", "1"],
    "reconstruction.train": TRAINING,
    "transfer_learning.train": [*TRAINING, "--save_every", "1"],
    "reconstruction.evaluate": [*SCORING, "--visualize_samples", "1"],
    "transfer_learning.evaluate": [*SCORING, "--no_figures"],
    "transfer_learning.predict": ["--device", "cpu"],
    "experiments.ablate": ["--seeds", "1"],
    "experiments.advise": f"--size {SIDE} --width 2 --arms teacher --folds 2 --jobs 2".split(),
    "experiments.suggest": ["--number", "2"],
}
# And over these commands alone.
LAID_OVER_ONE = {
    "ae-pretrained prepare --archives path/to/archives": ["--output_dir", "data/pets"],
    "python -m experiments.ablate --config config/ablation.yaml": ["--variants", "scratch", "denoise_all"],
}
# Where the page says that it ends otherwise than well.
CODES = {"ae-pretrained describe * --max_params 5e6 *": 1}
READERS = {"my.yaml", "labels.yaml"}  # files of settings that a page shows and its reader writes
UNSIZED = {"msd", "volumes"}  # data sets whose volumes keep their sizes
EXTRAS = {"transfer_learning.export": ("onnx", "onnxscript", "onnxruntime", "openvino")}
DOCUMENTED = [command for page in PAGES for command in commands_of(page)]
CALLED = [command for command in DOCUMENTED if command.called]


def reason_not_to_run(command: Command) -> str | None:
    """Return why a command is parsed alone; a name in a sentence, without arguments, is no call."""
    if command.inline and not command.arguments:
        return "names the command"
    return next((why for pattern, why in NOT_RUN.items() if fnmatch(command.text, pattern)), None)


def module_of(command: Command) -> str:
    """Return the module that a command calls; of `evaluate` that of the weights, where they are at hand."""
    name = STANDS_FOR.get(command.called, command.called)
    if name not in subcommands():
        return name
    try:
        return module_called(name, command.arguments)
    except UserError:
        return subcommands()[name][-1].module


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory, one_thread) -> StandIns:
    return StandIns(tmp_path_factory.mktemp("stand_ins"))


@pytest.fixture
def small(tmp_path, monkeypatch, here) -> Path:
    """A folder to call commands in, with small files of config/; grids and advice run in this process."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    for path in (ROOT / "config").glob("*.yaml"):
        content = shrunk(read_yaml(path))
        (tmp_path / "config" / path.name).write_text(yaml.safe_dump(content, sort_keys=False))
    monkeypatch.setattr(recipe, "CONFIGS", tmp_path / "config")
    monkeypatch.setattr(planning, "lengths", lambda seconds, steps, *_: Lengths(5.0, dict.fromkeys(steps, 2), 2))
    monkeypatch.setattr(handing_out, "MOST_STEPS", 2)
    monkeypatch.setattr(running, "Worker", Here)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_flags_of_a_page_are_there_and_take_what_it_gives(page, stand_ins, small, capsys):
    for command in commands_of(page):
        if command.text == "ae-pretrained --help" or command.called is None:
            continue
        module = module_of(command)
        if module in {known.module for known in COMMANDS}:
            if READERS & {*command.words}:
                stand_ins.lay(command, small)
            assert import_module(module).main([*command.arguments, "--print_config"]) == 0, capsys.readouterr().err
        else:
            assert not command.arguments, f"{command.text}: {module} is no command that takes settings"
            assert find_spec(module), command.text


def test_programs_of_others_find_what_they_lean_on():
    makefile = (ROOT / "Makefile").read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for command in DOCUMENTED:
        program, *rest = command.words
        if program == "make":
            for word in rest:
                name, given, _ = word.partition("=")
                assert re.search(rf"^{name} \??:?=" if given else rf"^{name}:", makefile, re.MULTILINE), command.text
        elif program == "pip":
            (found,) = re.findall(r"\[([\w,]+)\]", command.text)
            assert set(found.split(",")) <= set(extras), command.text
        elif program == "uv":
            assert {word for flag, word in itertools.pairwise(rest) if flag == "--extra"} <= set(extras)
        elif program == "source":
            assert rest == [f"{re.search('^VENV := (.+)$', makefile, re.MULTILINE)[1]}/bin/activate"]
        else:
            assert command.called, f"{command.page.name}: {command.text}: say in this test how it is looked at"


def test_what_is_not_run_stands_on_a_page():
    idle = [pattern for pattern in NOT_RUN if not any(fnmatch(command.text, pattern) for command in DOCUMENTED)]
    assert idle == []


def test_the_tests_that_look_at_the_others_are_there():
    named = [path for why in NOT_RUN.values() for path in re.findall(r"tests/[\w/.]*\w", why)]
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def run(command: Command, capsys) -> None:
    """Call a command, small, and look whether it ended well, wrote what it names and used all that it was given."""
    if command.arguments == [] and command.called == "--help":
        import_module("ae_pretrained.__main__").main(["--help"])
        return
    module = module_of(command)
    laid_over = [] if UNSIZED & {*command.words} and module == "data.prepare" else LAID_OVER.get(module, [])
    laid_over = [*laid_over, *LAID_OVER_ONE.get(command.text, [])]
    code = import_module(module).main([*command.arguments, *laid_over])
    said = capsys.readouterr()
    expected = next((code for pattern, code in CODES.items() if fnmatch(command.text, pattern)), 0)
    assert code == expected, f"{command.text}: {said.err}"
    for flag, value in zip(command.words, command.words[1:], strict=False):
        if flag in ("--output_dir", "--output"):
            assert Path(value).exists(), f"{command.text} wrote no {value}"
    for note in re.findall(r"note: without effect: (.*)", said.err):
        idle = {clause.split()[0] for clause in note.split("; ")} - {*laid_over, "--epochs"}
        assert not idle & {*command.words}, f"{command.text}: {note}"


RUN = [page for page in PAGES if not all(map(reason_not_to_run, commands_of(page)))]


@pytest.mark.all
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_what_a_page_says_to_do_can_be_done(page, stand_ins, small, capsys):
    for command in commands_of(page):
        if reason_not_to_run(command):
            continue
        stand_ins.lay(command, small)
        if lacking := missing(EXTRAS.get(module_of(command), ())):
            pytest.skip(f"{', '.join(lacking)} not installed")
        run(command, capsys)

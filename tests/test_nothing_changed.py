"""A command that is called again with nothing changed says so at once; with anything changed it begins anew."""

import json
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from core.evaluation import seal_of_scores
from core.files import write_json
from core.filing import seal
from experiments.report import main as report
from experiments.tables import main as tables
from reconstruction.evaluate import main as evaluate_autoencoder
from reconstruction.train import main as train_autoencoder
from transfer_learning.evaluate import SegmentationEvaluationConfig
from transfer_learning.evaluate import main as evaluate
from transfer_learning.train import main as train

ROOT = Path(__file__).parents[1]
SEAL = ".transfer_learning.evaluate.done"


def commands_in(folder: Path, data: Path) -> dict[str, list[str]]:
    """Return the commands of a small project, in order."""
    small = ["--data_dir", str(data), "--device", "cpu", "--batch_size", "8"]
    training = [*small, "--width", "2", "--amp", "off", "--max_steps", "1", "--val_every", "1"]
    runs = {name: str(folder / name) for name in ("ae", "seg")}
    weights = {name: f"{run}/best_model.safetensors" for name, run in runs.items()}

    def scoring(name: str) -> list[str]:
        model = ["--model_path", weights[name], "--visualize_samples", "2"]
        return [*small, *model, "--output_dir", str(folder / "results" / name)]

    return {
        "reconstruction.train": [*training, "--perceptual_weight", "0", "--output_dir", runs["ae"]],
        "transfer_learning.train": [*training, "--pretrained_encoder", weights["ae"], "--output_dir", runs["seg"]],
        "reconstruction.evaluate": scoring("ae"),
        "transfer_learning.evaluate": scoring("seg"),
        "experiments.tables": ["--results", str(folder / "results")],
        "experiments.report": [*runs.values(), str(folder / "results"), "--output", str(folder / "report.html")],
    }


@pytest.fixture(scope="module")
def project(pets, tmp_path_factory) -> tuple[Path, dict[str, list[str]]]:
    """A folder in which each command was called once, and these commands."""
    folder = tmp_path_factory.mktemp("project")
    commands = commands_in(folder, pets)
    mains = (train_autoencoder, train, evaluate_autoencoder, evaluate, tables, report)
    for main, words in zip(mains, commands.values(), strict=True):
        assert main(words) == 0
    return folder, commands


def left_in(folder: Path) -> dict[Path, tuple[int, bytes]]:
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def test_a_second_call_writes_nothing_and_loads_nothing_that_takes_seconds(project):
    folder, commands = project
    before = left_in(folder)
    code = f"""
import sys
from importlib import import_module
for module, words in {commands!r}.items():
    assert import_module(module).main(words) == 0
    for slow in ("torch", "matplotlib", "sklearn"):
        assert slow not in sys.modules, (module, slow)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if line.lower().rstrip(".").endswith("nothing to do")]
    assert len(said) == len(commands)
    score = json.loads((folder / "results/seg/evaluation_results.json").read_text())["mean_iou"]
    assert f"mean_iou {score:.4f}" in said[3]
    assert "Dice" in done.stdout  # the tables are shown again
    assert left_in(folder) == before


@pytest.fixture
def scored(project, pets, tmp_path) -> SegmentationEvaluationConfig:
    """The settings of an evaluation, in a copy of the project that a test may change."""
    folder = tmp_path / "copy"
    shutil.copytree(project[0], folder)
    shutil.copy(pets / "manifest.json", folder)
    shutil.copytree(pets / "Test/masks", folder / "Test/masks")
    config = SegmentationEvaluationConfig(
        data_dir=folder, model_path=folder / "seg/best_model.safetensors", output_dir=folder / "results/seg"
    )
    (config.output_dir / SEAL).unlink()
    again(config).write("as before", seal.files_in(config.output_dir))
    assert again(config).said() == "as before"
    return config


def again(config: SegmentationEvaluationConfig) -> seal.Seal:
    return seal_of_scores(config, "transfer_learning")


CHANGES = {
    "a figure is gone": lambda folder: (folder / "results/seg/figures/errors.png").unlink(),
    "a result was edited": lambda folder: append(folder / "results/seg/evaluation_results.json", b" "),
    "a table was edited": lambda folder: append(folder / "results/seg/per_image.csv", b"\n"),
    "other weights": lambda folder: shutil.copy(folder / "ae/best_model.safetensors", folder / "seg"),
    "the run went on": lambda folder: append(folder / "seg/training_log.csv", b"2,1,1\n"),
    "the log is gone": lambda folder: (folder / "seg/training_log.csv").unlink(),
    "other data": lambda folder: append(folder / "manifest.json", b" "),
    "a mask was edited": lambda folder: append(next((folder / "Test/masks").iterdir()), b" "),
    "a mask is gone": lambda folder: next((folder / "Test/masks").iterdir()).unlink(),
    "no seal": lambda folder: (folder / "results/seg" / SEAL).unlink(),
    "a damaged seal": lambda folder: (folder / "results/seg" / SEAL).write_text("["),
    "a seal of nothing": lambda folder: resealed(folder, files={}),
    "a seal of what never was": lambda folder: resealed(folder, files={"none.png": None}),
    "a seal of what no file is called": lambda folder: resealed(folder, files={"a\0b": "0"}),
    "a seal that is no seal": lambda folder: resealed(folder, said=None),
}


def append(path: Path, more: bytes) -> None:
    path.write_bytes(path.read_bytes() + more)


def resealed(folder: Path, **changes: object) -> None:
    path = folder / "results/seg" / SEAL
    write_json(path, {**json.loads(path.read_text()), **changes})


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_changed_is_scored_anew(scored, change):
    change(scored.data_dir)
    assert again(scored).said() is None


@pytest.mark.parametrize(
    "other", [{"figures": False}, {"split": "Val"}, {"visualize_samples": 1}, {"tta": True}, {"device": "cpu"}], ids=str
)
def test_other_settings_score_anew(scored, other):
    settings = {**vars(scored), **other}
    assert again(SegmentationEvaluationConfig(**settings)).said() is None
    moved = scored.output_dir.rename(scored.data_dir / "moved")  # where results lie is no setting of theirs
    assert again(SegmentationEvaluationConfig(**{**vars(scored), "output_dir": moved})).said() == "as before"


@pytest.mark.parametrize("what", ["code_sha256", "installed"])
def test_other_code_and_libraries_score_anew(scored, what, monkeypatch):
    monkeypatch.setattr(seal, what, lambda: "other")
    assert again(scored).said() is None


def write_anew(sealing: seal.Seal) -> None:
    (sealing.folder / SEAL).unlink()  # which is no file of the results
    sealing.write("anew", seal.files_in(sealing.folder))


def test_code_that_changed_while_results_were_made_makes_them_anew(scored, monkeypatch):
    begun = again(scored)
    with monkeypatch.context() as patched:
        patched.setattr(seal, "code_sha256", lambda: "other")
        write_anew(begun)
        assert again(scored).said() is None
    assert again(scored).said() == "anew"


def test_another_processor_has_a_say_where_the_precision_is_its_choice(scored, monkeypatch):
    chosen = SegmentationEvaluationConfig(**{**vars(scored), "amp": "auto"})
    write_anew(again(chosen))
    assert again(chosen).said() == "anew"
    monkeypatch.setattr("core.machine.processor.cpu_name", lambda: "other")
    assert again(chosen).said() is None


@pytest.mark.parametrize("place", [".", "/"])
def test_weights_that_are_a_folder_are_refused_in_words(pets, tmp_path, place, capsys):
    assert evaluate(["--model_path", place, "--data_dir", str(pets), "--output_dir", str(tmp_path / "out")]) == 2
    assert "a folder" in capsys.readouterr().err


@pytest.mark.all
def test_results_without_a_figure_that_failed_are_made_again(project, tmp_path, monkeypatch, capsys):
    words = [*project[1]["transfer_learning.evaluate"][:-1], str(tmp_path / "out")]
    figures = import_module("transfer_learning.figures.evaluation")
    with monkeypatch.context() as patched:
        patched.setattr(figures, "save_confusion", lambda *_: 1 / 0)
        assert evaluate(words) == 0
    assert json.loads((tmp_path / "out/evaluation_results.json").read_text())["not_drawn"] == [
        "figures/confusion_matrix.png"
    ]
    assert evaluate(words) == 0
    assert "nothing to do" not in capsys.readouterr().out
    assert (tmp_path / "out/figures/confusion_matrix.png").exists()
    assert evaluate(words) == 0
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.all
def test_a_page_changes_with_what_it_shows(project, tmp_path, capsys):
    folder = tmp_path / "copy"
    shutil.copytree(project[0], folder)
    words = [str(folder / name) for name in ("ae", "seg", "results")]
    figures = folder / "results/seg/figures"
    for change, expected in (
        (lambda: None, False),
        (lambda: None, True),
        (lambda: append(folder / "results/seg/per_image.csv", b""), True),
        (lambda: (figures / "errors.png").unlink(), False),
        (lambda: shutil.copy(figures / "best.png", figures / "errors.png"), False),
        (lambda: shutil.copytree(folder / "results/seg", folder / "results/other"), False),
        (lambda: append(folder / "report.html", b" "), False),
    ):
        change()
        assert report([*words, "--output", str(folder / "report.html")]) == 0
        assert ("nothing to do" in capsys.readouterr().out) == expected


def test_tables_change_with_any_result_below(project, tmp_path, capsys):
    folder = tmp_path / "copy"
    shutil.copytree(project[0] / "results", folder)
    words = ["--results", str(folder)]
    for change, expected in (
        (lambda: None, False),
        (lambda: None, True),
        (lambda: shutil.copytree(folder / "seg", folder / "other"), False),
        (lambda: (folder / "tables.md").unlink(), False),
        (lambda: None, True),
    ):
        change()
        assert tables(words) == 0
        assert ("nothing to do" in capsys.readouterr().out) == expected


def test_a_finished_run_that_lost_something_is_looked_at(project, tmp_path, capsys):
    folder = tmp_path / "copy"
    shutil.copytree(project[0] / "seg", folder)
    words = [*project[1]["transfer_learning.train"][:-1], str(folder)]
    assert train(words) == 0
    assert "is finished" in capsys.readouterr().out
    (folder / "best_model.safetensors").unlink()
    assert train(words) == 2
    assert "best_model.safetensors is missing" in capsys.readouterr().err

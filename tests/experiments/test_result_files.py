"""Which files below a folder count as results, and that tables appear as a whole or not at all."""

import json
import os
import shutil

import pytest
from ablation_samples import arm, counts_of, plan, write
from filelock import FileLock
from report_samples import page_of, segmentation_settings, words, write_reconstruction, write_run, write_segmentation

from core.errors import UserError
from core.filing.writing import LOCK
from experiments.evaluations import read_json
from experiments.report import main as report
from experiments.runs import find_runs
from experiments.tables import main as tables

PASSING = (".partial", "results.partial", ".hidden/inside")


def seen(folder, pictures: int | None, split: str = "Test", write_result=write_segmentation, **more) -> None:
    result = write_result(folder, **more)
    (path,) = folder.glob("*.json")
    result["provenance"] |= {"pictures_seen": pictures, "split": split}
    path.write_text(json.dumps(result))


def test_what_is_hidden_or_half_written_is_no_result(tmp_path):
    root = tmp_path / ".mine.partial"  # the folder named counts whatever its name
    write_segmentation(root / "one")
    for name in PASSING:
        write_segmentation(root / name, seed=2)
        write_run(root / name, segmentation_settings(seed=3))
    assert [run.file for run in find_runs([root])] == [root / "one/evaluation_results.json"]
    assert tables(["--results", str(root)]) == 0
    rows = [line for line in (root / "tables.md").read_text().splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows[1:]] == ["| one"]


@pytest.mark.parametrize("command", ["tables", "report"])
def test_foreign_files_are_passed_over_by_name(tmp_path, capsys, command):
    write_segmentation(tmp_path / "one")
    (tmp_path / "settings.json").write_text("{")
    (tmp_path / "nan.json").write_text('{"loss": NaN}')
    (tmp_path / "list.json").write_text("[1]")  # can be read, and is none
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "link.json").symlink_to("nowhere")
    assert (tables(["--results", str(tmp_path)]) if command == "tables" else report([str(tmp_path)])) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if "passed over" in line]
    names = ("folder.json", "link.json", "nan.json", "settings.json")
    assert [note.split(": ")[1] for note in notes] == [f"{tmp_path / name} is passed over" for name in names]
    assert notes[0].endswith("not a regular file but a folder")
    assert notes[2].endswith("NaN is no number of JSON")


@pytest.mark.parametrize("content", ["{", "[1]", "{}", '{"mean_iou": NaN}'])
def test_damaged_results_stop_the_tables(tmp_path, capsys, content):
    write_segmentation(tmp_path / "one")
    (tmp_path / "reconstruction_metrics.json").write_text(content)
    assert tables(["--results", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert f"error: {tmp_path / 'reconstruction_metrics.json'} is not " in said
    assert said.endswith("evaluate again\n")


def test_the_reason_of_the_reader_is_passed_on(tmp_path):
    (tmp_path / "a.json").write_text("[" * 1000)
    with pytest.raises(UserError, match=r"a\.json is not valid JSON \(nested too deeply\): evaluate again$"):
        read_json(tmp_path / "a.json")
    os.mkfifo(tmp_path / "b.json")
    with pytest.raises(UserError, match=r"b\.json is not a regular file but a pipe: evaluate again$"):
        read_json(tmp_path / "b.json")


@pytest.fixture
def ablation(tmp_path):
    write(tmp_path, plan({"scratch": {}}), [arm(counts_of(0.5, 1, 3), variant="scratch")])
    return tmp_path


def files_of(folder) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_refusal_publishes_nothing_of_an_ablation(ablation):
    seen(ablation / "a", None)
    seen(ablation / "b", None, split="Val")
    before = files_of(ablation)
    assert tables(["--results", str(ablation)]) == 2
    assert files_of(ablation) == before
    shutil.rmtree(ablation / "b")
    assert tables(["--results", str(ablation)]) == 0
    assert {"label_efficiency.png", "summary.json", "tables.csv", "tables.md", "tables.tex"} <= {*files_of(ablation)}
    assert [name for name in files_of(ablation) if name.startswith(".")] == [".tables.md.done"]


def test_tables_of_an_ablation_wait_for_whoever_writes_there(ablation, capsys):
    half_written = ablation / "arms/.scratch.json.1.tmp"  # of an ablation that runs: it locks its run folders
    half_written.touch()
    before = files_of(ablation)
    with FileLock(ablation / LOCK):
        assert tables(["--results", str(ablation)]) == 2
    (ablation / LOCK).unlink(missing_ok=True)
    assert "is in use by another call" in capsys.readouterr().err
    assert files_of(ablation) == before
    assert tables(["--results", str(ablation)]) == 0
    assert half_written.exists()


def test_scores_of_pictures_seen_in_training_say_so(tmp_path):
    seen(tmp_path / "a", 7)
    for name, pictures in (("b", 0), ("c", None)):
        seen(tmp_path / name, pictures, seed=2)
    seen(tmp_path / "r", 3, "Train", write_reconstruction, psnr=[20, 22])
    assert tables(["--results", str(tmp_path)]) == 0
    lines = (tmp_path / "tables.md").read_text().splitlines()
    assert [line for line in lines if line.startswith("- ")] == [
        "- r: 3 of the scored pictures were seen in training",  # as pictures of Train are
        "- a: 7 of the scored pictures were seen in training (--allow_seen)",
    ]
    page = words(page_of(tmp_path))
    assert page.count("7 of the scored pictures were seen in training (--allow_seen)") == 1
    assert page.count("were seen in training") == 2

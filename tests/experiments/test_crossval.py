"""`crossval`: folds of a public data set, steps as commands, one table of them."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from report_samples import CLASSES, matrices, segmentation_result, segmentation_settings, write_results
from sample_layouts import make_drive
from sample_task import write_task

from core.errors import UserError
from core.statistics import mean_interval
from data.opened import open_data
from data.prepare import prepare
from data.prepare_config import PrepareConfig
from experiments import crossval as module
from experiments.crossval import CrossvalConfig, main
from experiments.fold_scores import content_of, table_of
from experiments.per_image import image_counts
from experiments.result_files import read_evaluation
from experiments.runs import Run
from experiments.table_formats import markdown
from transfer_learning.scores.confusion import counts_of, score_intervals

FEW = {"width": 2, "max_steps": 1, "val_every": 1, "batch_size": 2, "device": "cpu"}


@pytest.fixture
def own(tmp_path) -> Path:
    """A recipe for drawn shapes, a step of training."""
    path = tmp_path / "own.yaml"
    data = {"dataset": "shapes", "variant": "binary", "num_images": 12, "size": 40, "labelled_fraction": 1.0}
    learning = {**FEW, "encoder_dropout": [0.0] * 6, "decoder_dropout": [0.0] * 5}
    scoring = {"figures": False, "device": "cpu"}
    content = {"data": data, "transfer_learning": learning, "transfer_learning_evaluation": scoring}
    path.write_text(yaml.safe_dump(content))
    return path


def test_folds_become_one_table_and_go_on(own, tmp_path, capsys):
    out = tmp_path / "out"
    assert main([str(own), "--folds", "3", "--only", "0", "2", "--output_dir", str(out)]) == 0
    assert json.loads((out / "crossval.json").read_text())["pictures"] == {"0": 4, "2": 4}
    assert "2 of 3 folds are done" in (out / "crossval.md").read_text()
    before = (out / "fold_0/training/best_model.safetensors").stat().st_mtime_ns
    assert main([str(own), "--folds", "3", "--output_dir", str(out)]) == 0
    assert (out / "fold_0/training/best_model.safetensors").stat().st_mtime_ns == before
    content = json.loads((out / "crossval.json").read_text())
    tests = [open_data(out / f"fold_{fold}/data").split("Test").names for fold in range(3)]
    assert sorted(map(len, tests)) == [4, 4, 4]
    assert len({name for names in tests for name in names}) == 12
    counts, dice = [], []
    for fold in range(3):
        file = out / f"fold_{fold}/results/evaluation_results.json"
        evaluation = read_evaluation(file)
        counts += image_counts(Run("transfer_learning", file, evaluation)).values()
        dice.append(evaluation.scores["mean_foreground_dice"])
    found = content["scores"]["mean_foreground_dice"]
    assert found["folds"] == {str(fold): value for fold, value in enumerate(dice)}
    np.testing.assert_allclose((found["mean"], found["standard_deviation"]), (np.mean(dice), np.std(dice, ddof=1)))
    _, shape = np.array(counts).sum(axis=0)  # background, shape
    np.testing.assert_allclose(found["pooled"], 2 * shape[0] / (shape[1] + shape[2]))
    cases = np.array([2 * one[1, 0] / (one[1, 1] + one[1, 2]) for one in counts])
    assert content["scores"]["mean_case_dice"]["pooled"] == pytest.approx(cases.mean())
    assert content["scores"]["mean_case_dice"]["interval"] == pytest.approx(mean_interval(cases))
    assert "| mean foreground Dice |" in (out / "crossval.md").read_text()
    assert main([str(own), "--folds", "4", "--output_dir", str(out)]) == 2
    assert "holds the recipe with other settings" in capsys.readouterr().err


def test_volumes_are_divided_whole_and_called_so(tmp_path):
    task, out, path = write_task(tmp_path / "task", 6), tmp_path / "out", tmp_path / "own.yaml"
    learning = {**FEW, "patch": 8}
    scoring = {"figures": False, "device": "cpu"}
    sections = {"data": {"dataset": "msd"}, "transfer_learning": learning, "transfer_learning_evaluation": scoring}
    path.write_text(yaml.safe_dump(sections))
    words = [str(path), "--archives", str(task), "--folds", "2", "--only", "0", "--output_dir", str(out)]
    assert main(words) == 0
    assert json.loads((out / "crossval.json").read_text())["pictures"] == {"0": 3}
    text = (out / "crossval.md").read_text()
    assert "| mean Dice of a volume |" in text
    assert "3 volumes in 1 fold," in text
    assert "picture" not in text


def test_phase_1_comes_first_unless_it_is_left_out(own, tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr(module, "take_all", taken.extend)
    monkeypatch.setattr(module, "content_of", lambda *given: pytest.skip("all steps were taken"))
    content = yaml.safe_load(own.read_text())
    own.write_text(yaml.safe_dump({**content, "reconstruction": {"max_steps": 1}}))
    with pytest.raises(pytest.skip.Exception):
        module.cross_validate(CrossvalConfig(str(own), only=(1,), output_dir=tmp_path / "with", archives=Path("a")))
    assert [words[0] for words in taken] == ["prepare", "pretrain", "train", "evaluate"]
    assert taken[0][-5:] == ["1", "--output_dir", str(tmp_path / "with/fold_1/data"), "--archives", "a"]
    assert "--pretrained_encoder" in taken[2]
    del taken[:]
    with pytest.raises(pytest.skip.Exception):
        module.cross_validate(CrossvalConfig(str(own), only=(1,), scratch=True, output_dir=tmp_path / "without"))
    assert [words[0] for words in taken] == ["prepare", "train", "evaluate"]
    assert "--pretrained_encoder" not in taken[1]


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"transfer_learning": {}}, "has no section data"),
        ({"data": {}, "ablation": {}}, "is a grid"),
        ({"data": {"dataset": "folder", "fold": 1}}, "says fold of the data: leave it out"),
    ],
)
def test_files_that_cannot_be_cross_validated(sections, message, tmp_path):
    path = tmp_path / "odd.yaml"
    path.write_text(yaml.safe_dump(sections))
    with pytest.raises(UserError, match=message):
        module.cross_validate(CrossvalConfig(str(path), output_dir=tmp_path / "out"))
    with pytest.raises(UserError, match="the 5 folds are 0 to 4"):
        CrossvalConfig(only=(5,))


def test_an_official_test_is_in_no_fold(tmp_path):
    make_drive(tmp_path / "drive")
    seen = []
    for fold in range(2):
        out = tmp_path / f"fold_{fold}"
        config = PrepareConfig(
            dataset="drive", archives=tmp_path / "drive", folds=2, fold=fold, val_ratio=0.3, size=40, output_dir=out
        )
        prepare(config)
        prepare(config)  # which is there already
        seen += open_data(out).split("Test").names
        splits = json.loads((out / "splits.json").read_text())
        assert not any(name.endswith("_test") for names in splits.values() for name in names)
    assert sorted(seen) == [f"{number}_training" for number in range(21, 26)]
    with pytest.raises(UserError, match="no picture of drive has that tag"):
        prepare(
            PrepareConfig(
                dataset="drive", archives=tmp_path / "drive", folds=2, group_by="patient", output_dir=tmp_path / "x"
            )
        )
    with pytest.raises(UserError, match="--group_by has no meaning"):
        PrepareConfig(dataset="drive", archives=tmp_path / "drive", group_by="patient").check_source()


def test_intervals_draw_patients_where_these_are_known(tmp_path):
    """Of each patient three pictures that are nearly the same: they count as one."""
    generator = np.random.default_rng(0)
    for fold in range(2):
        of_patients = matrices(fold, images=4)
        counts = np.repeat(of_patients, 3, axis=0) + generator.integers(0, 2, (12, 3, 3))
        cases = {"by": "patient", "num_cases": 4, "num_scored": 4}
        result = segmentation_result(counts, segmentation_settings(), cases=cases)
        rows = [
            [f"{fold}_{place}", f"p{fold}{place // 3}", *counts_of(one).T.ravel().tolist()]
            for place, one in enumerate(counts)
        ]
        columns = [f"{kind}_{name}" for kind in ("hit", "truth", "said") for name in CLASSES.names]
        place = tmp_path / f"fold_{fold}/results/evaluation_results.json"
        write_results(place, result, ["name", "tag_patient", *columns], rows)
    content = content_of(tmp_path, 2)
    assert (content["pictures"], content["cases"]) == ({"0": 12, "1": 12}, {"by": "patient", "number": 8})
    runs = [Run("transfer_learning", file, read_evaluation(file)) for file in sorted(tmp_path.rglob("*.json"))]
    single = np.stack([one for run in runs for one in image_counts(run).values()])
    whole = score_intervals(single.reshape(8, 3, 3, 3).sum(axis=1), CLASSES)
    assert content["scores"]["mean_iou"]["interval"] == pytest.approx(whole["mean_iou"])
    low, high = content["scores"]["mean_iou"]["interval"]
    alone = score_intervals(single, CLASSES)["mean_iou"]
    assert high - low > 1.2 * (alone[1] - alone[0])
    text = markdown(table_of(content))
    assert "24 pictures of 8 patients in 2 folds" in text
    assert "by a bootstrap over patients" in text
    assert "| mean Dice of a patient |" in text

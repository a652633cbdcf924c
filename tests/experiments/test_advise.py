"""`advise` from pictures to its page, on drawn pictures, with runs of a moment; and what it refuses."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.config import from_files
from core.train_config import CHOSEN
from data.opened import open_data
from data.prepare import main as prepare
from experiments.advice import choices, planning
from experiments.advice.answer import handing_out
from experiments.advice.situation import look_at, with_copies
from experiments.advise import main
from transfer_learning.config import SegmentationConfig


def draw(folder: Path, pictures: int, masks: int, seed: int = 0) -> list[str]:
    """Write pictures of bright discs on dark ground, some with their masks; returns the words that name them."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:48, :64]
    for number in range(pictures):
        inside = (rows - random.uniform(16, 32)) ** 2 + (columns - random.uniform(16, 48)) ** 2 < random.uniform(
            60, 180
        )
        picture = random.normal(80, 20, (48, 64, 3)) + 100 * inside[..., None]
        for place, content in (("photos", picture.clip(0, 255)), ("masks", 255 * inside)):
            if place == "photos" or number < masks:
                (folder / place / f"{number // 10}").mkdir(parents=True, exist_ok=True)
                path = folder / place / f"{number // 10}" / f"{number:03}.png"
                Image.fromarray(content.astype(np.uint8)).save(path)
    return ["--images", str(folder / "photos"), "--masks", str(folder / "masks")]


@pytest.fixture
def quick(monkeypatch):
    """Let runs take four steps, whatever the machine."""
    monkeypatch.setattr(
        planning, "lengths", lambda a_run, steps, *hours: choices.Lengths(5.0, dict.fromkeys(steps, 4), 4)
    )
    monkeypatch.setattr(handing_out, "MOST_STEPS", 4)


def require_as_trained(out: Path, arm: str) -> None:
    """See that a way can be trained again by its file."""
    phase_1 = out / "phase_1.yaml"
    encoder = str(out / "phase_1/best_model.safetensors") if arm == "pretrained" else None
    phase_1.write_text(json.dumps({"transfer_learning": {"pretrained_encoder": encoder}}))
    config = from_files(SegmentationConfig, [out / f"arms/{arm}.yaml", phase_1], "transfer_learning")
    trained = json.loads((out / f"arms/{arm}/fold_0/training/training_config.json").read_text())["identity"]
    again = {**json.loads(json.dumps(dataclasses.asdict(config), default=str)), "label_fraction": 1.0}
    known = {name: value for name, value in again.items() if name in trained and name not in CHOSEN}
    assert known == {name: trained[name] for name in known}


def require_pooled(out: Path, advice: dict) -> None:
    """See that scores are of all held-out pictures together."""
    for name, arm in advice["arms"].items():
        matrices = [
            json.loads((out / f"arms/{name}/fold_{fold}/results/evaluation_results.json").read_text())
            for fold in range(4)
        ]
        (_, missed), (wrong, hit) = np.sum([one["confusion_matrix"] for one in matrices], axis=0).T
        assert arm["score"]["value"] == pytest.approx(2 * hit / (2 * hit + missed + wrong))
        assert arm["folds"] == [one["mean_foreground_dice"] for one in matrices]


def require_handed_out(out: Path) -> None:
    """See that all pictures have masks; the doubtful are those without one before, the least sure first."""
    predicted = json.loads((out / "predictions/predictions.json").read_text())["pictures"]
    assert len(predicted) == 24
    rows = [line.split(",") for line in (out / "doubtful.csv").read_text().splitlines()[1:]]
    assert {row[0].strip('"') for row in rows} == {one["file"] for one in predicted} - {
        f"0/{n:03}.png" for n in range(8)
    }
    sure = [float(row[1]) for row in rows]
    assert sure == sorted(sure)


@pytest.mark.all
def test_pictures_become_advice_and_the_same_command_goes_on(tmp_path, quick, capsys):
    words = [*draw(tmp_path, 24, 8), "--arms", "teacher", "--goal", "0.9", "--output_dir", str(tmp_path / "out")]
    (tmp_path / "photos/0/notes.json").write_text("{}")
    (tmp_path / "photos/0/broken.png").write_bytes(b"no picture")
    words += ["--hours", "0.1", "--width", "4", "--size", "40", "--jobs", "2"]
    assert main(words) == 0
    said = capsys.readouterr().out
    advice = json.loads((tmp_path / "out/advice.json").read_text())
    assert set(advice["arms"]) == {"scratch", "teacher"}
    assert (advice["masks"], advice["unlabelled"], advice["folds"], advice["labels"]) == (8, 16, 4, 6)
    require_pooled(tmp_path / "out", advice)
    beside = advice["arms"]["teacher"]["score"]["value"] - advice["arms"]["scratch"]["score"]["value"]
    assert advice["arms"]["teacher"]["difference"]["value"] == pytest.approx(beside)
    assert all(line in said for line in advice["says"])
    # Every mask is held out once, and nothing unlabelled ever is.
    tests = [open_data(tmp_path / f"out/data/fold_{fold}").split("Test").names for fold in range(4)]
    assert sorted(name for names in tests for name in names) == sorted(f"0/{number:03}" for number in range(8))
    require_handed_out(tmp_path / "out")
    page = (tmp_path / "out/report.html").read_text()
    assert page.index("<h2>Advice</h2>") < page.index("<h2>Segmentation</h2>")
    for arm in ("scratch", "teacher"):
        require_as_trained(tmp_path / "out", arm)
    states = {path.relative_to(tmp_path / "out").parts[0] for path in (tmp_path / "out").rglob("state*.ckpt")}
    assert states == {"final"}, "what is scored cannot go on, and needs none"
    assert "2 min for the final model and its masks" in said
    assert "is not looked at below 12 masks" in said
    assert "some 32 minutes of drawing" in said, "of 16 pictures"
    card = (tmp_path / "out/final/MODEL_CARD.md").read_text()
    assert "8 pictures with masks" in card
    assert "Outside weights**: none" in card
    best = json.loads((tmp_path / "out/advice.json").read_text())["best"]
    assert ("weighed with public data sets" in card) == (best == "teacher")  # of which there are replays
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("best_model.safetensors")}
    assert main(words) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    # Another question is answered from what is there; other trainings, or other masks, are another advice.
    assert main([*words, "--goal", "0.1"]) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert "0.1 is reached with the masks that there are" in capsys.readouterr().out
    assert main([*words, "--hours", "0.2"]) == 2
    assert "holds an advice with other settings (--hours 0.1 there, 0.2 asked)" in capsys.readouterr().err
    (tmp_path / "masks/0/007.png").unlink()
    assert main(words) == 2
    assert "of before pictures or masks changed" in capsys.readouterr().err


@pytest.mark.all
def test_what_splits_hold_back_scores_the_final_model_alone(tmp_path, quick, capsys):
    words = [*draw(tmp_path, 24, 16), "--arms", "pretrained", "--output_dir", str(tmp_path / "out"), "--hours", "0.1"]
    names = [f"{number // 10}/{number:03}.png" for number in range(24)]
    # Without a mask, and the same as one of Test.
    shutil.copyfile(tmp_path / "photos" / names[10], tmp_path / "photos" / names[20])
    (tmp_path / "splits.json").write_text(
        json.dumps({"train": [*names[:8], *names[16:]], "val": names[8:10], "test": names[10:16]})
    )
    words += ["--width", "4", "--size", "40", "--jobs", "2", "--splits", str(tmp_path / "splits.json")]
    assert main(words) == 0
    said = capsys.readouterr().out
    require_as_trained(tmp_path / "out", "pretrained")
    advice = json.loads((tmp_path / "out/advice.json").read_text())
    assert (advice["masks"], advice["unlabelled"], advice["folds"]) == (8, 8, 4)
    held = {name.removesuffix(".png") for name in names[8:16]}
    for fold in range(4):
        data = open_data(tmp_path / f"out/data/fold_{fold}").records("Train", "Test")
        assert not held & {record.name for records in data.values() for record in records}
    whole = open_data(tmp_path / "out/data/all").records("Train", "Test")
    assert [len(whole[split]) for split in ("Train", "Test")] == [15, 6]
    assert "2/020.png" not in {f"{record.name}.png" for record in whole["Train"]}
    assert "1 picture is a copy of pictures of test, or nearly (first 2/020" in said
    scored = json.loads((tmp_path / "out/test/evaluation_results.json").read_text())
    assert (scored["num_images"], scored["provenance"]["split"]) == (6, "Test")
    assert advice["test"]["value"] == scored["mean_foreground_dice"]
    assert [advice["test"]["low"], advice["test"]["high"]] == scored["intervals"]["mean_foreground_dice"]
    assert "The final model on the 6 pictures of Test" in advice["says"][-2]
    assert advice["says"][-2] in said
    assert advice["says"][-2] in (tmp_path / "out/report.html").read_text()
    assert advice["says"][-2] in (tmp_path / "out/final/MODEL_CARD.md").read_text()
    assert "2 masks of val are not used" in said
    doubtful = (tmp_path / "out/doubtful.csv").read_text()
    assert not any(name in doubtful for name in names[:16])


def test_copies_that_no_division_keeps_together_are_warned_of(tmp_path):
    words = draw(tmp_path, 8, 8)
    for number in range(1, 8):
        for place in ("photos", "masks"):
            shutil.copyfile(tmp_path / place / "0/000.png", tmp_path / place / f"0/{number:03}.png")
    folders = [tmp_path / f"fold_{fold}" for fold in range(2)]
    for fold, folder in enumerate(folders):
        how = ["--folds", "2", "--fold", str(fold), "--val_ratio", "0", "--size", "40", "--output_dir", str(folder)]
        assert prepare(["--dataset", "folder", *words, *how]) == 0
    alike = look_at({"images": tmp_path / "photos", "masks": tmp_path / "masks"})
    (warning,) = set(with_copies(alike, folders, folders[0]).warnings) - set(alike.warnings)
    assert "pictures are copies of pictures in other folds, or nearly (first 0/00" in warning


@pytest.mark.parametrize(
    ("pictures", "masks", "flags", "message"),
    [
        (6, 3, [], "3 masks are too few to hold any of them out"),
        (6, 6, ["--no_outside_weights"], "from scratch is all that can be tried"),
        (6, 4, ["--arms", "teecher"], "did you mean teacher?"),
        (6, 4, ["--arms", "scratch"], "--arms scratch alone compares nothing: name another of teacher, pretrained, im"),
        (6, 4, ["--folds", "3"], "--folds 3 leaves fewer than 2 of 4 masks a fold"),
        (6, 4, ["--size", "32"], "size 32: networks take sides of 33 px and more"),
        (6, 4, ["--hours", "0"], "hours 0.0 must be above 0"),
        (6, 4, ["--batch_size", "0"], "batch_size 0 must be 1 or more"),
        (6, 4, ["--goal", "80"], "goal 80.0 is outside (0, 1]"),
        (6, 4, ["--minutes_per_mask", "nan"], "minutes_per_mask nan must be above 0"),
        (6, 4, ["--val_ratio", "0.1"], "--val_ratio has no meaning here"),
    ],
)
def test_what_cannot_be_is_said_and_leaves_nothing(tmp_path, capsys, pictures, masks, flags, message):
    words = draw(tmp_path, pictures, masks)
    assert main([*words, *flags, "--output_dir", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_pictures_are_needed_and_masks(tmp_path, capsys):
    assert main(["--output_dir", str(tmp_path / "out")]) == 2
    assert "give --images DIR" in capsys.readouterr().err
    words = draw(tmp_path, 4, 0)[:2]
    assert main([*words, "--output_dir", str(tmp_path / "out")]) == 2
    assert "no picture has a mask, and an advice compares by them" in capsys.readouterr().err

"""`suggest` from prepared pictures to its list, and what it refuses; a replay from labels to its interval."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from own_pictures import indices, labels_of, source_of, write_masks, write_pictures
from sample_latent import save_untrained
from sample_weights import write_weights

from core.classes import ClassSet
from core.networks.unet import initialise
from data.opened import open_data
from data.pictures import read_mask
from data.prepare import main as prepare
from data.prepared.part import write_part
from experiments.suggest import main
from reconstruction.network import Autoencoder

CLASSES = ("background", "box", "ring")
SIDE = 40


@pytest.fixture(scope="module")
def mine(tmp_path_factory) -> Path:
    """Thirty pictures of one's own in two folders, 16 with a mask, prepared without Test."""
    folder = tmp_path_factory.mktemp("mine")
    names = [f"{'ab'[number % 2]}/{number:02}" for number in range(30)]
    write_pictures(folder / "photos", names)
    write_masks(folder / "masks", {name: indices(seed, 3) for seed, name in enumerate(names[:16])})
    words = ["--dataset", "folder", "--images", folder / "photos", "--masks", folder / "masks", "--size", SIDE]
    words += ["--classes", *CLASSES, "--test_ratio", 0, "--val_ratio", 0.2, "--output_dir", folder / "data"]
    assert prepare([*map(str, words)]) == 0
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> dict[str, Path]:
    """Weights of both phases that were never trained."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(1)
    architecture = {"width": 2}
    model = Autoencoder(**architecture)
    initialise(model)
    save_untrained(folder / "1.safetensors", model, architecture)
    return {
        "phase 1": folder / "1.safetensors",
        "phase 2": write_weights(folder / "2.safetensors", 3, SIDE, ClassSet(CLASSES)),
        "pets": write_weights(folder / "pets.safetensors", 3, SIDE),
        "grey": write_weights(folder / "grey.safetensors", 3, SIDE, ClassSet(CLASSES), in_channels=1),
    }


def call(mine: Path, output: Path, *more: object) -> int:
    words = ["--data_dir", mine / "data", "--output_dir", output, "--device", "cpu", *more]
    return main([*map(str, words)])


def rows(output: Path) -> list[dict[str, str]]:
    with (output / "suggestion.csv").open() as file:
        return list(csv.DictReader(file))


def unlabelled(mine: Path) -> set[str]:
    split = open_data(mine / "data").split("Train")
    return {f"{name}.jpg" for name, row in zip(split.names, split.label_rows, strict=True) if row < 0}


@pytest.mark.parametrize(("phase", "way"), [("phase 1", "typical"), ("phase 2", "uncertain")])
def test_weights_have_their_way(mine, weights, tmp_path, phase, way, capsys):
    assert call(mine, tmp_path / "out", "--model_path", weights[phase], "--number", 5) == 0
    said = capsys.readouterr().out
    content = json.loads((tmp_path / "out/suggestion.json").read_text())
    assert content["way"] == way
    assert "was not measured" in said
    assert "--replay" in said
    found = rows(tmp_path / "out")
    assert [row["rank"] for row in found] == list("12345")
    assert len({row["file"] for row in found} & unlabelled(mine)) == 5
    assert [row["file"] for row in found] == [row["file"] for row in content["pictures"]]
    assert all((mine / "photos" / row["file"]).is_file() for row in found)
    assert (tmp_path / "out/contact_sheet.png").read_bytes().startswith(b"\x89PNG")
    assert content["provenance"]["data_sha256"] == open_data(mine / "data").fingerprint
    # The same again, over what it wrote.
    assert call(mine, tmp_path / "out", "--model_path", weights[phase], "--number", 5) == 0
    assert rows(tmp_path / "out") == found
    assert not (tmp_path / "out/replay").exists()


def test_pictures_may_be_grey_and_of_any_shape(rectangles, tmp_path):
    data = open_data(rectangles)
    weights = write_weights(tmp_path / "w.safetensors", 3, SIDE, data.class_set, in_channels=data.manifest.channels)
    words = ["--data_dir", rectangles, "--model_path", weights, "--number", 2, "--device", "cpu"]
    for way in ("typical", "uncertain", "random"):
        assert main([*map(str, words), "--way", way, "--output_dir", str(tmp_path / way)]) == 0
        assert len(rows(tmp_path / way)) == 2
        assert (tmp_path / way / "contact_sheet.png").is_file()


def test_chance_needs_no_weights(mine, tmp_path):
    assert call(mine, tmp_path / "out", "--way", "random", "--number", len(unlabelled(mine))) == 0
    assert {row["file"] for row in rows(tmp_path / "out")} == unlabelled(mine)


def test_pre_annotations_come_back_as_masks_and_are_never_overwritten(mine, weights, tmp_path, capsys):
    words = ["--model_path", weights["phase 2"], "--number", 4, "--write", "labelme,coco"]
    assert call(mine, tmp_path / "out", *words) == 0
    suggested = {row["file"].removesuffix(".jpg") for row in rows(tmp_path / "out")}
    here = tmp_path / "out/pre_annotations"
    for masks in (here / "labelme", here / "annotations_coco.json"):
        found = labels_of(source_of(mine / "photos", masks))
        assert set(found) == suggested
        for name, label in found.items():
            np.testing.assert_array_equal(label, read_mask(here / f"masks/{name}.png"))
    capsys.readouterr()
    before = {path: path.read_bytes() for path in here.rglob("*.json")}
    assert call(mine, tmp_path / "out", *words) == 2
    assert "which you may have corrected: choose another --output_dir" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other/suggestion.csv").write_text("my own")
    assert call(mine, tmp_path / "other", *words) == 2
    assert "suggestion.csv is there, and of no earlier suggestion" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["suggestion.csv"]


@pytest.mark.parametrize(
    ("which", "flags", "message"),
    [
        (None, [], "give the weights of a training run, of either phase"),
        (None, ["--way", "random", "--write", "coco"], "--write needs weights of phase 2"),
        ("phase 1", ["--way", "uncertain"], "--way uncertain needs weights of phase 2"),
        ("phase 1", ["--write", "coco"], "--write needs weights of phase 2"),
        ("phase 2", ["--number", "99"], "--number 99 is more than the"),
        ("phase 2", ["--write", "cocos"], "did you mean coco?"),
        ("phase 2", ["--replay", "--way", "random"], "--replay compares a way with random"),
        ("phase 2", ["--beta", "-1"], "beta -1.0 must be at least 0"),
        ("pets", [], "tells background, cat, dog apart"),
        ("grey", [], "was trained on pictures of 1 channels"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(mine, weights, tmp_path, which, flags, message, capsys):
    given = ["--model_path", weights[which]] if which else []
    assert call(mine, tmp_path / "out", *given, "--number", 3, *flags) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_there_must_be_pictures_without_a_mask(mine, weights, tmp_path, capsys):
    train = open_data(mine / "data").split("Train")
    names = {"Train": {train.names[index] for index in train.labelled}}
    write_part(mine / "data", tmp_path / "data", names)
    assert call(tmp_path, tmp_path / "out", "--model_path", weights["phase 2"]) == 2
    assert "every picture of Train has a mask" in capsys.readouterr().err
    write_part(mine / "data", tmp_path / "none/data", {"Train": set(train.names)})
    assert call(tmp_path / "none", tmp_path / "out", "--model_path", weights["phase 2"], "--number", 3, "--replay") == 2
    assert "--replay scores on Val" in capsys.readouterr().err


def test_a_part_of_prepared_data_is_whole(mine, tmp_path):
    whole, chosen = open_data(mine / "data"), {}
    for name in ("Train", "Val"):
        chosen[name] = set(whole.split(name).names[::2])
    write_part(mine / "data", tmp_path / "part", chosen)
    part = open_data(tmp_path / "part")
    assert part.fingerprint != whole.fingerprint
    assert part.manifest.counts["Test"].images == 0
    for name, names in chosen.items():
        ours, theirs = part.split(name), whole.split(name)
        assert set(ours.names) == names
        for place, own in enumerate(ours.names):
            index = theirs.names.index(own)
            np.testing.assert_array_equal(ours.images[place], theirs.images[index])
            ours.require_as_prepared(place)
            assert (ours.label_rows[place] < 0) == (theirs.label_rows[index] < 0)
    write_part(mine / "data", tmp_path / "all", {split: set(whole.split(split).names) for split in ("Train", "Val")})
    assert open_data(tmp_path / "all").fingerprint == whole.fingerprint


@pytest.mark.all
@pytest.mark.parametrize(("phase", "way"), [("phase 1", "typical"), ("phase 2", "uncertain")])
def test_a_replay_goes_on_and_decides(mine, weights, tmp_path, phase, way, capsys):
    words = ["--model_path", weights[phase], "--number", 3, "--replay", "--replay_seeds", 2, "--replay_steps", 2]
    words += ["--jobs", 1, "--allow_seen"]
    assert call(mine, tmp_path / "out", *words) == 0
    said = capsys.readouterr().out
    content = json.loads((tmp_path / "out/suggestion.json").read_text())
    replay = content["replay"]
    labelled = len(open_data(mine / "data").split("Train").labelled)
    assert (replay["labels"], replay["begun_with"], replay["way"]) == (labelled, 4, way)
    assert set(replay["scores"]) == {way, "random"}
    difference = np.subtract(replay["scores"][way], replay["scores"]["random"])
    assert replay["difference"]["value"] == pytest.approx(difference.mean())
    assert replay["beats_random"] == (replay["difference"]["low"] > 0)
    assert content["way"] == (way if replay["beats_random"] else "random")
    assert ("beats random here" in said) == replay["beats_random"]
    # Both choices add as many to the same, which Val never holds; nothing of Test is there.
    for seed in range(2):
        names = {}
        for name in (way, "random"):
            data = open_data(next((tmp_path / "out/replay").iterdir()) / f"{seed}_{name}/data")
            assert data.manifest.counts["Test"].images == 0
            names[name] = set(data.split("Train").names)
            assert len(names[name]) == 4 + replay["added"]
        assert len(names[way] & names["random"]) >= 4
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/replay").rglob("*.safetensors")}
    assert call(mine, tmp_path / "out", *words) == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out/replay").rglob("*.safetensors")} == before

"""Prepared data are opened once, and every field of their manifest is what it must be."""

import json
from pathlib import Path
from typing import Any

import pytest
from sample_classes import head_of, write_data

from core.classes import ClassSet
from core.errors import UserError
from data.manifest import SPLITS, read_manifest
from data.opened import open_data
from reconstruction.evaluate import main as evaluate_autoencoder
from reconstruction.train import main as train_autoencoder
from transfer_learning.evaluate import main as evaluate_segmentation
from transfer_learning.train import main as train_segmentation

CLASSES = ClassSet(("sky", "road"), background=None)
FORMAT_1 = {"format_version": 1, "size": 48, "class_names": ["background", "cat", "dog"]}


def written(folder: Path, head: dict[str, Any]) -> Path:
    (folder / "manifest.json").write_text(json.dumps({**head, "images": []}))
    return folder


@pytest.fixture
def readings(monkeypatch) -> list[Path]:
    """Every opening of a manifest."""
    opened, opens = [], Path.open

    def counted(self, *arguments, **settings):
        if self.name == "manifest.json":
            opened.append(self)
        return opens(self, *arguments, **settings)

    monkeypatch.setattr(Path, "open", counted)
    return opened


def test_a_command_reads_head_and_records_once(pets, tmp_path, readings):
    small = ["--data_dir", str(pets), "--device", "cpu", "--batch_size", "8"]
    training = [*small, "--width", "2", "--amp", "off", "--max_steps", "1", "--val_every", "1"]
    encoder = tmp_path / "ae" / "best_model.safetensors"
    weights = tmp_path / "seg" / "best_model.safetensors"
    commands = [
        (train_autoencoder, [*training, "--perceptual_weight", "0", "--output_dir", str(encoder.parent)]),
        (train_segmentation, [*training, "--pretrained_encoder", str(encoder), "--output_dir", str(weights.parent)]),
    ]
    for main, model in ((evaluate_autoencoder, encoder), (evaluate_segmentation, weights)):
        out = ["--output_dir", str(tmp_path / main.__module__)]
        commands.append((main, [*small, "--model_path", str(model), "--visualize_samples", "0", *out]))
    for main, flags in commands:
        readings.clear()
        assert main(flags) == 0
        # And once for its digest, which tells that nothing changed since the command was called before.
        assert readings == [pets / "manifest.json"] * 3, main.__module__


def test_splits_are_the_same_whether_opened_together_or_alone(tmp_path, readings):
    write_data(tmp_path, CLASSES, tags={"camera": [f"{number % 2}" for number in range(12)]})
    readings.clear()
    data = open_data(tmp_path)
    together = data.splits(*SPLITS)
    assert len(readings) == 2
    for name, split in zip(SPLITS, together, strict=True):
        alone = data.split(name)
        assert alone.name == split.name == name
        assert alone.names == split.names
        assert (alone.tags, alone.strata, alone.geometries) == (split.tags, split.strata, split.geometries)
        assert (alone.images == split.images).all()
        assert (alone.labels == split.labels).all()
    assert sorted(name for split in together for name in split.names) == sorted(f"picture{n}" for n in range(12))
    assert (data.class_set.names, data.fingerprint) == (CLASSES.names, data.manifest.fingerprint)


def test_records_hold_the_splits_asked_for_and_what_is_alike_once(tmp_path):
    records = open_data(write_data(tmp_path, CLASSES)).records("Val", "Test")
    assert list(records) == ["Val", "Test"]
    assert [record.name for record in records["Val"]] == ["picture1", "picture10", "picture4", "picture7"]
    assert len({id(record.geometry) for found in records.values() for record in found}) == 1


DAMAGED = [
    ("dataset", 3, "dataset: Input should be a valid string"),
    ("source", "pets", "source: Input should be a valid dictionary"),
    ("size", [48], "size: 1 sides of 2"),
    ("size", [48, "48"], "size.1: Input should be a valid integer"),
    ("size", [0, 48], "size.0: Input should be greater than or equal to 1"),
    ("resize_mode", "crop", "resize_mode: Input should be 'letterbox', 'stretch' or 'own'"),
    ("seed", 4.5, "seed: Input should be a valid integer"),
    ("ratios", {"val": "0.2"}, "ratios.val: Input should be a valid number"),
    ("class_set", ["sky"], "class_set: ['sky'] does not describe classes"),
    ("class_set", {**CLASSES.content(), "names": "sky"}, "class_set: {'names': 'sky'"),
    ("class_set", {**CLASSES.content(), "background": 0.5}, "class_set: background 0.5 is none of the 2 classes"),
    ("class_set", {**CLASSES.content(), "names": ["sky"]}, "class_set: 1 classes: a segmentation tells 2 to 254"),
    ("channels", 4, "channels: pictures have 1 or 3"),
    ("stratum", 1, "stratum: Input should be a valid string"),
    ("tags", "breed", "tags: Input should be a valid tuple"),
    ("tags", [1], "tags.0: Input should be a valid string"),
    ("counts", {"Train": {"images": 3, "labelled": 1}}, "counts: it lacks Val, Test"),
    ("counts", {"Train": {"images": 3}}, "counts.Train.labelled: Field required"),
    ("counts", {"Train": {"images": -1, "labelled": 0}}, "counts.Train.images: Input should be greater than or"),
    ("fingerprint", "cut", "fingerprint: String should match pattern"),
    ("listing", 7, "listing: Input should be a valid string"),
    ("value_range", [3], "value_range.1: Field required"),
    ("value_range", ["a", 3], "value_range.0: Input should be a valid number"),
]


@pytest.mark.parametrize(("field", "value", "message"), DAMAGED)
def test_a_damaged_field_gives_one_line(tmp_path, field, value, message, capsys):
    folder = written(tmp_path, {**head_of(CLASSES), field: value})
    with pytest.raises(UserError) as error:
        open_data(folder)
    line = str(error.value)
    assert line.startswith(f"{folder / 'manifest.json'} is damaged ({message}")
    assert line.endswith(f": delete {folder} and run python -m data.prepare --output_dir {folder}")
    assert train_segmentation(["--data_dir", str(folder), "--output_dir", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("version", [1, 2])
def test_every_field_that_is_read_must_be_there(tmp_path, version):
    head = {**head_of(CLASSES), **(FORMAT_1 if version == 1 else {})}
    made_of_others = {"class_set", "channels", "stratum", "tags"} if version == 1 else {"class_names"}
    for field in head.keys() - made_of_others - {"format_version"}:
        folder = written(tmp_path, {name: value for name, value in head.items() if name != field})
        with pytest.raises(UserError) as error:
            open_data(folder)
        named = "class_set" if field == "class_names" else field
        assert f"manifest.json is damaged ({named}" in str(error.value)


@pytest.mark.parametrize("names", ["cat", ["background"], [["cat"], "dog"], None])
def test_classes_of_format_1_that_are_none_give_the_line_too(tmp_path, names):
    folder = written(tmp_path, {**head_of(CLASSES), **FORMAT_1, "class_names": names})
    with pytest.raises(UserError, match=r"manifest\.json is damaged \(class_set: "):
        open_data(folder)


def test_what_else_a_manifest_says_does_no_harm(tmp_path):
    more = {"listing": "d" * 64, "masks": {"found_by": "{name}.png"}, "value_range": [3.0, 4.5], "trimaps": False}
    head = read_manifest(written(tmp_path, {**head_of(CLASSES), **more, "pictures_of_classes": None}))
    assert (head.class_set.names, head.class_set.background) == (CLASSES.names, None)
    assert (head.value_range, head.listing) == ((3.0, 4.5), "d" * 64)
    assert (head.size, head.tags, head.counts["Val"].images) == ((40, 40), (), 0)

"""One's own pictures and the synthetic ones."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sample_pets import picture, pixels, report_of, run, trimap

from core.errors import UserError
from data.manifest import read_records
from data.prepare import prepare
from data.prepare_config import PrepareConfig


@pytest.fixture
def folder(tmp_path) -> PrepareConfig:
    """20 of one's own pictures, some in a subfolder, six with masks."""
    images, masks = tmp_path / "images", tmp_path / "images" / "masks"
    for index in range(20):
        name = f"{'deep/er/' if index % 3 == 0 else ''}pet.{index}"
        suffix = ("jpg", "png", "webp")[index % 3]
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(index, 30 + index)).save(images / f"{name}.{suffix}")
        if index < 6:
            (masks / name).parent.mkdir(parents=True, exist_ok=True)
            label = np.full((30 + index, 60), 255 if index == 5 else 0, np.uint8)
            label[5:20, 5:20] = (1, 2, 0, 1, 2, 0)[index]
            label[0, :3] = (0, 1, 2)
            label[0, 3] = 1 if index in (0, 3) else 0
            Image.fromarray(label * np.uint8(index != 2)).save(masks / f"{name}.png")
    (images / "notes.txt").write_text("not a picture")
    (images / ".hidden.jpg").write_bytes(b"x")
    return PrepareConfig(dataset="folder", images=images, masks=masks, output_dir=tmp_path / "out", size=48)


def test_own_pictures_with_some_masks(folder):
    manifest = run(folder)
    by_name = {record["name"]: record for record in manifest["images"]}
    assert len(by_name) == 20
    assert {name for name, record in by_name.items() if record["labelled"]} == {
        "deep/er/pet.0", "pet.1", "pet.2", "deep/er/pet.3", "pet.4", "pet.5"
    }  # fmt: skip
    assert manifest["class_set"]["names"] == ["background", "class_1", "class_2"]
    assert (by_name["deep/er/pet.0"]["tags"], by_name["pet.1"]["tags"]) == ({"folder": "deep/er"}, {"folder": "."})
    assert {split: count["images"] for split, count in manifest["counts"].items()} == {"Train": 13, "Val": 3, "Test": 4}
    for name in ("deep/er/pet.0", "pet.5"):
        truth = folder.output_dir / by_name[name]["split"] / "original_labels" / f"{name}.png"
        np.testing.assert_array_equal(pixels(truth), pixels(folder.masks / f"{name}.png"))
    assert [Path(file).name for file, action, _ in report_of(folder) if action == "passed over"] == [
        ".hidden.jpg",
        "notes.txt",
    ]


def test_own_pictures_keep_their_split_with_all_some_or_no_masks(folder):
    some = {record["name"]: record["split"] for record in run(folder)["images"]}
    none = replace(folder, output_dir=folder.output_dir.with_name("none"), masks=folder.images.with_name("no_masks"))
    folder.masks.rename(none.masks)
    assert {record["name"]: record["split"] for record in run(replace(none, masks=None))["images"]} == some


def test_a_picture_added_later_is_noticed(folder, capsys):
    run(folder)
    prepare(folder)
    assert "nothing to do" in capsys.readouterr().out
    Image.fromarray(picture(5)).save(folder.images / "new.png")
    with pytest.raises(UserError, match="changed"):
        prepare(folder)


def test_own_masks_with_other_values_are_refused(folder):
    Image.fromarray(np.full((31, 60), 3, np.uint8)).save(folder.masks / "pet.1.png")
    said = folder.images.parent / "c.yaml"
    said.write_text("background: 0\ncat: 1\ndog: 2\n")
    with pytest.raises(UserError, match=r"c.yaml does not name: 3 \(1860 pixels in 1 masks, first .*pet\.1\.png\)"):
        prepare(replace(folder, classes=(str(said),)))
    assert not folder.output_dir.exists()


def test_a_name_that_is_no_text_is_left_out(folder):
    strange = os.fsencode(folder.images) + b"/caf\xe9.png"
    with open(strange, "wb") as file:  # noqa: PTH123 - a path of bytes
        Image.fromarray(picture(5)).save(file, "png")
    Image.fromarray(picture(6)).save(folder.images / "été\u200d日本.png")  # unusual, but text
    names = [record["name"] for record in run(folder)["images"]]
    assert {"pet.1", "été\u200d日本"} <= set(names)
    assert not any("caf" in name for name in names)
    report = json.loads((folder.output_dir / "prepare_report.json").read_text())
    (entry,) = (entry for entry in report["files"] if "not valid UTF-8" in entry["reason"])
    assert entry["file"].endswith("/caf\\xe9.png")  # as it can be recognised


def test_two_pictures_of_one_name_are_refused(folder):
    Image.fromarray(picture(5)).save(folder.images / "pet.1.bmp")
    with pytest.raises(UserError, match=r"pet\.1\.bmp and pet\.1\.png would get the same name, but differ: rename"):
        prepare(folder)


def test_masks_that_fit_no_picture_are_refused(folder, tmp_path):
    (tmp_path / "others").mkdir()
    Image.fromarray(trimap()).save(tmp_path / "others" / "else.png")
    with pytest.raises(UserError, match=r"no mask in .* fits a picture"):
        prepare(replace(folder, masks=tmp_path / "others"))


def test_synthetic_pictures(tmp_path):
    config = PrepareConfig(dataset="synthetic", num_images=20, size=48, output_dir=tmp_path / "one", workers=2)
    one = run(config)
    assert run(replace(config, output_dir=tmp_path / "two", workers=1))["fingerprint"] == one["fingerprint"]
    assert run(replace(config, output_dir=tmp_path / "three", seed=1))["fingerprint"] != one["fingerprint"]
    assert sum(count["labelled"] for count in one["counts"].values()) == 5
    assert {record["tags"]["species"] for record in one["images"]} == {"cat", "dog"}


def test_our_own_output_is_no_input(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for index in range(6):
        Image.fromarray(picture(index)).save(images / f"{index}.png")
    config = PrepareConfig(dataset="folder", images=images, output_dir=images / "prepared", size=40)
    prepare(config)
    prepare(config)
    again = replace(config, output_dir=tmp_path / "other")
    prepare(again)
    assert len(list(read_records(again.output_dir))) == 6


def test_a_split_without_a_mask_is_said(tmp_path, capsys):
    images, masks = tmp_path / "images", tmp_path / "masks"
    images.mkdir()
    masks.mkdir()
    for index in range(6):
        Image.fromarray(picture(index)).save(images / f"{index}.png")
    Image.fromarray(np.eye(40, 60, dtype=np.uint8)).save(masks / "0.png")
    lists = {"train": [f"{index}" for index in range(1, 4)], "val": ["4", "5"], "test": ["0"]}
    (tmp_path / "splits.json").write_text(json.dumps(lists))
    splits = {"splits": tmp_path / "splits.json", "masks": masks}
    prepare(PrepareConfig(dataset="folder", images=images, output_dir=tmp_path / "out", size=40, **splits))
    said = capsys.readouterr().out
    assert "none of the 1 masks lies in Train (Train 0, Val 0, Test 1), so phase 2 can learn nothing" in said
    assert "none of the 1 masks lies in Val" in said
    assert "lies in Test" not in said

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sample_pets import make_pets, picture, pixels, trimap

from core.errors import UserError
from data.loading import moved, on_device, plain_batches
from data.prepare import prepare
from data.prepare_config import PrepareConfig
from data.split import fingerprint, open_split, trimap_to_label

LABEL_FOLDERS = {"Train": "resized_label", "Val": "processed_labels", "Test": "masks"}


@pytest.fixture
def config(tmp_path) -> PrepareConfig:
    return PrepareConfig(archives=make_pets(tmp_path / "pets"), output_dir=tmp_path / "out", size=48, workers=2)


@pytest.fixture
def data_dir(config) -> Path:
    prepare(config)
    return config.output_dir


@pytest.mark.parametrize("name", ["Train", "Val", "Test"])
def test_the_arrays_hold_what_the_pictures_hold(data_dir, name):
    split = open_split(data_dir, name)
    assert split.names == sorted(path.stem for path in (data_dir / name / "resized").iterdir())
    assert isinstance(split.images, np.memmap)
    assert split.images.shape == (len(split.names), 48, 48, 3)
    for image, stem in zip(split.images, split.names, strict=True):
        np.testing.assert_array_equal(image, pixels(data_dir / name / "resized" / f"{stem}.png"))
    masks = {path.stem for path in (data_dir / name / LABEL_FOLDERS[name]).iterdir()}
    assert [split.names[index] for index in split.labelled] == [stem for stem in split.names if stem in masks]
    for row, index in enumerate(split.labelled):
        assert split.label_rows[index] == row
        file = data_dir / name / LABEL_FOLDERS[name] / f"{split.names[index]}.png"
        np.testing.assert_array_equal(split.labels[row], pixels(file))


def test_rectangles_species_and_truth(data_dir):
    split = open_split(data_dir, "Test")
    assert (split.label_rows == -1).sum() == 4
    assert split.rectangles.dtype == split.label_rows.dtype == np.int64
    for index, name in enumerate(split.names):
        wide = name < "b"
        assert split.rectangles[index].tolist() == ([8, 0, 40, 48] if wide else [0, 12, 48, 35])
        assert split.geometries[index].rectangle == tuple(split.rectangles[index])
        assert (split.species[index], split.breeds[index]) == ("cat" if wide else "dog", name[:-2])
    for index in split.labelled:
        animal, shape = (1, (40, 60)) if split.species[index] == "cat" else (2, (63, 30))
        expected = np.select([trimap(*shape) == 1, trimap(*shape) == 3], [animal, 255], 0)
        np.testing.assert_array_equal(split.truth(index), expected)


def test_an_image_without_a_mask_has_no_truth(data_dir):
    split = open_split(data_dir, "Test")
    with pytest.raises(ValueError, match="has no mask"):
        split.truth(int(np.flatnonzero(split.label_rows < 0)[0]))


def test_the_arrays_are_built_once_and_by_fingerprint(data_dir, config):
    open_split(data_dir, "Val")
    assert fingerprint(data_dir)[:16] in next((data_dir / "arrays").glob("*.npy")).name
    times = {path: path.stat().st_mtime_ns for path in (data_dir / "arrays").iterdir()}
    for path in (data_dir / "Val").rglob("*.png"):
        path.unlink()
    assert len(open_split(data_dir, "Val").names) == 4
    assert {path: path.stat().st_mtime_ns for path in (data_dir / "arrays").iterdir()} == times


def test_a_build_that_breaks_leaves_no_array(data_dir):
    next((data_dir / "Train" / "resized").iterdir()).write_bytes(b"damaged")
    for _ in range(2):
        with pytest.raises(UserError, match=r"Train/resized/.*missing or damaged.*data\.prepare"):
            open_split(data_dir, "Train")
    assert not [path for path in (data_dir / "arrays").iterdir() if path.suffix != ".lock"]


def test_own_labels_are_the_truth_and_a_split_may_lack_masks(tmp_path):
    for index in range(10):
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.fromarray(picture(index)).save(tmp_path / "images" / f"{index}.png")
    config = PrepareConfig(dataset="folder", images=tmp_path / "images", output_dir=tmp_path / "bare", size=48)
    prepare(config)
    train = open_split(config.output_dir, "Train")
    assert train.labels.shape == (0, 48, 48)
    assert not train.labelled.size
    assert set(train.species) == {None}
    (tmp_path / "masks").mkdir()
    label = np.array([0, 2, 0, 255], np.uint8)[trimap()]
    Image.fromarray(label).save(tmp_path / "masks" / f"{train.names[0]}.png")
    config = replace(config, masks=tmp_path / "masks", output_dir=tmp_path / "labelled")
    prepare(config)
    train = open_split(config.output_dir, "Train")
    assert train.labelled.tolist() == [0]
    assert train.species[:2] == ["dog", None]
    np.testing.assert_array_equal(train.truth(0), label)


def test_a_missing_folder_says_what_to_run(tmp_path):
    with pytest.raises(UserError, match=r"holds no prepared data.*python -m data\.prepare"):
        open_split(tmp_path / "nowhere", "Train")


def test_a_missing_or_unknown_split_is_named(data_dir):
    with pytest.raises(UserError, match="unknown split 'Trian': use Train, Val, Test"):
        open_split(data_dir, "Trian")
    manifest = json.loads((data_dir / "manifest.json").read_text())
    manifest["images"] = [record for record in manifest["images"] if record["split"] != "Val"]
    (data_dir / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"no image in the split Val: run python -m data\.prepare"):
        open_split(data_dir, "Val")


@pytest.mark.parametrize("content", ["{cut", "[]", '{"format_version": 0}'])
def test_a_manifest_that_is_not_one_is_refused(data_dir, content):
    (data_dir / "manifest.json").write_text(content)
    with pytest.raises(UserError, match=r"manifest\.json is (damaged|of another version)"):
        open_split(data_dir, "Train")


@pytest.mark.parametrize("value", [3, 254])
def test_labels_outside_the_set_are_refused(data_dir, value):
    file = next((data_dir / "Train" / "resized_label").iterdir())
    label = pixels(file).copy()
    label[20, 20] = value
    Image.fromarray(label).save(file)
    with pytest.raises(UserError, match=f"{file.name} holds values outside the set"):
        open_split(data_dir, "Train")


def test_a_label_of_another_size_is_refused(data_dir):
    file = next((data_dir / "Train" / "resized_label").iterdir())
    Image.fromarray(np.zeros((47, 48), np.uint8)).save(file)
    with pytest.raises(UserError, match="48 x 47 pixels, the manifest says 48 x 48"):
        open_split(data_dir, "Train")


def test_an_altered_truth_is_refused(data_dir):
    split = open_split(data_dir, "Val")
    index = int(split.labelled[0])
    file = data_dir / "Val" / "original_trimaps" / f"{split.names[index]}.png"
    original = pixels(file)
    Image.fromarray(original[1:]).save(file)
    with pytest.raises(UserError, match="its image was"):
        split.truth(index)
    Image.fromarray(original * 9).save(file)
    with pytest.raises(UserError, match="outside the set"):
        split.truth(index)


def test_trimap_to_label():
    trimap_values = np.array([[1, 2, 3, 0, 4, 255]], np.uint8)
    assert trimap_to_label(trimap_values, "cat").tolist() == [[1, 0, 255, 254, 254, 254]]
    assert trimap_to_label(trimap_values, "dog").tolist() == [[2, 0, 255, 254, 254, 254]]


def test_arrays_on_a_device_give_the_same_batches(data_dir):
    device = torch.device("cpu")
    split = open_split(data_dir, "Train")
    assert on_device(split, device, None) is split
    for indices in (split.labelled[::-1].copy(), np.arange(len(split.names))):
        pair = [next(plain_batches(s, indices, 8, device))[1] for s in (split, moved(split, device))]
        for one, other in zip(*(vars(batch).values() for batch in pair), strict=True):
            assert one is None if other is None else torch.equal(one, other)

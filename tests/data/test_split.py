import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sample_pets import make_pets, picture, pixels, trimap

from core.classes import ClassSet
from core.errors import UserError
from data import prepare as command
from data.loading import moved, on_device, plain_batches, strata_groups
from data.opened import open_data
from data.prepare import prepare
from data.prepare_config import PrepareConfig
from data.sources.source import Sample, Source
from data.trimaps import trimap_to_label

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
    split = open_data(data_dir).split(name)
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
    split = open_data(data_dir).split("Test")
    assert (split.label_rows == -1).sum() == 4
    assert split.rectangles.dtype == split.label_rows.dtype == np.int64
    for index, name in enumerate(split.names):
        wide = name < "b"
        assert split.rectangles[index].tolist() == ([8, 0, 40, 48] if wide else [0, 12, 48, 35])
        assert split.geometries[index].rectangle == tuple(split.rectangles[index])
        assert {tag: values[index] for tag, values in split.tags.items()} == {
            "species": "cat" if wide else "dog",
            "breed": name[:-2],
        }
    for index in split.labelled:
        animal, shape = (1, (40, 60)) if split.strata[index] == "cat" else (2, (63, 30))
        expected = np.select([trimap(*shape) == 1, trimap(*shape) == 3], [animal, 255], 0)
        np.testing.assert_array_equal(split.truth(index), expected)


def test_an_image_without_a_mask_has_no_truth(data_dir):
    split = open_data(data_dir).split("Test")
    with pytest.raises(ValueError, match="has no mask"):
        split.truth(int(np.flatnonzero(split.label_rows < 0)[0]))


def test_the_arrays_are_built_once_and_by_fingerprint(data_dir, config):
    open_data(data_dir).split("Val")
    assert open_data(data_dir).fingerprint[:16] in next((data_dir / "arrays").glob("*.npy")).name
    times = {path: path.stat().st_mtime_ns for path in (data_dir / "arrays").iterdir()}
    for path in (data_dir / "Val").rglob("*.png"):
        path.unlink()
    assert len(open_data(data_dir).split("Val").names) == 4
    assert {path: path.stat().st_mtime_ns for path in (data_dir / "arrays").iterdir()} == times


def test_a_build_that_breaks_leaves_no_array(data_dir):
    shutil.rmtree(data_dir / "arrays")  # which are built again
    next((data_dir / "Train" / "resized").iterdir()).write_bytes(b"damaged")
    for _ in range(2):
        with pytest.raises(UserError, match=r"Train/resized/.*missing or damaged.*data\.prepare"):
            open_data(data_dir).split("Train")
    assert not [path for path in (data_dir / "arrays").iterdir() if path.suffix != ".lock"]


def test_a_split_may_lack_masks(tmp_path):
    (tmp_path / "images").mkdir()
    for index in range(10):
        Image.fromarray(picture(index)).save(tmp_path / "images" / f"{index}.png")
    config = PrepareConfig(dataset="folder", images=tmp_path / "images", output_dir=tmp_path / "bare", size="48x32")
    prepare(config)
    train = open_data(config.output_dir).split("Train")
    assert train.labels.shape == (0, 48, 32)
    assert not train.labelled.size
    assert set(train.strata) == {None}


class Made:
    """A source of eight grey pictures of 20 x 30 pixels with five classes, the rarest in one picture alone."""

    classes = ClassSet(("sky", "road", "car", "=1+1", "mean_iou"), background=None)

    def read(self, config: PrepareConfig) -> Source:
        samples = [self.sample(index) for index in range(8)]
        return Source(samples, self.classes, channels=1)

    def sample(self, index: int) -> Sample:
        def label() -> np.ndarray:
            plane = np.zeros((20, 30), np.uint8)
            plane[5:, :10], plane[5:, 10:] = 1, 255
            if index in (2, 3):
                plane[:4, 3:9] = 2
            plane[10:, 12:] = 4 if index == 3 else plane[10:, 12:]
            return plane

        def image() -> tuple[np.ndarray, list[str]]:
            return picture(index, 20, 30)[..., 0], []

        split = {6: "Val", 7: "Test"}.get(index, "Train")
        return Sample(f"p{index}", split, f"p{index}.png", image, f"m{index}.png", label if index else None)


@pytest.fixture
def made(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(command, "open_source", Made().read)
    config = PrepareConfig(dataset="drawn_pets", output_dir=tmp_path / "made", size="24x40", workers=1)
    prepare(config)
    return config.output_dir


def test_classes_channels_and_sides_come_from_the_data(made):
    split = open_data(made).split("Train")
    assert split.class_set.names == Made().classes.names
    assert split.class_set.background is None
    assert (split.channels, split.size) == (1, (24, 40))
    assert split.images.shape == (6, 24, 40, 1)
    assert split.labels.shape == (5, 24, 40)
    np.testing.assert_array_equal(split.truth(3), Made().sample(3).label())
    (index, batch) = next(plain_batches(split, np.array([0, 3]), 2, torch.device("cpu")))
    assert batch.clean.shape == (2, 1, 24, 40)
    assert index.tolist() == [0, 3]


def test_without_a_tag_the_rarest_class_is_the_stratum(made):
    # sky and road are held by five pictures, car by two, mean_iou by one; a tie goes to the lower number.
    assert open_data(made).split("Train").strata == [None, "sky", "car", "mean_iou", "sky", "sky"]


def test_balance_draws_by_the_strata(made):
    split = open_data(made).split("Train")
    groups = strata_groups(split, split.labelled, True)
    assert sorted(group.tolist() for group in groups) == [[1, 4, 5], [2], [3]]
    with pytest.raises(UserError, match="needs the classes of every picture; 1 have none"):
        strata_groups(split, np.arange(6), True)


def test_a_class_that_no_mask_holds_is_noted(made):
    files = json.loads((made / "prepare_report.json").read_text())["files"]
    reason = "no mask of Train holds this class, nor does any other: it cannot be learned"
    assert files == [{"file": "=1+1", "action": "class without a picture", "reason": reason}]


def test_masks_of_one_class_leave_nothing_to_learn(tmp_path, monkeypatch):
    one = np.zeros((20, 30), np.uint8)

    def read(config: PrepareConfig) -> Source:
        whole = Made().read(config)
        alike = [replace(sample, label=lambda: one) for sample in whole.samples]
        return replace(whole, samples=alike)

    monkeypatch.setattr(command, "open_source", read)
    with pytest.raises(UserError, match="hold one class alone, sky, so nothing could be told apart: what lies around"):
        prepare(PrepareConfig(dataset="drawn_pets", output_dir=tmp_path / "out", size=24, workers=1))
    assert not list(tmp_path.iterdir())


@pytest.fixture
def format_1(config) -> Path:
    """The same pets as format 1 kept them: trimaps, species and breed in the records, one number for the size."""
    prepare(config)
    root = config.output_dir
    manifest = json.loads((root / "manifest.json").read_text())
    for record in manifest["images"]:
        tags, geometry = record.pop("tags"), record["geometry"]
        record.pop("classes")
        record |= {"species": tags["species"], "breed": tags["breed"]}
        geometry["size"] = geometry.pop("canvas_height")
        geometry.pop("canvas_width")
        truth = root / record["split"] / "original_labels" / f"{record['name']}.png"
        if record["labelled"]:
            label = pixels(truth)
            (root / record["split"] / "original_trimaps").mkdir(exist_ok=True)
            made = np.select([label == 0, label == 255], [2, 3], 1).astype(np.uint8)
            Image.fromarray(made).save(root / record["split"] / "original_trimaps" / truth.name)
            truth.unlink()
    names = manifest["class_set"]["names"]
    for key in ("class_set", "channels", "stratum", "tags", "pictures_of_classes", "sha256"):
        manifest.pop(key)
    manifest["source"] = {"archives": manifest["source"]["archives"]}
    manifest |= {"format_version": 1, "size": 48, "class_names": names}
    for counts in manifest["counts"].values():
        counts |= {"cat": 1, "dog": 1}
    (root / "manifest.json").write_text(json.dumps({"images": manifest.pop("images"), **manifest}))
    return root


def test_what_format_1_prepared_is_read_alike(config, format_1, capsys):
    manifest = json.loads((format_1 / "manifest.json").read_text())
    images = manifest.pop("images")
    (format_1 / "manifest.json").write_text(json.dumps({**manifest, "images": images}))
    other = replace(config, output_dir=config.output_dir.with_name("new"))
    prepare(other)
    for name in ("Train", "Val", "Test"):
        old, new = open_data(format_1).split(name), open_data(other.output_dir).split(name)
        for field in ("size", "channels", "names", "tags", "strata", "geometries", "class_set"):
            assert getattr(old, field) == getattr(new, field)
        np.testing.assert_array_equal(old.images, new.images)
        for index in old.labelled:
            np.testing.assert_array_equal(old.truth(index), new.truth(index))
    capsys.readouterr()
    prepare(config)
    assert "already prepared" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"other settings \(--seed 42 there, 3 asked\)"):
        prepare(replace(config, seed=3))


def test_settings_that_format_1_did_not_know_are_not_taken_for_prepared(tmp_path):
    (tmp_path / "images").mkdir()
    for index in range(6):
        Image.fromarray(picture(index)).save(tmp_path / "images" / f"{index}.png")
    config = PrepareConfig(dataset="folder", images=tmp_path / "images", output_dir=tmp_path / "out", size=40)
    prepare(config)
    path = config.output_dir / "manifest.json"
    manifest = json.loads(path.read_text())
    images = manifest.pop("images")
    manifest.pop("sha256")
    manifest["format_version"] = 2
    for record in images:
        record.pop("sha256")
    manifest |= {"format_version": 1, "size": 40, "class_names": ["background", "cat", "dog"]}
    manifest["source"] = {"images": manifest["source"]["images"], "masks": None}
    path.write_text(json.dumps({**manifest, "images": images}))
    prepare(config)
    with pytest.raises(UserError, match="was prepared with other settings"):
        prepare(replace(config, channels=1))


def test_a_missing_folder_says_what_to_run(tmp_path):
    with pytest.raises(UserError, match=r"holds no prepared data.*python -m data\.prepare"):
        open_data(tmp_path / "nowhere").split("Train")


def test_a_missing_or_unknown_split_is_named(data_dir):
    with pytest.raises(UserError, match="unknown split 'Trian': use Train, Val, Test"):
        open_data(data_dir).split("Trian")
    manifest = json.loads((data_dir / "manifest.json").read_text())
    manifest["images"] = [record for record in manifest["images"] if record["split"] != "Val"]
    for record in manifest["images"]:
        record.pop("sha256")  # so that nobody could tell
    manifest.pop("sha256")
    manifest["format_version"] = 2
    manifest["counts"]["Val"] = {"images": 0, "labelled": 0}
    (data_dir / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"no image in the split Val: run python -m data\.prepare"):
        open_data(data_dir).split("Val")


@pytest.mark.parametrize("content", ["{cut", "[]", '{"format_version": 0}'])
def test_a_manifest_that_is_not_one_is_refused(data_dir, content):
    (data_dir / "manifest.json").write_text(content)
    with pytest.raises(UserError, match=r"manifest\.json is (damaged|of another version)"):
        open_data(data_dir).split("Train")


@pytest.mark.parametrize("value", [3, 254])
def test_labels_outside_the_set_are_refused(data_dir, value):
    shutil.rmtree(data_dir / "arrays")  # which are built again
    file = next((data_dir / "Train" / "resized_label").iterdir())
    label = pixels(file).copy()
    label[20, 20] = value
    Image.fromarray(label).save(file)
    with pytest.raises(UserError, match=f"{file.name} holds values outside the set"):
        open_data(data_dir).split("Train")


def test_a_label_of_another_size_is_refused(data_dir):
    shutil.rmtree(data_dir / "arrays")  # which are built again
    file = next((data_dir / "Train" / "resized_label").iterdir())
    Image.fromarray(np.zeros((47, 48), np.uint8)).save(file)
    with pytest.raises(UserError, match="48 x 47 pixels, the manifest says 48 x 48"):
        open_data(data_dir).split("Train")


def test_an_altered_truth_is_refused(data_dir):
    split = open_data(data_dir).split("Val")
    index = int(split.labelled[0])
    file = data_dir / "Val" / "original_labels" / f"{split.names[index]}.png"
    original = pixels(file)
    Image.fromarray(original[1:]).save(file)
    with pytest.raises(UserError, match="its image was"):
        split.truth(index)
    Image.fromarray(original * 9).save(file)
    with pytest.raises(UserError, match="outside the set"):
        split.truth(index)


def test_trimap_to_label():
    trimap_values = np.array([[1, 2, 3, 0, 4, 255]], np.uint8)
    assert trimap_to_label(trimap_values, 1).tolist() == [[1, 0, 255, 254, 254, 254]]
    assert trimap_to_label(trimap_values, 2).tolist() == [[2, 0, 255, 254, 254, 254]]
    assert trimap_to_label(trimap_values, None).tolist() == [[254, 0, 255, 254, 254, 254]]


def test_arrays_on_a_device_give_the_same_batches(data_dir):
    device = torch.device("cpu")
    split = open_data(data_dir).split("Train")
    assert on_device(split, device, None) is split
    for indices in (split.labelled[::-1].copy(), np.arange(len(split.names))):
        pair = [next(plain_batches(s, indices, 8, device))[1] for s in (split, moved(split, device))]
        for one, other in zip(*(vars(batch).values() for batch in pair), strict=True):
            assert one is None if other is None else torch.equal(one, other)

"""`predict --write`: masks as pre-annotations of labelling tools, which a preparation reads back as they were."""

import json
from pathlib import Path

import numpy as np
import pytest
from own_pictures import labels_of, source_of, write_pictures
from pycocotools.coco import COCO
from sample_weights import PETS, write_weights

from data.pictures import read_mask
from transfer_learning.predict import main as predict

NAMES = ["a/tom", "b/ida", "bob"]
MASKS = {
    "coco": "annotations_coco.json",
    "label_studio": "label_studio.json",
    "labelme": "labelme",
    "yolo": "yolo/labels",
}
ALL = ",".join(MASKS)
FOUND = ["annotations_coco.json", "label_studio.json", "label_studio.xml", "labelme/labels.txt", "yolo/data.yaml"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "best_model.safetensors", seed=3)


@pytest.fixture(scope="module")
def predicted(tmp_path_factory, weights) -> Path:
    folder = tmp_path_factory.mktemp("predicted")
    write_pictures(folder / "photos", NAMES)
    assert run(folder, weights, ALL) == 0
    return folder


def run(folder: Path, weights: Path, write: str, *more: str) -> int:
    words = ["--model_path", weights, "--input", folder / "photos", "--output_dir", folder / "made", "--no_figures"]
    return predict([*map(str, words), "--device", "cpu", "--write", write, *more])


@pytest.mark.parametrize("which", MASKS)
def test_predictions_are_read_back_to_the_bit(predicted, which):
    source = source_of(predicted / "photos", predicted / "made" / MASKS[which])
    assert source.classes.names == PETS.names
    found = labels_of(source)
    assert sorted(found) == NAMES
    for name, label in found.items():
        mask = read_mask(predicted / f"made/masks/{name}.png")
        assert len(np.unique(mask)) > 1
        np.testing.assert_array_equal(label, mask)


def test_pycocotools_opens_what_was_predicted(predicted):
    loaded = COCO(str(predicted / "made/annotations_coco.json"))
    assert [category["name"] for category in loaded.loadCats(loaded.getCatIds())] == list(PETS.names[1:])
    for image in loaded.loadImgs(loaded.getImgIds()):
        assert (predicted / "photos" / image["file_name"]).is_file()
        label = np.zeros((image["height"], image["width"]), np.uint8)
        for annotation in loaded.loadAnns(loaded.getAnnIds(imgIds=image["id"])):
            label[loaded.annToMask(annotation) > 0] = annotation["category_id"]
        name = Path(image["file_name"]).with_suffix(".png")
        np.testing.assert_array_equal(label, read_mask(predicted / "made/masks" / name))


def test_pictures_lie_where_labelme_looks_for_them(predicted):
    for name in NAMES:
        path = predicted / f"made/labelme/{name}.json"
        assert (path.parent / json.loads(path.read_text())["imagePath"]).samefile(predicted / f"photos/{name}.jpg")


def test_a_second_call_replaces_what_the_first_wrote(tmp_path, weights, capsys):
    write_pictures(tmp_path / "photos", NAMES)
    assert run(tmp_path, weights, ALL) == 0
    assert "masks, COCO, Label Studio, labelme, YOLO" in capsys.readouterr().out
    listed = json.loads((tmp_path / "made/predictions.json").read_text())["annotations"]
    for entry in listed:
        assert (tmp_path / "made" / entry["file"]).is_file()
    assert {entry["file"] for entry in listed} >= {*FOUND, "labelme/a/tom.json", "yolo/labels/b/ida.txt"}
    assert run(tmp_path, weights, "coco") == 0
    left = {path.relative_to(tmp_path / "made").as_posix() for path in (tmp_path / "made").rglob("*") if path.is_file()}
    assert not {entry["file"] for entry in listed if entry["format"] != "coco"} & left
    assert "annotations_coco.json" in left
    (tmp_path / "made/label_studio.json").write_text("[]")  # drawn by somebody
    assert run(tmp_path, weights, "coco,label_studio") == 2
    assert "label_studio.json is there, and no result of an earlier prediction" in capsys.readouterr().err


def test_what_cannot_be_written_is_refused_before_any_work(tmp_path, weights, capsys):
    write_pictures(tmp_path / "photos", NAMES)
    for write, error in (
        ("cocos", "write: 'cocos' is no format; did you mean coco?: there are coco, labelme, label_studio, yolo"),
        ("coco,,yolo", "write: '' is no format"),
    ):
        assert run(tmp_path, weights, write) == 2
        assert error in capsys.readouterr().err
    assert run(tmp_path, weights, "coco", "--input", "https://example.org/tom.jpg") == 2
    assert "download https://example.org/tom.jpg first" in capsys.readouterr().err
    assert not (tmp_path / "made").exists()

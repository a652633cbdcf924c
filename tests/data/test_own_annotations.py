"""--masks with the annotations of labelling tools: found, understood, refused by name; prepared like masks."""

import json
from pathlib import Path

import numpy as np
import pytest
from own_pictures import HEIGHT, WIDTH, labels_of, source_of, write_pictures
from PIL import Image
from sample_annotations import CLASSES, SQUARE, blobs, coco, dumped, shape, task, written

from core.classes import IGNORED
from core.errors import UserError
from data.annotations.formats.rle import counts_of
from data.inspect import main as inspect
from data.prepare import main as prepare

NAMES = ["a/tom", "b/ida", "bob", "eve"]
NEVER = {"never": "read"}


@pytest.fixture
def images(tmp_path) -> Path:
    return write_pictures(tmp_path / "photos", NAMES)


def labels() -> dict[str, np.ndarray]:
    return {f"{name}.jpg": blobs(seed, HEIGHT, WIDTH) for seed, name in enumerate(NAMES)}


MASKS = {
    "coco": "annotations_coco.json",
    "label_studio": "label_studio.json",
    "labelme": "labelme",
    "yolo": "yolo/labels",
}


@pytest.mark.parametrize("which", MASKS)
def test_what_was_written_is_read_as_it_was(images, tmp_path, which):
    written(tmp_path, labels(), CLASSES, which)
    source = source_of(images, tmp_path / MASKS[which])
    assert source.classes.names == CLASSES.names
    assert source.classes.background == 0
    assert {f"{name}.jpg" for name in labels_of(source)} == set(labels())
    for name, label in labels_of(source).items():
        np.testing.assert_array_equal(label, labels()[f"{name}.jpg"])


def test_prepared_annotations_know_when_one_changed(images, tmp_path, capsys):
    written(tmp_path, labels(), CLASSES, "coco")
    path = tmp_path / MASKS["coco"]
    argv = ["--dataset", "folder", "--images", images, "--masks", path, "--size", 32, "--output_dir", tmp_path / "made"]
    argv = [str(word) for word in argv]
    assert prepare(argv) == 0
    manifest = json.loads((tmp_path / "made/manifest.json").read_text())
    assert manifest["masks"]["found_by"] == "the names in annotations_coco.json (COCO)"
    for name, label in labels().items():
        (truth,) = (tmp_path / "made").glob(f"*/original_labels/{Path(name).with_suffix('.png')}")
        np.testing.assert_array_equal(np.asarray(Image.open(truth)), label)
    assert prepare(argv) == 0
    assert "already prepared" in capsys.readouterr().out
    content = json.loads(path.read_text())
    content["annotations"][0]["category_id"] = 3 - content["annotations"][0]["category_id"]
    path.write_text(json.dumps(content))
    assert prepare(argv) == 2
    assert f"{path} changed" in capsys.readouterr().err


def test_a_changed_list_of_names_is_noticed(images, tmp_path, capsys):
    written(tmp_path, labels(), CLASSES, "yolo")
    argv = ["--dataset", "folder", "--images", images, "--masks", tmp_path / "yolo/labels", "--size", 32]
    argv = [str(word) for word in (*argv, "--output_dir", tmp_path / "made")]
    assert prepare(argv) == 0
    (tmp_path / "yolo/data.yaml").write_text("names: [cow, horse]")
    assert prepare(argv) == 2
    assert "changed" in capsys.readouterr().err


def test_inspect_shows_annotations(images, tmp_path, capsys):
    written(tmp_path, labels(), CLASSES, "labelme")
    argv = ["--images", images, "--masks", tmp_path / "labelme", "--preview", tmp_path / "shown.png"]
    assert inspect([str(word) for word in argv]) == 0
    said = capsys.readouterr().out
    assert "masks: of 4 pictures" in said
    assert "read as annotations; the classes: background, cat" in said
    assert (tmp_path / "shown.png").stat().st_size > 1000


def test_annotations_of_nothing_are_refused_as_masks_of_nothing_are(images, tmp_path, capsys):
    entries = [{"id": n, "file_name": f"{name}.jpg", "height": HEIGHT, "width": WIDTH} for n, name in enumerate(NAMES)]
    kinds = [{"id": 1, "name": "cat"}]
    path = dumped(tmp_path / "c.json", {"images": entries, "annotations": [], "categories": kinds})
    argv = ["--images", images, "--masks", path, "--preview", tmp_path / "shown.png"]
    assert inspect([str(word) for word in argv]) == 2
    said = capsys.readouterr()
    assert "no pixel is of cat" in said.out
    assert "hold no class but the background" in said.err


def test_labels_beside_their_pictures_are_read_when_they_are_given(images):
    for name in NAMES:
        dumped(images / f"{name}.json", {"shapes": [shape("cat")], "imageHeight": HEIGHT, "imageWidth": WIDTH})
    (note,) = (note for note in source_of(images).notes if "beside" in note)
    assert f"--masks {images} reads them" in note
    source = source_of(images, images)
    assert len(labels_of(source)) == 4
    assert source.passed_over == []


def test_who_has_a_label_and_who_has_none(images, tmp_path):
    """COCO: what is listed is labelled; labelme and YOLO: what has a file is, be it empty."""
    both = [{"id": n, "file_name": f"{name}.jpg", "height": HEIGHT, "width": WIDTH} for n, name in enumerate(NAMES[:3])]
    one = {"id": 1, "image_id": 0, "category_id": 1, "segmentation": [SQUARE]}
    path = dumped(tmp_path / "c.json", {"images": both, "annotations": [one], "categories": [{"id": 1, "name": "cat"}]})
    source = source_of(images, path)
    assert {name: int(label.sum()) for name, label in labels_of(source).items()} == {"a/tom": 100, "b/ida": 0, "bob": 0}
    assert any("2 pictures of c.json have no annotation" in note for note in source.notes)
    (tmp_path / "yolo/a").mkdir(parents=True)
    (tmp_path / "yolo/a/tom.txt").write_text("0 0.1 0.1 0.5 0.1 0.5 0.5\n")
    (tmp_path / "yolo/bob.txt").write_text("")
    assert {name: bool(label.any()) for name, label in labels_of(source_of(images, tmp_path / "yolo")).items()} == {
        "a/tom": True,
        "bob": False,
    }


def test_overlaps_and_crowds_are_told(images, tmp_path):
    crowd = np.zeros((HEIGHT, WIDTH), bool)
    crowd[30:] = True
    path = dumped(
        tmp_path / "c.json",
        coco(
            [
                {"segmentation": [SQUARE]},
                {"segmentation": [[7, 2, 17, 2, 17, 12, 7, 12]], "category_id": 18},
                {"segmentation": {"size": [HEIGHT, WIDTH], "counts": counts_of(crowd)}, "iscrowd": 1},
            ]
        ),
    )
    source = source_of(write_pictures(tmp_path / "one", ["tom", "x"]), path)
    said = " ".join(source.notes)
    assert "2.08% of the pixels are claimed by annotations of two classes, in 1 pictures" in said
    assert "600 pixels) are neither learned nor scored" in said
    (label,) = labels_of(source).values()
    assert [int((label == value).sum()) for value in (1, 2, IGNORED)] == [50, 100, 600]


def test_classes_are_chosen_by_name_and_by_number(images, tmp_path):
    path = dumped(
        tmp_path / "c.json", coco([{"segmentation": [SQUARE]}, {"segmentation": [SQUARE], "category_id": 18}])
    )
    one = write_pictures(tmp_path / "one", ["tom", "x"])
    names = lambda text: source_of(one, path, classes=(str(_yaml(tmp_path, text)),)).classes.names  # noqa: E731
    assert source_of(one, path, classes=("dog", "cat")).classes.names == ("background", "dog", "cat")
    assert names("animal: [cat, 18]") == ("background", "animal")
    assert names("animal: 1-20") == ("background", "animal")
    source = source_of(one, path, classes=(str(_yaml(tmp_path, "cat: 1\nignore: [dog]")),))
    (label,) = labels_of(source).values()
    assert set(np.unique(label)) == {0, IGNORED}
    for text, error in (
        ("cat: 1", "does not name dog, which annotations are of"),
        ("cat: 1\ncow: cow", "'cow' is no category of the annotations, which are cat, dog"),
        ("cat: [1, 18]\ndog: dog", "dog is both cat and dog"),
    ):
        with pytest.raises(UserError, match=error):
            names(text)
    with pytest.raises(UserError, match="--ignore_value is of masks' values"):
        source_of(one, path, ignore_value=(1,))


def test_names_alone_are_those_of_yolos_numbers(images, tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/bob.txt").write_text("2 0 0 0.5 0 0.5 0.5 0 0.5\n0 0.5 0.5 1 0.5 1 1 0.5 1\n")
    for names in (("cat", "cow", "dog"), ("background", "cat", "cow", "dog")):
        source = source_of(images, tmp_path / "labels", classes=names)
        assert (source.classes.names, source.classes.background) == (("background", "cat", "cow", "dog"), 0)
        (label,) = labels_of(source).values()
        assert (label[0, 0], label[-1, -1], label[-1, 0]) == (3, 1, 0)
    with pytest.raises(UserError, match="--classes does not name class_2, which annotations are of"):
        source_of(images, tmp_path / "labels", classes=("cat", "cow"))


def test_labelmes_background_is_the_background_whatever_is_asked_for(images, tmp_path):
    written(tmp_path, labels(), CLASSES, "labelme")
    first = source_of(images, tmp_path / "labelme")
    for classes in (CLASSES.names[1:], (str(_yaml(tmp_path, first.classes_yaml)),)):
        source = source_of(images, tmp_path / "labelme", classes=classes)
        assert source.classes.names == CLASSES.names
        for name, label in labels_of(source).items():
            np.testing.assert_array_equal(label, labels()[f"{name}.jpg"])


def test_the_labelling_config_says_the_order_of_classes(images, tmp_path):
    tasks = [task("bob.jpg"), task("eve.jpg", 2)]
    path = dumped(tmp_path / "project.json", tasks)
    (tmp_path / "project.xml").write_text(
        '<View><Image name="i" value="$i"/><BrushLabels name="l" toName="i"><Label value="zebra"/><Label value="cat"/>'
        "</BrushLabels></View>"
    )
    assert source_of(images, path).classes.names == ("background", "zebra", "cat")


def _yaml(folder: Path, text: str) -> Path:
    (folder / "classes.yaml").write_text(text)
    return folder / "classes.yaml"


def test_the_yaml_that_is_written_says_the_same(images, tmp_path):
    written(tmp_path, labels(), CLASSES, "coco")
    first = source_of(images, tmp_path / MASKS["coco"])
    again = source_of(images, tmp_path / MASKS["coco"], classes=(str(_yaml(tmp_path, first.classes_yaml)),))
    assert again.classes == first.classes
    for name, label in labels_of(first).items():
        np.testing.assert_array_equal(labels_of(again)[name], label)


def test_pictures_are_found_as_tools_call_them(images, tmp_path):
    named = ["C:\\work\\photos\\a\\tom.jpg", "ida.jpg", "/data/photos/bob.jpg", "eve.jpg"]
    entries = [{"id": n, "file_name": name, "height": HEIGHT, "width": WIDTH} for n, name in enumerate(named)]
    one = {"id": 1, "image_id": 0, "category_id": 1, "segmentation": [SQUARE]}
    path = dumped(
        tmp_path / "c.json", {"images": entries, "annotations": [one], "categories": [{"id": 1, "name": "c"}]}
    )
    assert set(labels_of(source_of(images, path))) == set(NAMES)
    uploaded = [
        "/data/upload/3/1a2b3c4d-tom.jpg",
        "/data/local-files/?d=photos/b/ida.jpg",
        "https://x.org/p/bob.jpg?s=1",
    ]
    tasks = [task(address, number=n) for n, address in enumerate(uploaded)]
    assert set(labels_of(source_of(images, dumped(tmp_path / "l.json", tasks)))) == {"a/tom", "b/ida", "bob"}


def test_annotations_of_label_studio_count_before_predictions(images, tmp_path):
    polygon = {"points": [[0, 0], [50, 0], [50, 50], [0, 50]], "polygonlabels": ["dog"]}
    tasks = [
        task("bob.jpg"),
        task("eve.jpg", 2, "predictions"),
        task("a/tom.jpg", 3, type="polygonlabels", value=polygon),
    ]
    source = source_of(images, dumped(tmp_path / "l.json", tasks))
    assert {name: np.unique(label).tolist() for name, label in labels_of(source).items()} == {
        "bob": [0, 1],
        "a/tom": [0, 2],
    }
    assert labels_of(source)["a/tom"].sum() == 2 * (HEIGHT // 2) * (WIDTH // 2)
    assert any("1 tasks of l.json are not annotated yet" in note for note in source.notes)
    source = source_of(images, dumped(tmp_path / "l.json", tasks[1:2]))
    assert any("its predictions are read" in note for note in source.notes)
    twice = task("bob.jpg")
    twice["annotations"] *= 2
    path = dumped(tmp_path / "l.json", [twice])
    with pytest.raises(UserError, match="task '1' has 2 annotations: keep one"):
        source_of(images, path)


@pytest.mark.parametrize("content", [NEVER, [], [1], {"shapes": []}, {"images": []}, "text", None])
def test_other_json_is_refused(images, tmp_path, content):
    path = dumped(tmp_path / "some.json", content)
    with pytest.raises(
        UserError, match=r"some\.json is (no annotation that is read here|labelme's JSON of one picture)"
    ):
        source_of(images, path)


def test_a_folder_of_two_formats_is_refused(images, tmp_path):
    for suffix in (".json", ".txt"):
        dumped(tmp_path / f"both/bob{suffix}", {"shapes": []})
    with pytest.raises(UserError, match=r"two formats, bob\.json \(labelme\) and bob\.txt \(YOLO\)"):
        source_of(images, tmp_path / "both")


def test_a_pattern_has_no_meaning_for_annotations(images, tmp_path):
    dumped(tmp_path / "labels/bob.json", {"shapes": [shape("cat")]})
    with pytest.raises(UserError, match="--mask_pattern is of masks"):
        source_of(images, tmp_path / "labels", mask_pattern="{name}_mask.png")


def test_annotations_of_other_pictures_are_refused(images, tmp_path):
    entries = [{"id": n, "file_name": f"{n}.jpg", "height": 1, "width": 1} for n in range(9)]
    path = dumped(tmp_path / "c.json", {"images": entries, "annotations": [], "categories": []})
    with pytest.raises(UserError, match=r"0 of the 9 pictures in .*c\.json are in .*first '0\.jpg'.*as --images"):
        source_of(images, path)

"""Every format of annotations, there and back, against the libraries whose formats they are."""

import base64
import io
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from pycocotools import mask as reference
from pycocotools.coco import COCO
from sample_annotations import CLASSES, blobs, coco, dumped, read_back, written

from core.classes import ClassSet
from data.annotations.formats import label_studio, labelme, yolo_seg
from data.annotations.formats.coco import FILE
from data.annotations.formats.polygons import filled, outlines
from data.annotations.formats.rle import (
    brush_of,
    counts_of,
    counts_of_text,
    mask_of_brush,
    mask_of_counts,
    text_of_counts,
)
from data.annotations.formats.table import FORMATS, read_file

SIZES = [(1, 1), (1, 9), (37, 53), (64, 48)]
# Masks, and what label_studio_sdk.converter.brush.mask2rle (2.0.13) makes of them times 255.
BRUSHES = [
    (np.array([[0, 1, 1], [1, 0, 0]]), [0, 0, 0, 24, 57, 27, 252, 96, 22, 255, 231, 0, 0]),
    (
        np.tri(7, 5),
        [0, 0, 0, 140, 57, 27, 252, 127, 247, 192, 39, 255, 182, 1, 111, 254, 112, 11, 255, 241, 128, 99, 191, 240],
    ),
    (
        np.pad(np.ones((2, 130)), ((1, 1), (3, 2))),
        [0, 0, 8, 112, 57, 27, 255, 2, 39, 0, 224, 64, 255, 248, 76, 3, 129, 3, 255, 240, 34, 48, 0],
    ),
]
# The first of them with an alpha of 1: it shows nothing in Label Studio (#4656), but says what is meant.
FAINT = [0, 0, 0, 24, 57, 27, 252, 96, 22, 192, 103, 0, 0]


def masks(count: int = 60) -> list[np.ndarray]:
    generator = np.random.default_rng(1)
    found = [generator.random(generator.integers(1, 30, 2)) < generator.random() for _ in range(count)]
    return [*found, np.zeros((3, 4), bool), np.ones((3, 4), bool), *(blobs(n, 45, 31) == 1 for n in range(8))]


def test_run_lengths_of_coco_are_those_of_pycocotools():
    for mask in masks():
        encoded = reference.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
        counts = counts_of(mask)
        assert text_of_counts(counts) == encoded
        assert counts_of_text(encoded, "") == counts
        np.testing.assert_array_equal(mask_of_counts(counts, mask.shape, ""), mask)


@given(st.data())
@settings(deadline=None)
def test_polygons_claim_the_pixels_that_pycocotools_gives_them(data):
    height, width = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    finest = data.draw(st.sampled_from([1, 2, 10, 1000]))
    side = st.integers(-finest, finest * 41).map(lambda value: value / finest)
    ring = np.array(data.draw(st.lists(st.tuples(side, side), min_size=3, max_size=9)))
    expected = reference.decode(reference.frPyObjects([ring.ravel().tolist()], height, width))[..., 0]
    np.testing.assert_array_equal(filled([ring], (height, width), ""), expected)


def test_outlines_claim_exactly_their_mask_in_pycocotools_too():
    for mask in masks():
        rings = outlines(mask)
        assert len(rings) == len({*map(bytes, rings)})
        np.testing.assert_array_equal(filled(rings, mask.shape, ""), mask)
        if rings:
            whole = reference.merge(reference.frPyObjects([ring.ravel().tolist() for ring in rings], *mask.shape))
            np.testing.assert_array_equal(reference.decode(whole), mask)


def test_a_square_with_a_hole_is_one_outline_with_a_slit():
    mask = np.ones((5, 5), bool)
    mask[2, 2] = False
    (ring,) = outlines(mask)
    assert {(0, 0), (5, 0), (5, 5), (0, 5)} | {(2, 2), (3, 2), (3, 3), (2, 3)} == set(map(tuple, ring.tolist()))


@pytest.mark.parametrize(("mask", "packed"), BRUSHES)
def test_brushes_are_those_of_label_studios_converter(mask, packed):
    mask = mask.astype(bool)
    # The converter adds a byte where the last is full already.
    assert brush_of(mask) == packed[: len(brush_of(mask))]
    assert packed[len(brush_of(mask)) :] in ([], [0])
    np.testing.assert_array_equal(mask_of_brush(packed, mask.shape, ""), mask)


def test_a_brush_that_is_all_but_clear_claims_its_pixels():
    np.testing.assert_array_equal(mask_of_brush(FAINT, (2, 3), ""), BRUSHES[0][0] > 0)


def test_brushes_go_through_the_converter_where_it_is_installed():
    brush = pytest.importorskip("label_studio_sdk.converter.brush")
    for mask in masks():
        decoded = brush.decode_rle(brush_of(mask)).reshape(*mask.shape, 4)
        np.testing.assert_array_equal(decoded[..., 3], 255 * mask)
        np.testing.assert_array_equal(mask_of_brush(brush.mask2rle(255 * mask.astype(np.uint8)), mask.shape, ""), mask)


def test_label_studios_own_checks_pass_where_they_are_installed(tmp_path):
    interface = pytest.importorskip("label_studio_sdk.label_interface")
    written(tmp_path, {"tom.jpg": blobs(4, 47, 31)}, CLASSES, "label_studio")
    (task,) = json.loads((tmp_path / label_studio.FILE).read_text())
    checked = interface.LabelInterface((tmp_path / label_studio.CONFIG).read_text())
    assert checked.validate_prediction(task["predictions"][0], return_errors=True) == []


def test_brushes_longer_than_a_run_can_be_come_back():
    mask = np.zeros((300, 401), bool)
    mask[150:, 1:] = True
    np.testing.assert_array_equal(mask_of_brush(brush_of(mask), mask.shape, ""), mask)


def test_values_in_a_row_that_differ_are_read_too():
    """As the frontend packs them; #5899 is what happens to readers that take the bytes for counts of pixels."""
    bits = f"{8:032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))
    bits += f"000{7:03b}" + "".join(f"{value:08b}" for value in (9, 9, 9, 0, 9, 9, 9, 255))
    bits += "0" * (-len(bits) % 8)
    packed = list(int(bits, 2).to_bytes(len(bits) // 8))
    np.testing.assert_array_equal(mask_of_brush(packed, (1, 2), ""), [[False, True]])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("which", FORMATS)
def test_labels_survive_every_format_to_the_bit(tmp_path, which, size):
    labels = {f"a/{seed}.jpg": blobs(seed, *size) for seed in range(4)} | {"empty.jpg": np.zeros(size, np.uint8)}
    written(tmp_path, labels, CLASSES, which)
    row = FORMATS[which]
    if row.read_file:
        path = tmp_path / row.places[0]
        annotations = read_file(path)
        keys = {name: (key, path) for key, name in annotations.pictures.items()}
        keys = {name: next(found for written, found in keys.items() if written.endswith(name)) for name in labels}
    else:
        folder = (tmp_path / row.places[1]).parent
        annotations = row.read_folder(folder)
        keys = {name: ("", (folder / name).with_suffix(row.suffix)) for name in labels}
    assert annotations.title == row.title, "by which what was read is written again"
    assert [category.name.strip("_") for category in annotations.categories][-2:] == list(CLASSES.names[1:])
    for name, label in labels.items():
        key, path = keys[name]
        np.testing.assert_array_equal(read_back(annotations, path, key, size, CLASSES.names), label, err_msg=name)


def test_pycocotools_loads_what_is_written(tmp_path, capsys):
    labels = {"tom.jpg": blobs(3, 40, 60)}
    written(tmp_path, labels, CLASSES, "coco")
    loaded = COCO(str(tmp_path / FILE))
    assert loaded.loadImgs(1)[0] == {"id": 1, "file_name": "tom.jpg", "height": 40, "width": 60}
    for annotation in loaded.loadAnns(loaded.getAnnIds(imgIds=1)):
        mask = loaded.annToMask(annotation)
        np.testing.assert_array_equal(mask, labels["tom.jpg"] == annotation["category_id"])
        assert annotation["area"] == reference.area(annotation["segmentation"])
        assert annotation["bbox"] == reference.toBbox(annotation["segmentation"]).tolist()


def test_polygons_crowds_and_plain_counts_of_coco(tmp_path):
    square, star = [2, 2, 12, 2, 12, 12, 2, 12], [30.5, 3, 38, 30, 20, 12.25, 41, 12, 23, 30]
    crowd = np.zeros((40, 60), bool)
    crowd[30:, 40:] = True
    content = coco(
        [
            {"segmentation": [square, star]},
            {"segmentation": [[8, 8, 20, 8, 20, 20, 8, 20]], "category_id": 18},
            {"segmentation": {"size": [40, 60], "counts": counts_of(crowd)}, "iscrowd": 1},
        ]
    )
    path = dumped(tmp_path / "annotations.json", content)
    label = read_back(read_file(path), path, "7", (40, 60), ["background", "cat", "dog"])
    loaded = COCO(str(path))
    expected = np.zeros((40, 60), np.uint8)
    for annotation, value in zip(loaded.loadAnns([5, 6, 7]), (1, 2, 255), strict=True):
        expected[loaded.annToMask(annotation) > 0] = value
    np.testing.assert_array_equal(label, expected)
    assert (label[8:12, 8:12] == 2).all()  # the later one lies above


def shape_to_mask(points, kind: str, size: tuple[int, int]) -> np.ndarray:
    """What labelme.utils.shape_to_mask (5.5) does."""
    canvas = Image.fromarray(np.zeros(size, np.uint8))
    draw = ImageDraw.Draw(canvas)
    xy = [tuple(point) for point in points]
    if kind == "circle":
        (cx, cy), (px, py) = xy
        d = math.sqrt((cx - px) ** 2 + (cy - py) ** 2)
        draw.ellipse([cx - d, cy - d, cx + d, cy + d], outline=1, fill=1)
    elif kind == "rectangle":
        draw.rectangle(xy, outline=1, fill=1)
    else:
        assert len(xy) > 2, "Polygon must have points more than 2"
        draw.polygon(xy=xy, outline=1, fill=1)
    return np.array(canvas, dtype=bool)


def test_labelme_draws_what_is_written_as_it_was(tmp_path):
    label = blobs(2, 61, 43)
    written(tmp_path, {"a/tom.jpg": label}, CLASSES, "labelme")
    path = tmp_path / "labelme/a/tom.json"
    content = json.loads(path.read_text())
    assert (path.parent / content["imagePath"]).resolve() == (tmp_path / "photos/a/tom.jpg").resolve()
    assert (content["imageHeight"], content["imageWidth"], content["imageData"]) == (61, 43, None)
    listed = (tmp_path / "labelme/labels.txt").read_text().splitlines()
    assert listed == ["__ignore__", "_background_", "cat", 'a "dog" & <co>']
    drawn = np.zeros(label.shape, np.uint8)
    for shape in content["shapes"]:
        assert {*shape} == {"label", "points", "group_id", "description", "shape_type", "flags", "mask"}
        drawn[shape_to_mask(shape["points"], "polygon", label.shape)] = listed.index(shape["label"]) - 1
    np.testing.assert_array_equal(drawn, label)


def test_shapes_of_labelme_are_read_as_labelme_reads_them(tmp_path):
    size = (50, 70)
    stored = np.zeros((6, 5), np.uint8)
    stored[1:4, 2] = 255
    buffer = io.BytesIO()
    Image.fromarray(stored).save(buffer, format="PNG")
    shapes = [
        {"label": "cat", "points": [[3.2, 4.7], [40.1, 8.5], [22.9, 44.4]], "shape_type": "polygon"},
        {"label": "dog", "points": [[10, 10], [20.6, 15.2]], "shape_type": "rectangle"},
        {"label": "cat", "points": [[50, 30], [58, 33]], "shape_type": "circle"},
        {"label": "dog", "points": [[60, 2], [64, 7]], "shape_type": "mask"},
        {"label": "__ignore__", "points": [[0, 40], [9, 40], [9, 49], [0, 49]]},
    ]
    expected = np.zeros(size, np.uint8)
    for shape, value in zip(shapes[:3], (1, 2, 1), strict=True):
        expected[shape_to_mask(shape["points"], shape["shape_type"], size)] = value
    expected[2:8, 60:65][stored > 0] = 2
    expected[40:50, :10] = 255
    shapes[3]["mask"] = base64.b64encode(buffer.getvalue()).decode()
    path = dumped(tmp_path / "tom.json", {"shapes": shapes, "imageHeight": 50, "imageWidth": 70, "imageData": None})
    label = read_back(labelme.read(tmp_path), path, "", size, ["background", "cat", "dog"])
    np.testing.assert_array_equal(label, expected)


def test_yolo_names_and_vertices(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "data.yaml").write_text("names: {0: cat, 3: dog}")
    path = tmp_path / "labels/tom.txt"
    path.write_text("3 0.1 0.2 0.5 0.2 0.5 0.9 0.1 0.9\n\n0 0 0 1 0 1 .1\n")
    annotations = yolo_seg.read(tmp_path / "labels")
    assert [(one.number, one.name) for one in annotations.categories] == [(0, "cat"), (3, "dog")]
    label = read_back(annotations, path, "", (40, 60), ["background", "cat", "dog"])
    expected = reference.decode(reference.frPyObjects([[6.0, 8, 30, 8, 30, 36, 6, 36]], 40, 60))[..., 0]
    np.testing.assert_array_equal(label == 2, expected)
    (tmp_path / "data.yaml").unlink()
    (tmp_path / "classes.txt").write_text("a\nb\nc\nd\n")
    assert [one.name for one in yolo_seg.read(tmp_path / "labels").categories] == list("abcd")


def test_vertices_that_are_written_for_yolo_are_whole_pixels(tmp_path):
    label = blobs(5, 333, 217)
    written(tmp_path, {"tom.jpg": label}, CLASSES, "yolo")
    for line in (tmp_path / "yolo/labels/tom.txt").read_text().splitlines():
        vertices = np.array(line.split()[1:], float).reshape(-1, 2) * (217, 333)
        np.testing.assert_allclose(vertices, vertices.round(), atol=1e-6)


def test_every_class_is_written_where_none_is_the_background(tmp_path):
    classes = ClassSet(("sky", "tree"), background=None)
    label = blobs(1, 20, 30, 2)
    written(tmp_path, {"tom.jpg": label}, classes, "coco")
    path = tmp_path / FILE
    np.testing.assert_array_equal(read_back(read_file(path), path, "1", (20, 30), classes.names), label)


def test_label_studio_gets_what_a_region_needs_to_show(tmp_path):
    """HumanSignal/label-studio #4656, #4084, #7998: no size, another size, alpha of 1, tags that the config lacks."""
    from xml.etree import ElementTree

    label = blobs(4, 47, 31)
    written(tmp_path, {"a/tom & co.jpg": label}, CLASSES, "label_studio")
    (task,) = json.loads((tmp_path / label_studio.FILE).read_text())
    config = ElementTree.parse(tmp_path / label_studio.CONFIG).getroot()
    image, brush = config.find("Image"), config.find("BrushLabels")
    assert image.get("value") == "$" + next(iter(task["data"]))
    # #3664: the address of local storage, below the folder that is its document root, with / between its parts.
    assert task["data"]["image"] == "/data/local-files/?d=photos/a/tom%20%26%20co.jpg"
    (prediction,) = task["predictions"]
    assert 0 <= prediction["score"] <= 1
    assert len({region["id"] for region in prediction["result"]}) == 2
    for region, name in zip(prediction["result"], CLASSES.names[1:], strict=True):
        assert (region["from_name"], region["to_name"]) == (brush.get("name"), image.get("name"))
        assert (region["type"], region["value"]["format"]) == ("brushlabels", "rle")
        assert (region["original_width"], region["original_height"], region["image_rotation"]) == (31, 47, 0)
        assert region["value"]["brushlabels"] == [name]
        assert name in [tag.get("value") for tag in brush]
        assert max(region["value"]["rle"]) <= 255
        assert int.from_bytes(bytes(region["value"]["rle"][:4])) == 4 * label.size

"""Broken annotations are refused in a line that names the file and the entry."""

import base64

import pytest
from own_pictures import HEIGHT, WIDTH, labels_of, source_of, write_pictures
from sample_annotations import SQUARE, coco, dumped, shape, task

from core.errors import UserError
from data.annotations.formats.rle import text_of_counts

PIXELS = HEIGHT * WIDTH


def rle(counts: object, size: object = (HEIGHT, WIDTH)) -> dict[str, object]:
    return {"segmentation": {"size": list(size) if isinstance(size, tuple) else size, "counts": counts}}


def polygon(*values: object) -> dict[str, object]:
    return {"segmentation": [list(values)]}


ENTRIES = {
    "counts too few": (rle([5, 6]), "annotation 5 of 'tom.jpg': broken RLE: its counts add up to 11 pixels, 60 x 40"),
    "counts below 0": (rle([PIXELS + 1, -1]), "annotation 5 .*: broken RLE: -1 is no count of pixels"),
    "counts of yes": (rle([True, PIXELS - 1]), "broken RLE: True is no count of pixels"),
    "counts without end": (rle([10**18, 10**18]), "broken RLE: its counts add up to 2000000000000000000 pixels"),
    "text too short": (rle(text_of_counts([5, 6])), "annotation 5 .*: broken RLE: its counts add up to 11"),
    "text that is cut": (rle(text_of_counts([PIXELS])[:-1]), "annotation 5 .*: broken RLE: it is cut"),
    "text of nothing": (rle("\u00e9"), "broken RLE: '\\\\xe9' stands for no count"),
    "text of a bomb": (rle("o" * 99), "broken RLE: a count is larger than any picture"),
    "another size": (rle([PIXELS], (WIDTH, HEIGHT)), "broken RLE: 40 x 60 pixels, its image has 60 x 40"),
    "a size without end": (rle([PIXELS], (10**9, 10**9)), "1000000000 x 1000000000 pixels, its image has 60 x 40"),
    "no size": (rle([PIXELS], 7), "annotation 5 .*: broken RLE: None x None pixels"),
    "no counts": (rle({"a": 1}), "annotation 5 .*: broken RLE: {'a': 1} are no counts"),
    "a box alone": ({"bbox": [1, 2, 3, 4]}, "annotation 5 of 'tom.jpg' has no segmentation: a box alone is no mask"),
    "two vertices": (polygon(1, 2, 3, 4), "annotation 5 .*: a polygon of 4 numbers"),
    "half a vertex": (polygon(1, 2, 3, 4, 5, 6, 7), "annotation 5 .*: a polygon of 7 numbers"),
    "words": (polygon(1, 2, 3, 4, 5, "6"), "annotation 5 .*: '6' is no number of pixels"),
    "outside": (polygon(1, 2, 3, 4, 5, 41.5), r"a polygon outside of the picture: \(5, 41\.5\), which has 60 x 40"),
    "far outside": (polygon(1, 2, 1e29, 4, 5, 6), "a polygon outside of the picture"),
    "an integer of any size": (polygon(1, 2, 10**400, 4, 5, 6), "is no number of pixels"),
    "a count of any size": (rle([10**4200, 1]), "broken RLE: its counts add up to an integer of more than 60"),
}
WHOLE = {"segmentation": [SQUARE]}
FILES = {
    "category": (coco([{**WHOLE, "category_id": 3}]), "annotation 5: category_id 3 is none of its categories"),
    "picture": (coco([{**WHOLE, "image_id": 8}]), "annotation 5: image_id 8 is none of its images"),
    "a list for an id": (coco([{**WHOLE, "image_id": []}]), r"annotation 5: image_id \[\] is none"),
    "annotations twice": (coco([WHOLE, {**WHOLE, "id": 5}]), "the id '5' stands 2 times among its annotations"),
    "pictures twice": (coco([], images=[{"id": 1, "file_name": "tom.jpg"}] * 2), "stands 2 times among its images"),
    "names twice": (coco([], categories=[{"id": n, "name": "x"} for n in (1, 2)]), "'x' is the name of 2 entries"),
    "no name": (coco([], categories=[{"id": 1}]), "category 1 has no name"),
    "numbers for a list": (coco([], images=[1]), "images is no list of objects, as COCO has it"),
    "panoptic": (coco([{"segments_info": []}]), "COCO's panoptic JSON"),
    "no fitting size": (coco([WHOLE], height=41), "'tom.jpg': 60 x 41 pixels, its image has 60 x 40"),
    "turned": (coco([WHOLE], height=WIDTH, width=HEIGHT), "before its EXIF orientation"),
}
SHAPES = {
    "a line": (shape("cat", shape_type="line"), r"shape 1 \('cat'\): a 'line' claims no pixels: draw a polygon"),
    "two points": (shape("cat", points=[[1, 1], [2, 2]]), r"shape 1 \('cat'\): a polygon of 2 points: it needs 3"),
    "outside": (shape("cat", points=[[1, 1], [2, 2], [70, 3]]), r"polygon outside of the picture: \(70, 3\)"),
    "no label": ({"points": []}, "shape 1 has no label"),
    "no points": (shape("cat", points=5), r"shape 1 \('cat'\) has no points"),
    "words": (shape("cat", points=[["a", 1], [2, 2], [3, 3]]), "'a' is no number of pixels"),
    "no base64": (shape("cat", shape_type="mask", points=[[1, 1], [2, 2]], mask="#"), "its mask is no base64"),
    "no PNG": (
        shape("cat", shape_type="mask", points=[[1, 1], [2, 2]], mask=base64.b64encode(b"x").decode()),
        "its mask is no PNG",
    ),
    "a circle round all": (shape("cat", shape_type="circle", points=[[1, 1], [1e9, 2]]), "a circle of radius"),
    "not an object": (7, "shape 1 has no label"),
}
LINES = {
    "a box": ("0 0.5 0.5 0.2 0.2", "line 1 is a box, which is no mask: export segments"),
    "outside": ("0 0.1 0.1 0.5 0.1 1.5 0.5", r"line 1: a polygon outside of the picture: \(90, 20\)"),
    "nan": ("0 0.1 0.1 0.5 nan 0.5 0.5", "line 1: nan is no number of pixels"),
    "inf": ("0 0.1 0.1 0.5 inf 0.5 0.5", "line 1: inf is no number of pixels"),
    "a word": ("\n0 0.1 0.1 0.5 x 0.5 0.5", "line 2: 'x' is no number"),
    "a class of minus one": ("-1 0.1 0.1 0.5 0.1 0.5 0.5", "line 1: '-1' is no number of a class"),
    "a class of a million": ("1000000 0.1 0.1 0.5 0.1 0.5 0.5", "is no number of a class"),
    "half a vertex": ("0 0.1 0.1 0.5 0.1 0.5 0.5 0.7", "line 1: a polygon of 7 numbers"),
    "no text": ("\udcff\udcfe", "no text in UTF-8"),
}
BRUSH = task()["annotations"][0]["result"][0]["value"]["rle"]
REGIONS = {
    "cut": ({"rle": BRUSH[:-4]}, r"region 1 of task 1 \('tom\.jpg'\): broken RLE: it is cut"),
    "COCO's counts": ({"rle": [199501, 1, 996]}, "broken RLE: it holds what is no byte"),
    "one channel": ({"rle": [0, 0, 9, 96, *BRUSH[4:]]}, "broken RLE: 2400 values, RGBA of 60 x 40 pixels has 9600"),
    "a bomb": ({"rle": [255] * 9}, "broken RLE: 4294967295 values"),
    "no RLE": ({"rle": None}, "region 1 .* holds no rle"),
    "no label": ({"brushlabels": []}, r"region 1 .* needs one label, it has \[\]"),
}


def refused(tmp_path, path, error: str, left_out: bool) -> None:
    """See that a set is refused with that, and left out where it is one picture's fault and that is asked for."""
    images = write_pictures(tmp_path / "photos", ["tom", "ida"])
    with pytest.raises(UserError, match=error) as raised:
        source_of(images, path)
    assert path.name in str(raised.value)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 1000
    if left_out:  # nothing else is labelled
        with pytest.raises(UserError, match="masks do not fit their images.* Mend them"):
            source_of(images, path, bad_masks="leave_out")


@pytest.mark.parametrize(("entry", "error"), ENTRIES.values(), ids=ENTRIES)
def test_entries_of_coco(tmp_path, entry, error):
    refused(tmp_path, dumped(tmp_path / "c.json", coco([entry])), error, True)


@pytest.mark.parametrize(("content", "error"), FILES.values(), ids=FILES)
def test_files_of_coco(tmp_path, content, error):
    refused(tmp_path, dumped(tmp_path / "c.json", content), error, False)


@pytest.mark.parametrize(("one", "error"), SHAPES.values(), ids=SHAPES)
def test_shapes_of_labelme(tmp_path, one, error):
    content = {"shapes": [one], "imageHeight": HEIGHT, "imageWidth": WIDTH}
    refused(tmp_path, dumped(tmp_path / "labels/tom.json", content).parent, error.replace("shape 1", ".*shape 1"), True)


@pytest.mark.parametrize(("text", "error"), LINES.values(), ids=LINES)
def test_lines_of_yolo(tmp_path, text, error):
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/tom.txt").write_bytes(text.encode(errors="surrogateescape"))
    refused(tmp_path, tmp_path / "labels", error, True)


@pytest.mark.parametrize(("value", "error"), REGIONS.values(), ids=REGIONS)
def test_regions_of_label_studio(tmp_path, value, error):
    one = task()
    one["annotations"][0]["result"][0]["value"] |= value
    refused(tmp_path, dumped(tmp_path / "l.json", [one]), error, True)


def test_regions_of_other_kinds_and_sizes(tmp_path):
    for more, error in (
        ({"type": "rectanglelabels"}, "'rectanglelabels' are no masks"),
        ({"original_width": None}, "None x 40 pixels, its image has 60 x 40"),
        ({"image_rotation": 90}, "was turned in Label Studio"),
    ):
        refused(tmp_path, dumped(tmp_path / "l.json", [task(**more)]), error, True)
    tasks = [{"image": "tom.jpg", "tag": []}]
    refused(tmp_path, dumped(tmp_path / "l.json", tasks), "not as JSON-MIN", False)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[" * 5000, "nested too deeply"),
        ('{"images": [], "annotations": [], "categories": ' + "[" * 200 + "]" * 200 + "}", "nested too deeply"),
        ('{"images": NaN}', "NaN is no number of JSON"),
        ("{", "c.json is no JSON"),
        ("", "c.json is no JSON"),
    ],
)
def test_json_that_is_none(tmp_path, text, error):
    (tmp_path / "c.json").write_text(text)
    images = write_pictures(tmp_path / "photos", ["tom"])
    with pytest.raises(UserError, match=error):
        source_of(images, tmp_path / "c.json")


def test_files_without_end_are_not_read(tmp_path):
    (tmp_path / "labels").mkdir()
    with (tmp_path / "labels/tom.json").open("wb") as file:
        file.truncate(2**30)  # of nothing, on the disk
    images = write_pictures(tmp_path / "photos", ["tom"])
    with pytest.raises(UserError, match=r"tom\.json: larger than \d+ MiB: no annotations are"):
        source_of(images, tmp_path / "labels")


def test_an_outline_that_winds_without_end_is_refused_at_once(tmp_path):
    zigzag = [value for turn in range(300_000) for value in (turn % 2 * WIDTH, turn % 3)]
    path = dumped(tmp_path / "c.json", coco([polygon(*zigzag)]))
    refused(tmp_path, path, "an outline of .* pixels, too long for one of a picture", True)


def test_others_stay_where_one_is_left_out(tmp_path):
    images = write_pictures(tmp_path / "photos", ["tom", "ida", "bob"])
    (tmp_path / "labels").mkdir()
    for name, x in (("tom", 0.5), ("ida", 0.6), ("bob", 7)):
        (tmp_path / f"labels/{name}.txt").write_text(f"0 0 0 {x} 0 {x} 0.5 0 0.5\n")
    source = source_of(images, tmp_path / "labels", bad_masks="leave_out")
    samples = {sample.name: sample for sample in source.samples}
    assert samples["tom"].label().sum() == PIXELS / 4
    with pytest.raises(Exception, match="outside of the picture"):
        labels_of(source)


def test_names_of_labels_with_a_bomb_of_entities_are_refused(tmp_path):
    (tmp_path / "l.xml").write_text('<!DOCTYPE a [<!ENTITY b "bb">]><View><BrushLabels/></View>')
    path = dumped(tmp_path / "l.json", [task()])
    with pytest.raises(UserError, match=r"l\.xml is no labelling config of Label Studio \(it declares a document type"):
        source_of(write_pictures(tmp_path / "photos", ["tom"]), path)


def test_labels_that_the_list_lacks_are_named(tmp_path):
    dumped(tmp_path / "labels/tom.json", {"shapes": [shape("cat"), shape("dog")]})
    (tmp_path / "labels/labels.txt").write_text("__ignore__\n_background_\ncat\n")
    refused(tmp_path, tmp_path / "labels", r"labels\.txt does not list dog", False)

"""The rules by which the values of a whole set of masks get their meaning."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from data.annotations.assigning import MOST_FOUND
from data.annotations.decide import decide
from data.annotations.request import Request, read_request
from data.annotations.scan import Found, MaskCounts, Tally, count_values


def tally_of(*masks: dict[int, int], kind: str = "grey", step: int = 1) -> Tally:
    tally = Tally()
    for number, pixels in enumerate(masks):
        palette = dict.fromkeys(pixels, 0) if kind == "palette" else {}
        tally.add(MaskCounts(1, sum(pixels.values()), kind, step, pixels, palette), f"{number}.png")
    return tally


VALUES = st.sets(st.integers(1, 254), min_size=1, max_size=MOST_FOUND)


@given(VALUES, st.booleans())
def test_every_value_becomes_a_class_of_its_own(values, with_background):
    held = {0, *values} if with_background else values
    if len(held) < 2:
        return
    coding = decide(tally_of(dict.fromkeys(held, 5)), None)
    assert sorted(coding.labels) == sorted(held)
    assert sorted(coding.labels.values()) == list(range(len(held)))
    assert coding.class_set.background == (0 if with_background else None)
    if held != {0, 1}:
        assert coding.class_set.names == tuple(f"class_{value}" if value else "background" for value in sorted(held))


@given(VALUES)
def test_white_is_ignored_beside_values_in_a_row_or_evenly_reached(values):
    held = sorted({0, 255, *values})
    tally = tally_of(dict.fromkeys(held, 5))
    even = all(abs(value - 255 * place / (len(held) - 1)) < 1 for place, value in enumerate(held))
    if even or held[:-1] == list(range(len(held) - 1)):
        assert decide(tally, None).labels[255] == (len(held) - 1 if even else 255)
        return
    with pytest.raises(UserError, match="255 beside values that are not in a row.*--ignore_value 255"):
        decide(tally, None)
    assert decide(tally, None, [255]).labels[255] == 255


@pytest.mark.parametrize("first", [0, 1])
def test_white_is_ignored_beside_values_in_a_row(first):
    coding = decide(tally_of(dict.fromkeys((*range(first, 19), 255), 5)), None)
    assert (coding.labels[255], len(coding.class_set)) == (255, 19 - first)


@given(VALUES, st.integers(2, 30), st.randoms())
def test_the_yaml_says_the_same_explicitly(tmp_path_factory, values, row, random):
    for held in ([0, *values], [*range(row), 255]):
        masks = [
            {value: random.randint(1, 9) for value in random.sample(held, random.randint(1, len(held)))} for _ in "ab"
        ]
        tally = tally_of(dict.fromkeys(held, 1), *masks)
        found = decide(tally, None)
        path = tmp_path_factory.mktemp("said") / "classes.yaml"
        path.write_text(found.yaml)
        said = decide(tally, read_request([str(path)]))
        assert said.labels == found.labels
        assert said.class_set == found.class_set


@given(st.lists(st.integers(-3, 70_000), min_size=1, max_size=200), st.sampled_from([np.int32, np.uint8]))
def test_values_are_counted(values, kind):
    array = np.array(values).astype(kind)[None]
    expected = dict(zip(*(part.tolist() for part in np.unique(array, return_counts=True)), strict=True))
    assert count_values(array) == expected


def test_more_values_than_classes_are_photographs():
    many = dict.fromkeys(range(MOST_FOUND + 2), 1)
    assert len(decide(tally_of(dict.fromkeys(range(MOST_FOUND + 1), 1)), None).class_set) == MOST_FOUND + 1
    with pytest.raises(UserError, match="65 values besides black and white, too many .*--images and --masks swapped"):
        decide(tally_of(many), None)
    names = tuple(f"thing {value}" for value in many)
    assert decide(tally_of(many), Request(names)).class_set.names == names
    with pytest.raises(UserError, match="300 classes: a segmentation tells 2 to 254 classes apart"):
        decide(tally_of(many), Request(tuple(map(str, range(300)))))


def test_one_value_alone_tells_nothing_apart():
    with pytest.raises(UserError, match=r"one of the values alone, 0 \(9 pixels in 1 masks, first 0.png\)"):
        decide(tally_of({0: 9}), None)
    with pytest.raises(UserError, match="alone"):
        decide(tally_of({0: 9, 255: 3}), None, ignore_values=[255])


@pytest.mark.parametrize(
    ("names", "expected", "background"),
    [
        (("grass", "cow", "sheep"), {0: 0, 1: 1, 2: 2}, None),
        (("Background", "cow", "sheep"), {0: 0, 1: 1, 2: 2}, 0),
        (("cow", "sheep"), {0: 0, 1: 1, 2: 2}, 0),
    ],
)
def test_names_go_by_the_order_of_the_values(names, expected, background):
    coding = decide(tally_of({0: 5, 1: 5, 2: 5, 255: 2}), Request(names))
    assert coding.labels == {**expected, 255: 255}
    assert coding.class_set.background == background
    assert coding.class_set.names[-1] == "sheep"


def test_names_alone_stand_for_values_in_a_row_only(tmp_path):
    three = Request(("background", "cat", "dog"))
    assert decide(tally_of({1: 5, 2: 5, 3: 5, 255: 1}), three).labels == {1: 0, 2: 1, 3: 2, 255: 255}
    assert decide(tally_of({0: 5, 255: 5}), Request(("skin", "lesion"))).labels == {0: 0, 255: 1}
    assert decide(tally_of({0: 5, 255: 5}), Request(("lesion",))).class_set.names == ("background", "lesion")
    with pytest.raises(UserError, match=r"no mask holds dog \(2\)"):
        decide(tally_of({0: 5, 1: 5, 255: 5}), three)
    for held, names, said in (
        ((0, 1, 3), three.names, "{background: 0, cat: 1, dog: 3}"),
        ((0, 127, 255), three.names, "{background: 0, cat: 127}"),
        ((0, 2, 9), ("road", "car"), "{background: 0, road: 2, car: 9}"),
        ((1, 2, 4, 5), ("road", "car"), "{road: 1, car: 2, ignore: [4, 5]}"),
    ):
        with pytest.raises(UserError) as refused:
            decide(tally_of(dict.fromkeys(held, 5)), Request(names))
        assert f"`{said}`" in str(refused.value)
    (tmp_path / "c.yaml").write_text("{background: 0, cat: 1, dog: 255}")
    said = decide(tally_of({0: 5, 1: 5, 255: 5}), read_request([str(tmp_path / "c.yaml")]))
    assert said.labels == {0: 0, 1: 1, 255: 2}


def test_nothing_is_ignored_without_a_word_where_each_class_has_a_file(tmp_path):
    tally = Tally(masks=1, pixels=9, layers={"car": Found(3, 1, "a"), "sky": Found(3, 1, "b")})
    path = tmp_path / "c.yaml"
    path.write_text("car: car\nignore: sky\n")
    with pytest.raises(UserError, match=r"`ignore` in .*c.yaml has no meaning where each class has a binary file"):
        decide(tally, read_request([str(path)]))
    with pytest.raises(UserError, match="--ignore_value has no meaning where each class has a binary file"):
        decide(tally, None, [255])


def test_what_is_asked_for_must_be_there_and_nothing_else(tmp_path):
    tally = tally_of({0: 50, 1: 5, 7: 3}, {0: 9, 7: 2, 9: 1})
    with pytest.raises(UserError, match="gives 2 names, but the masks hold 4 values: 0 .*, 1 .*, 7 .*first 0.png.*, 9"):
        decide(tally, Request(("cow", "sheep")))
    with pytest.raises(UserError, match=r"no mask holds duck \(2\)"):
        decide(tally_of({0: 5, 1: 5}), Request(("background", "cow", "duck")))
    path = tmp_path / "c.yaml"
    path.write_text("background: 0\ncow: 1\n")
    with pytest.raises(
        UserError,
        match=r"c.yaml does not name: 7 \(5 pixels in 2 masks, first 0.png\), 9 \(1 pixels in 1 masks, first 1",
    ):
        decide(tally, read_request([str(path)]))
    path.write_text("background: 0\ncow: 1\nignore: [7, 9]\nduck: [2, 3]\n")
    with pytest.raises(UserError, match=r"no mask holds duck \(2 or 3\)"):
        decide(tally, read_request([str(path)]))
    path.write_text("background: 0\nbird: [1, 7]\nignore: 9\n")
    assert decide(tally, read_request([str(path)])).labels == {0: 0, 1: 1, 7: 1, 9: 255}


def test_three_numbers_are_a_colour_or_three_values_as_the_masks_are(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("background: 0\ncar: [0, 0, 142]\n")
    colours = tally_of({0: 5, 142: 3}, kind="colour")
    assert decide(colours, read_request([str(path)])).labels == {0: 0, 142: 1}
    with pytest.raises(UserError, match=r"\[0, 0, 142\] is a colour, but the masks are read as values"):
        decide(tally_of({0: 5, 142: 3}), read_request([str(path)]))
    path.write_text("background: 0\ncar: [1, 2, 3]\n")
    assert decide(tally_of({0: 5, 1: 1, 2: 1, 3: 1}), read_request([str(path)])).labels == {0: 0, 1: 1, 2: 1, 3: 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- road\n", "must say what each class's value is"),
        ("road: 1\nroad: 2\n", "road stands twice, in line 1 and line 2"),
        ("true: 1\nfalse: 2\n", "is no text: put it in quotes"),
        ("road: 1\ncar: 1\n", "1 is both road and car"),
        ("road: 1\ncar: fast\n", "'fast' names no values"),
        ("road: 1\ncar: {}\n", "neither a value nor a colour"),
        ("road: [1\n", "is not valid YAML"),
        ("road: 1\nvehicle: 3-1\n", "'3-1' runs backwards: write 1-3"),
        (f"road: 1\ncar: {10**30}\n", r"no mask holds a number as large as 100000000000\.\.\."),
        (f"road: {'9' * 5000}\n", "is not valid YAML"),
        (f"road: {'[' * 5000}\n", "nested too deeply"),
    ],
)
def test_a_yaml_that_says_something_else(tmp_path, text, message):
    path = tmp_path / "classes.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        decide(tally_of({1: 5, 2: 5}), read_request([str(path)]))


def test_what_is_no_file_or_no_value_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(UserError, match="pipe.yaml is not a regular file"):
        read_request([str(tmp_path / "pipe.yaml")])
    with pytest.raises(UserError, match="--ignore_value: no mask holds a number as large"):
        decide(tally_of({0: 5, 2: 5}), None, [2**40])


def test_names_by_value_as_other_tools_write_them(tmp_path):
    path = tmp_path / "labels.yml"
    path.write_text("0: background\n1: road\n2: car\n")
    request = read_request([str(path)])
    assert (request.names, request.codes) == (("background", "road", "car"), (0, 1, 2))
    path.write_text("0: background\n1: road\n2: road\n3: road\n4: car\n255: ignore\n")
    said = decide(tally_of(dict.fromkeys((*range(5), 255), 5)), read_request([str(path)]))
    assert said.labels == {0: 0, 1: 1, 2: 1, 3: 1, 4: 2, 255: 255}
    with pytest.raises(UserError, match="does not exist"):
        read_request([str(tmp_path / "none.yaml")])


@pytest.mark.parametrize(
    ("wide", "spread"), [({0: 9, 1: 2}, False), ({0: 9, 255: 2}, True), ({0: 9, 1: 2, 255: 1}, False)]
)
def test_one_bit_means_what_fits_the_other_masks(wide, spread):
    tally = tally_of(wide)
    tally.add(MaskCounts(1, 9, "narrow", 255, {0: 5, 1: 4}, {}), "bit.png")
    assert decide(tally, None).spread == spread

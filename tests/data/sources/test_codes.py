import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sample_layouts import halves, save

from data.decoders import opening
from data.pictures import PictureError
from data.sources import ade20k, camvid, cityscapes, msrc_v2, voc2012
from data.sources.layout.codes import Codes, read_grey

COLOUR = st.tuples(*[st.integers(0, 255)] * 3)
TABLES = st.dictionaries(COLOUR, st.integers(0, 255), min_size=1, max_size=30)
PLAIN = Codes({value: value for value in range(256)})
FAST = settings(max_examples=60, deadline=None)


@FAST
@given(TABLES, st.data())
def test_colours_become_their_labels(table, data):
    colours = data.draw(st.lists(st.sampled_from(sorted(table)), min_size=6, max_size=6))
    pixels = np.array(colours, np.uint8).reshape(2, 3, 3)
    expected = [[table[tuple(pixels[row, column].tolist())] for column in range(3)] for row in range(2)]
    assert Codes(colours=table).decode(pixels).tolist() == expected


@FAST
@given(TABLES, COLOUR)
def test_another_colour_is_named_with_its_pixels(table, other):
    pixels = np.array([[other, other, next(iter(table))]], np.uint8)
    if other in table:
        assert Codes(colours=table).decode(pixels).shape == (1, 3)
        return
    with pytest.raises(PictureError) as error:
        Codes(colours=table).decode(pixels)
    assert f"{other} in 2 pixels" in str(error.value)


@FAST
@given(st.dictionaries(st.integers(0, 255), st.integers(0, 255), min_size=1), st.lists(st.integers(0, 255), min_size=1))
def test_values_become_their_labels_or_are_named(table, values):
    pixels = np.array([values], np.uint8)
    unknown = sorted(set(values) - table.keys())
    if not unknown:
        assert Codes(table).decode(pixels).tolist() == [[table[value] for value in values]]
        return
    with pytest.raises(PictureError) as error:
        Codes(table).decode(pixels)
    assert f"{unknown[0]} in {values.count(unknown[0])} pixels" in str(error.value)
    assert ("more" in str(error.value)) == (len(unknown) > 5)


def test_masks_of_the_other_kind_are_refused():
    with pytest.raises(PictureError, match="holds colours, which the masks of this data set do not"):
        Codes({0: 0}).decode(np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(PictureError, match="holds values"):
        Codes(colours={(0, 0, 0): 0}).decode(np.zeros((2, 2), np.uint8))


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_indices_of_a_palette_survive_every_format(tmp_path, suffix):
    save(tmp_path / f"mask{suffix}", halves(3, 200), palette=True)
    np.testing.assert_array_equal(PLAIN.read(tmp_path / f"mask{suffix}"), halves(3, 200))


def test_one_bit_is_what_the_codes_are(tmp_path):
    Image.fromarray(halves(0, 255)).convert("1").save(tmp_path / "mask.png")
    np.testing.assert_array_equal(Codes({0: 7, 255: 8}).read(tmp_path / "mask.png"), halves(7, 8))
    np.testing.assert_array_equal(Codes({0: 7, 1: 8}).read(tmp_path / "mask.png"), halves(7, 8))
    np.testing.assert_array_equal(PLAIN.read(tmp_path / "mask.png"), halves(0, 1))
    with pytest.raises(PictureError, match="codes of this data set: 1 in 96 pixels"):
        Codes({0: 7, 2: 8}).read(tmp_path / "mask.png")
    indices = Image.fromarray(halves(0, 1))
    indices.putpalette([0, 0, 0, 255, 255, 255])
    indices.save(tmp_path / "mask.gif")
    np.testing.assert_array_equal(read_grey(tmp_path / "mask.gif"), halves(0, 255))


def test_what_is_no_mask_says_why(tmp_path, monkeypatch):
    path = tmp_path / "mask.png"
    path.write_bytes(b"nothing")
    with pytest.raises(PictureError, match="not a picture"):
        PLAIN.read(path)
    Image.fromarray(halves(0, 1)).save(path, "JPEG")
    with pytest.raises(PictureError, match="a lossy picture"):
        PLAIN.read(path)
    Image.fromarray(halves(0, 1)).convert("RGBA").save(path)
    with pytest.raises(PictureError, match="mode RGBA"):
        PLAIN.read(path)
    save(path, halves(0, 1))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PictureError, match="damaged"):
        PLAIN.read(path)
    path.write_bytes(whole)
    monkeypatch.setattr(opening, "MAX_PIXELS", 100)
    with pytest.raises(PictureError, match="16 x 12 is more than 100 pixels"):
        PLAIN.read(path)
    with pytest.raises(PictureError, match="No such file"):
        PLAIN.read(tmp_path / "nowhere.png")


@pytest.mark.parametrize(
    ("used", "classes"),
    [
        (voc2012.CODES, voc2012.CLASSES),
        (camvid.CODES, camvid.CLASSES),
        (camvid.ORIGINAL_CODES, camvid.ORIGINAL_CLASSES),
        (msrc_v2.codes_of(msrc_v2.classes_of("23")), msrc_v2.classes_of("23")),
        (msrc_v2.codes_of(msrc_v2.classes_of("21")), msrc_v2.classes_of("21")),
        (cityscapes.CODES, cityscapes.CLASSES),
        (ade20k.CODES, ade20k.CLASSES),
    ],
)
def test_every_class_has_one_code_and_one_colour(used, classes):
    for table in filter(None, (used.values, used.colours)):
        labels = [label for label in table.values() if label != 255]
        assert sorted(labels) == list(range(len(classes)))
    assert all(classes.palette[label] == colour for colour, label in used.colours.items() if label != 255)


def test_colours_tell_classes_apart_but_for_two_of_ade20k():
    sets = (voc2012.CLASSES, camvid.CLASSES, camvid.ORIGINAL_CLASSES, cityscapes.CLASSES, ade20k.CLASSES)
    for classes in (*sets, *(msrc_v2.classes_of(variant) for variant in ("21", "23"))):
        owners: dict[tuple[int, int, int], list[str]] = {}
        for name, colour in zip(classes.names, classes.palette, strict=True):
            owners.setdefault(colour, []).append(name)
        shared = [names for names in owners.values() if len(names) > 1]
        assert shared == ([["road", "skyscraper"]] if classes is ade20k.CLASSES else [])


def test_the_numbers_of_classes_are_the_publishers():
    sets = (voc2012.CLASSES, camvid.CLASSES, camvid.ORIGINAL_CLASSES, cityscapes.CLASSES, ade20k.CLASSES)
    assert [len(classes) for classes in sets] == [21, 11, 31, 19, 150]
    assert [classes.background for classes in sets] == [0, None, None, None, None]
    assert {"horse", "mountain"} == set(msrc_v2.classes_of("23").names) - set(msrc_v2.classes_of("21").names)
    train, val = ([number for kind in lists for number in kind.split()] for lists in (msrc_v2.TRAIN, msrc_v2.VAL))
    assert (len(train), len(val)) == (276, 59)
    # What everybody who worked with them knows by heart.
    assert voc2012.CLASSES.names[15] == "person"
    assert voc2012.CLASSES.palette[15] == (192, 128, 128)
    assert cityscapes.CODES.values[26] == cityscapes.CLASSES.names.index("car")
    assert ade20k.CODES.values[1] == ade20k.CLASSES.names.index("wall")
    assert ade20k.CLASSES.names[-1] == "flag"

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.classes import MOST_CLASSES, ClassSet, default_palette, voc_colour
from core.errors import UserError

letters = st.characters(codec="utf-8", categories=("L", "N", "P", "S"))
names = st.lists(st.text(letters, min_size=1), min_size=2, unique=True)


@given(names, st.data())
def test_a_set_comes_back_from_its_json(names, data):
    background = data.draw(st.none() | st.integers(0, len(names) - 1))
    classes = ClassSet(tuple(names), background)
    again = ClassSet.of(json.loads(json.dumps(classes.content())))
    assert (again.names, again.background, again.palette) == (classes.names, background, classes.palette)
    assert len(again.foreground) == (0 if background is None else len(names) - 1)


@pytest.mark.parametrize("background", [None, 0, 7])
def test_no_two_of_254_classes_look_alike(background):
    palette = default_palette(MOST_CLASSES, background)
    assert len(set(palette)) == MOST_CLASSES == len(ClassSet(tuple(map(str, range(254))), background))


def test_voc_colours_are_the_published_ones():
    # VOC 2012 development kit, VOClabelcolormap: aeroplane, person, tv/monitor, void.
    assert [voc_colour(number) for number in (0, 1, 15, 20, 255)] == [
        (0, 0, 0),
        (128, 0, 0),
        (192, 128, 128),
        (0, 64, 128),
        (224, 224, 192),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"names": ("one",)}, "1 classes: a segmentation tells 2 to 254"),
        ({"names": tuple(map(str, range(255)))}, "255 classes"),
        ({"names": ("a", "b", "a")}, "'a' stands twice"),
        ({"names": ("a", "b\n")}, "can be printed"),
        ({"names": ("a", "\x1b[31m")}, "can be printed"),
        ({"names": ("a", " ")}, "not empty"),
        ({"names": ("a", "b"), "background": 2}, "background 2 is none of the 2 classes"),
        ({"names": ("a", "b"), "ignored_is": "void"}, "unknown or border"),
        ({"names": ("a", "b"), "background": None, "ignored_is": "border"}, "name the class that is the background"),
        ({"names": ("a", "b"), "colours": ((1, 2, 3),)}, "1 colours for 2 classes"),
        ({"names": ("a", "b"), "colours": ((1, 2, 3), (1, 2, 256))}, "from 0 to 255"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        ClassSet(**arguments)


@pytest.mark.parametrize("content", [None, {}, {"names": ["a", "b"]}, [1], "text"])
def test_other_contents_are_refused_in_one_line(content):
    with pytest.raises(UserError, match="w.json"):
        ClassSet.of(content, "w.json")

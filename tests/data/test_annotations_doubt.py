"""Values that could mean two things are binary by a stated rule, or an error that asks."""

import pytest

from core.errors import UserError
from data.annotations.decide import decide
from data.annotations.request import Request, read_request
from data.annotations.scan import MaskCounts, Tally


def tally_of(*masks: dict[int, int]) -> Tally:
    tally = Tally()
    for number, pixels in enumerate(masks):
        tally.add(MaskCounts(1, sum(pixels.values()), "grey", 1, pixels, {}), f"{number}.png")
    return tally


@pytest.mark.parametrize("names", [(), ("skin", "lesion"), ("lesion",)])
def test_values_near_both_ends_alone_are_binary(names):
    lossy = {0: 30_000, 1: 900, 2: 300, 13: 3, 242: 1, 250: 20, 254: 100, 255: 2000}
    coding = decide(tally_of(lossy), Request(names) if names else None)
    assert (coding.binary, len(coding.class_set)) == (True, 2)
    assert coding.class_set.names[-1] == (names[-1] if names else "foreground")
    assert [meaning.pixels for meaning in coding.meanings] == [31_203, 2121]
    assert any("128 and above is" in note for note in coding.notes)


@pytest.mark.parametrize(
    "held", [{0: 900, 16: 9, 64: 9, 191: 9, 255: 80}, {0: 900} | {4 * place: 9 for place in range(1, 20)}]
)
def test_soft_edges_of_thin_things_are_no_classes(held):
    with pytest.raises(UserError, match=r"Say in a YAML for --classes what each is \(`foreground: \[128-255\]`"):
        decide(tally_of(held), None)


def test_three_exact_values_are_not_blurred():
    for grey in (127, 128):
        tally = tally_of({0: 900, grey: 9, 255: 80})
        tally.between = tally.at_edges = 9
        coding = decide(tally, None)
        assert (coding.binary, coding.labels) == (False, {0: 0, grey: 1, 255: 2})
    tally = tally_of({0: 900, 100: 9, 255: 80})
    tally.between = tally.at_edges = 9
    with pytest.raises(UserError, match="255 beside values that are not in a row"):
        decide(tally, None)


@pytest.mark.parametrize("other", [1, 254])
def test_masks_coded_in_two_ways_are_told_apart(tmp_path, other):
    tally = tally_of({0: 9, other: 3}, {0: 9, 255: 3}, {0: 9, 255: 2})
    with pytest.raises(UserError, match=rf"2 masks hold 255 and no other .* {other} \(3 pixels in 1 masks.*255 \(5 p"):
        decide(tally, None)
    with pytest.raises(UserError, match="2 masks hold 255"):
        decide(tally, Request(("skin", "lesion")))
    (tmp_path / "c.yaml").write_text(f"background: 0\nforeground: [{other}, 255]\n")
    assert decide(tally, read_request([str(tmp_path / "c.yaml")])).labels == {0: 0, other: 1, 255: 1}
    assert decide(tally, None, [255]).labels == {0: 0, other: 1, 255: 255}


def test_a_mask_of_white_alone_is_unknown_where_others_hold_classes():
    coding = decide(tally_of({0: 500, 1: 300, 2: 200}, {0: 900, 1: 100}, {255: 1000}), None)
    assert len(coding.class_set.names) == 3
    assert any(meaning.code == "255" and meaning.becomes == "ignored" for meaning in coding.meanings)
    with pytest.raises(UserError, match="coded in two ways"):
        decide(tally_of({0: 500, 1: 300, 2: 200}, {255: 1000}, {0: 900, 255: 100}), None)

"""Deciding, once for a whole set of masks, what their values or colours stand for.

Without --classes:

- only 0 and one of 1 and 255: background and foreground;
- most pixels of one nearly black and one nearly white grey, and greys between them at edges alone or none at all (three
  exact values are no such greys): binary, blurred or saved with loss once; `THRESHOLD` and above is foreground;
- 255 beside values in a row from 0 or 1, or beside indices of palettes, is ignored; where the values are spread evenly
  up to it (0, 85, 170, 255) white is a class like the others; beside other values nobody knows, which is an error.
  Values below 0 are ignored;
- every other value becomes a class, 0 the background; likewise every colour, black the background. More than
  `assigning.MOST_FOUND` are no classes but photographs or damage.

Palettes are read by index, those of greys alone too where another of the set is colourful; unless the same index has
several colours in the set: then the colours count.
"""

from collections.abc import Sequence

from core.classes import IGNORED, MOST_CLASSES, ClassSet
from data.annotations.assigning import BINARY_NAMES, Numbers, coded_classes, codes_of, found_classes, named_classes
from data.annotations.canonical import WHITE, Kind, pack
from data.annotations.coding import THRESHOLD, Coding, Reading
from data.annotations.decide_layers import decide_layers
from data.annotations.doubt import is_even, require_one_storage, require_plain
from data.annotations.layers import AT_EDGES_SHARE
from data.annotations.request import Request, require_value, values_of
from data.annotations.scan import MIDDLE, Found, Tally
from data.annotations.words import from_one, half_meaning, meanings_of, not_held, notes_of, yaml_of

AT_ENDS_SHARE = 0.8
GREYS: tuple[Kind, ...] = ("grey", "narrow")
OTHERS: tuple[Kind, ...] = ("palette", "colour")


def decide(tally: Tally, request: Request | None, ignore_values: Sequence[int] = ()) -> Coding:
    """Decide what the masks that were counted mean.

    Args:
        request: what --classes says, None without it.
        ignore_values: what --ignore_value says; replaces what would be ignored otherwise.

    Raises:
        UserError: the masks hold what the request does not name, or not what it names; fewer than two classes, or more
            than can be classes.
    """
    if request and len(request.names) > MOST_CLASSES:
        ClassSet(request.names)  # which says what is wrong
    for value in ignore_values:
        require_value(value, "--ignore_value")
    if tally.layers:
        return decide_layers(tally, request, ignore_values)
    by_index = "palette" in tally.kinds
    reading = _reading(tally, request)
    colours = reading == "colours"
    if _is_blurred(tally, reading, request, ignore_values):
        return _of_blurred(tally, request)
    spread = colours or _is_spread(tally, request)
    found = _numbers(tally, reading, spread)
    if not (colours or ignore_values or (request and request.codes)):
        require_plain(tally, found, request is not None)
    ignored = _ignored(found, request, ignore_values, colours)
    wanted = {number: where for number, where in sorted(found.items()) if number not in ignored}
    if not (request and request.codes):
        require_one_storage(*_by_storage(tally, reading, spread, wanted), colours)
    if request is None:
        class_set, labels = found_classes(tally, wanted, colours)
    elif request.codes:
        class_set, labels = coded_classes(tally, wanted, request, colours)
    else:
        class_set, labels = named_classes(tally, wanted, request, colours)
    meanings = meanings_of(found, labels, class_set, colours)
    evenly = not colours and WHITE in labels and len(labels) > 2
    notes = notes_of(tally, meanings, bool(request), colours, evenly and request is None)
    if request is None and not colours:
        notes += from_one(found)
    if ignore_values:
        notes += not_held(found, sorted(ignored), colours)
    text = "" if request and request.codes else yaml_of(class_set, labels, sorted(ignored & set(found)), colours)
    labels = labels | dict.fromkeys(ignored, IGNORED)
    return Coding(
        class_set, reading, labels, spread=spread, by_index=by_index, meanings=meanings, notes=notes, yaml=text
    )


def _reading(tally: Tally, request: Request | None) -> Reading:
    if "colour" in tally.kinds or tally.palettes_differ:
        return "colours"
    return "colours" if request and request.wants_colours and "palette" in tally.kinds else "values"


def _by_storage(tally: Tally, reading: Reading, spread: bool, wanted: Numbers) -> tuple[Numbers, Numbers]:
    """Return what of `wanted` grey masks hold, and what others do."""
    greys, others = (_numbers(tally, reading, spread, kinds) for kinds in (GREYS, OTHERS))
    return {n: greys[n] for n in greys if n in wanted}, {n: others[n] for n in others if n in wanted}


def _numbers(tally: Tally, reading: Reading, spread: bool, kinds: Sequence[Kind] = (*GREYS, *OTHERS)) -> Numbers:
    """Return where each value, or each packed colour, was found in masks of these kinds."""
    numbers: Numbers = {}
    for (kind, step, value), where in tally.found.items():
        if kind not in kinds or (reading == "colours" and kind == "palette"):
            continue
        number = value * step if spread and kind == "narrow" else value
        if reading == "colours" and kind != "colour":
            number *= 0x010101
        numbers.setdefault(number, Found()).merge(where)
    for colour, where in tally.colours.items() if reading == "colours" and "palette" in kinds else ():
        numbers.setdefault(colour, Found()).merge(where)
    return numbers


def _is_spread(tally: Tally, request: Request | None) -> bool:
    """Say whether values of 1, 2 and 4 bits are the greys that a viewer shows: those fit the other masks, they not."""
    narrow = [(step, value) for kind, step, value in tally.found if kind == "narrow"]
    known = {value for kind, _, value in tally.found if kind in ("grey", "palette")}
    if request and request.codes:
        known = {value for code in request.codes for value in values_of(code, request.where)}
        known |= set(values_of(request.ignored, request.where)) if request.ignored is not None else set()
    own, shown = {value for _, value in narrow}, {step * value for step, value in narrow}
    return bool(narrow) and shown <= known and not own <= known


def _is_blurred(tally: Tally, reading: Reading, request: Request | None, ignore_values: Sequence[int]) -> bool:
    if reading != "values" or "palette" in tally.kinds or ignore_values:
        return False
    if request and (request.codes or len(request.names) > 2):
        return False
    found = _numbers(tally, "values", spread=True)
    near_ends = range(MIDDLE.start), range(MIDDLE.stop, WHITE + 1)
    darks, brights = ([found[grey].pixels for grey in end if grey in found] for end in near_ends)
    if len(found) <= 3 or not darks or not brights or max(darks) + max(brights) < AT_ENDS_SHARE * tally.pixels:
        return False
    if tally.between:
        return tally.at_edges >= AT_EDGES_SHARE * tally.between
    # Loss alters both ends; classes counted from 0 beside an ignored 255 leave that as it is.
    return len(darks) > 1 and len(brights) > 1 and len(darks) + len(brights) == len(found)


def _of_blurred(tally: Tally, request: Request | None) -> Coding:
    names = BINARY_NAMES if request is None else request.names
    names = (BINARY_NAMES[0], *names) if len(names) == 1 else names
    class_set = ClassSet(names, background=0 if request is None or len(request.names) == 1 else request.background)
    numbers = _numbers(tally, "values", spread=True)
    labels = {number: int(number >= THRESHOLD) for number in range(WHITE + 1)}
    halves = range(THRESHOLD), range(THRESHOLD, WHITE + 1)
    meanings = [half_meaning(numbers, half, name) for half, name in zip(halves, names, strict=True)]
    share = tally.between / tally.pixels
    why = (
        f"greys between black and white ({share:.2%} of the pixels) lie at edges alone"
        if tally.between
        else "all are nearly black or nearly white, as after saving with loss"
    )
    notes = [f"the masks are binary: {why}; {THRESHOLD} and above is {names[1]}, below it {names[0]}"]
    text = yaml_of(class_set, labels, [], colours=False)
    return Coding(
        class_set, "values", {0: 0, 1: 1}, spread=True, binary=True, meanings=meanings, notes=notes, yaml=text
    )


def _ignored(found: Numbers, request: Request | None, ignore_values: Sequence[int], colours: bool) -> set[int]:
    if ignore_values:
        return {pack((value,) * 3) if colours else value for value in ignore_values}
    if request and request.ignored is not None:
        return set(codes_of(request.ignored, request.where, colours))
    if colours:
        return set()
    named = {value for code in request.codes for value in values_of(code, request.where)} if request else set()
    ignored = {value for value in found if value < 0}
    rest = set(found) - ignored
    others = rest - {0, WHITE}
    if WHITE in rest and others and not (request is None and is_even(rest)):
        ignored.add(WHITE)
    return ignored - named

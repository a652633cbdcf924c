"""Giving the values or colours of a set of masks their classes: those found, those named, or those of a YAML."""

from collections.abc import Sequence

from core.classes import ClassSet
from core.errors import UserError
from data.annotations.canonical import WHITE, pack, unpack
from data.annotations.coding import code_text
from data.annotations.request import Code, Request, colours_of, values_of
from data.annotations.scan import Found, Tally
from data.annotations.words import told, yaml_line

MOST_FOUND = 64
BINARY_NAMES = ("background", "foreground")
_SHOWN_AT_MOST = 12
_NEXT = "python -m data.inspect shows what they hold"

Numbers = dict[int, Found]


def codes_of(code: Code, where: str, colours: bool) -> list[int]:
    """Return the values or packed colours that a code of a YAML names. Raises as `values_of` and `colours_of` do."""
    return [pack(colour) for colour in colours_of(code, where)] if colours else values_of(code, where)


def found_classes(tally: Tally, wanted: Numbers, colours: bool) -> tuple[ClassSet, dict[int, int]]:
    """Make every value or colour a class.

    Raises:
        UserError: fewer than two, or so many that they are none.
    """
    others = [number for number in wanted if number not in (0, *(() if colours else (WHITE,)))]
    what = "colours" if colours else "values"
    if len(others) > MOST_FOUND:
        many = f"{len(others)}{' or more' if len(tally.found) >= len(others) > 4000 else ''}"
        raise UserError(
            f"the masks hold {many} {what} besides black and white, too many to be classes: {told(wanted, colours)}. "
            "Are they photographs (--images and --masks swapped?) or saved with loss? Else say their meaning: --classes"
        )
    _require_two(wanted, what, colours)
    if not colours and sorted(wanted) in ([0, 1], [0, WHITE]):
        names = list(BINARY_NAMES)
    elif colours:
        names = ["background"] * (0 in wanted) + [
            f"class_{place}" for place in range(1, len(wanted) + (0 not in wanted))
        ]
    else:
        names = [f"class_{value}" if value else "background" for value in wanted]
    labels = {number: place for place, number in enumerate(wanted)}
    return ClassSet(tuple(names), 0 if 0 in wanted else None, colours=_shown(tally, list(wanted), colours)), labels


def named_classes(tally: Tally, wanted: Numbers, request: Request, colours: bool) -> tuple[ClassSet, dict[int, int]]:
    """Give values the names that --classes lists: 0, 1, 2, ..., or 1, 2, ... where no mask holds 0.

    One name less than there are values leaves 0 the background; 0 and 255 alone are as good as 0 and 1.

    Raises:
        UserError: other values, which names alone do not tell apart, or a name whose value no mask holds; colours.
    """
    names, background = request.names, request.background
    if colours:
        raise UserError(
            f"the masks hold colours, whose order says nothing: --classes needs a YAML (`car: [0, 0, 142]`); they hold "
            f"{told(wanted, True)}"
        )
    held = list(wanted)
    in_a_row = held == list(range(len(held))) or held == [0, WHITE]
    if in_a_row and len(held) == len(names) + 1 and background is None:
        names, background = ("background", *names), 0
    if len(held) == len(names) and (in_a_row or held == list(range(1, len(names) + 1))):
        numbers = held
    elif held and set(held) <= set(range(len(names))):
        numbers = list(range(len(names)))
        _require_held(names, [[number] for number in numbers], wanted, colours)
    else:
        raise UserError(
            f"--classes gives {len(names)} names, but the masks hold {len(wanted)} values: {told(wanted, False)}; "
            f"names alone stand for 0, 1, 2, ...: say in a YAML which value is which, {_as_yaml(request, held)}"
        )
    class_set = ClassSet(names, background, colours=_shown(tally, numbers, colours))
    return class_set, {number: place for place, number in enumerate(numbers)}


def _as_yaml(request: Request, values: Sequence[int]) -> str:
    """Return a YAML of one line that gives values their names in order, to be corrected; the rest is ignored."""
    names = request.names
    if len(values) == len(names) + 1 and 0 in values and request.background is None:
        names = ("background", *names)
    codes: dict[str, object] = dict(zip(names[:_SHOWN_AT_MOST], values, strict=False))
    if rest := list(values[len(names) :][:_SHOWN_AT_MOST]):
        codes["ignore"] = rest
    return f"such as `{yaml_line(codes)}`"


def coded_classes(tally: Tally, wanted: Numbers, request: Request, colours: bool) -> tuple[ClassSet, dict[int, int]]:
    """Give values or colours the classes that a YAML says.

    Raises:
        UserError: it does not name all that there are, or names what is not there or one thing twice.
    """
    codes = [
        codes_of(code, f"{request.where}: {name}", colours)
        for name, code in zip(request.names, request.codes, strict=True)
    ]
    labels: dict[int, int] = {}
    for place, numbers in enumerate(codes):
        for number in numbers:
            if labels.setdefault(number, place) != place:
                twice = f"{request.names[labels[number]]} and {request.names[place]}"
                raise UserError(f"{request.where}: {code_text(number, colours)} is both {twice}: give it to one")
    class_set = ClassSet(
        request.names, request.background, colours=_shown(tally, [numbers[0] for numbers in codes], colours)
    )
    if unknown := {number: where for number, where in wanted.items() if number not in labels}:
        what = "colours" if colours else "values"
        raise UserError(
            f"the masks hold {what} that {request.where} does not name: {told(unknown, colours)}. Name them there, or "
            "under `ignore`"
        )
    _require_held(request.names, codes, wanted, colours)
    return class_set, labels


def _require_held(names: Sequence[str], codes: Sequence[Sequence[int]], found: Numbers, colours: bool) -> None:
    for name, numbers in zip(names, codes, strict=True):
        if not any(number in found for number in numbers):
            expected = " or ".join(code_text(number, colours) for number in numbers)
            raise UserError(f"no mask holds {name} ({expected}): they hold {told(found, colours)}. Correct --classes")


def _require_two(wanted: Numbers, what: str, colours: bool) -> None:
    if len(wanted) < 2:
        held = f"one of the {what} alone, {told(wanted, colours)}" if wanted else f"no {what} but those ignored"
        raise UserError(f"the masks hold {held}: nothing could be told apart; {_NEXT}")


def _shown(tally: Tally, numbers: Sequence[int], colours: bool) -> tuple[tuple[int, int, int], ...]:
    """Return the masks' own colours for classes, where they have distinct ones."""
    packed = [number if colours else tally.palette.get(number) for number in numbers]
    known = [colour for colour in packed if colour is not None]
    return tuple(map(unpack, known)) if len(set(known)) == len(packed) else ()

"""Deciding what the categories of annotations mean together."""

from collections.abc import Sequence

from core.classes import IGNORED, ClassSet
from core.errors import UserError
from data.annotations.coding import Coding
from data.annotations.formats.region import Annotations, Category
from data.annotations.laying import CROWD
from data.annotations.request import RANGE, Code, Request, values_of
from data.annotations.scan import Found, Tally
from data.annotations.words import layer_meanings, regions_yaml

_BACKGROUNDS = ("background", "bg", "_background_")
_NUMBERED = "YOLO"  # whose categories have numbers alone where no list names them
_SHOWN_AT_MOST = 12


def decide_regions(
    annotations: Annotations, tally: Tally, request: Request | None, ignore_values: Sequence[int] = ()
) -> Coding:
    """Decide what the categories of annotations mean.

    Each category is a class, in the file's order, whether a region is of it or not; what nothing claims is the
    background, which comes first where no category is called so. Where everything is claimed there is none.

    Raises:
        UserError: --classes names what is no category, or not all that regions are of; fewer than two classes.
    """
    categories = _categories(annotations, tally)
    if ignore_values:
        raise UserError(
            f"--ignore_value is of masks' values, and {annotations.title} has names: say `ignore: [...]` in a YAML for "
            "--classes"
        )
    if request is None:
        names, labels, background = _all(categories, bool(tally.unclaimed.pixels))
    else:
        names, labels, background = _requested(
            request, categories, tally, not annotations.categories and annotations.title == _NUMBERED
        )
    if len(names) < 2:
        held = ", ".join(names) or "no class"
        raise UserError(f"the annotations hold {held} alone, with nothing beside it: nothing could be told apart")
    class_set = ClassSet(tuple(names), background)
    for category in categories:
        tally.layers.setdefault(category.name, Found())
    held_layers = {name: where for name, where in tally.layers.items() if where.pixels}
    return Coding(
        class_set,
        "regions",
        layers=labels,
        rest=IGNORED if background is None else background,
        annotations=annotations,
        meanings=layer_meanings(held_layers, labels, class_set),
        notes=[*annotations.notes, *_notes(annotations, tally, names, labels, background)],
        yaml="" if request and request.codes else regions_yaml(class_set, labels),
    )


def _categories(annotations: Annotations, tally: Tally) -> list[Category]:
    """Return the categories of the list; without one those that regions are of, numbers by their size."""
    if annotations.categories:
        listed = list(annotations.categories)
        known = {category.name for category in listed}
        if unlisted := sorted(set(tally.layers) - known - {CROWD}):
            where = annotations.files[0] if annotations.files else annotations.title
            raise UserError(f"{where} does not list {_some(unlisted)}, which annotations are of: add them there")
        return listed
    found = [name for name in tally.layers if name != CROWD]
    numbered = {name: int(name.removeprefix("class_")) for name in found if name.removeprefix("class_").isdigit()}
    if annotations.title == _NUMBERED:
        return [Category(name, number) for name, number in sorted(numbered.items(), key=lambda item: item[1])]
    return [Category(name) for name in sorted(found)]


def _all(categories: Sequence[Category], unclaimed: bool) -> tuple[list[str], dict[str, int], int | None]:
    own = next((place for place, category in enumerate(categories) if _is_background(category.name)), None)
    added = own is None and unclaimed
    names = ["background"] * added + [category.name for category in categories]
    if own is not None and categories[own].name == _BACKGROUNDS[-1]:
        names[own] = _BACKGROUNDS[0]
    labels = {category.name: place + added for place, category in enumerate(categories)}
    return names, labels, 0 if added else own


def _requested(
    request: Request, categories: Sequence[Category], tally: Tally, unnamed: bool
) -> tuple[list[str], dict[str, int], int | None]:
    names, background = list(request.names), request.background
    codes: list[Code] = list(request.codes or request.names)
    if unnamed and not request.codes:  # names in the order of the numbers, which have no other
        numbers = iter(range(len(names)))
        codes = [name if place == background else [next(numbers)] for place, name in enumerate(names)]
    if background is None and tally.unclaimed.pixels:
        names, codes, background = ["background", *names], [_BACKGROUNDS[0], *codes], 0
    labels: dict[str, int] = {}
    for place, code in enumerate(codes):
        may_lack = place == background or (unnamed and not request.codes)
        for name in _named(code, categories, f"{request.where}: {names[place]}", may_lack):
            if labels.setdefault(name, place) != place:
                both = f"{names[labels[name]]} and {names[place]}"
                raise UserError(f"{request.where}: {name} is both {both}: give it to one")
    if background is not None:  # by whichever of its names a tool calls it
        labels = {category.name: background for category in categories if _is_background(category.name)} | labels
    if request.ignored is not None:
        labels |= dict.fromkeys(_named(request.ignored, categories, f"{request.where}: ignore", True), IGNORED)
    if unknown := sorted(name for name, where in tally.layers.items() if where.pixels and name not in {*labels, CROWD}):
        raise UserError(
            f"{request.where} does not name {_some(unknown)}, which annotations are of: name them there, or under "
            "`ignore` in a YAML"
        )
    return names, labels, background


def _named(code: Code, categories: Sequence[Category], where: str, may_lack: bool) -> list[str]:
    """Return the categories that a code names, by name, by number or by a range of numbers.

    Args:
        may_lack: whether the code may be of none: the background, and what is ignored.
    """
    found: list[str] = []
    for part in code if isinstance(code, list) else [code]:
        named = [category.name for category in categories if part in (category.name, category.number)]
        if not named and isinstance(part, str) and RANGE.fullmatch(part):
            numbers = values_of(part, where)
            named = [category.name for category in categories if category.number in numbers]
        if not named and isinstance(part, str) and not may_lack:
            raise UserError(f"{where}: {part!r} is {_no_category(categories)}")
        found += named
    if not found and not may_lack:
        raise UserError(f"{where}: {code!r} is {_no_category(categories)}")
    return found


def _no_category(categories: Sequence[Category]) -> str:
    return f"no category of the annotations, which are {_some([category.name for category in categories])}"


def _is_background(name: str) -> bool:
    return name.lower() in _BACKGROUNDS


def _notes(
    annotations: Annotations, tally: Tally, names: Sequence[str], labels: dict[str, int], background: int | None
) -> list[str]:
    unclaimed = "; what nothing claims is background" if tally.unclaimed.pixels else ""
    notes = [f"annotations of {annotations.title}, later ones over earlier ones: {_some(names)}{unclaimed}"]
    if (overlap := tally.overlapping).masks:
        notes.append(
            f"{overlap.pixels / tally.pixels:.2%} of the pixels are claimed by annotations of two classes, in "
            f"{overlap.masks} pictures (first {overlap.first}): the later one in the file counts"
        )
    if CROWD in tally.layers:
        crowd = tally.layers[CROWD]
        notes.append(f"crowds and what is marked as ignored ({crowd.pixels} pixels) are neither learned nor scored")
    held = {labels.get(name) for name, where in tally.layers.items() if where.pixels}
    if empty := [name for place, name in enumerate(names) if place not in held and place != background]:
        notes.append(f"no pixel is of {_some(empty)}: classes all the same, as they are listed")
    return notes


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN_AT_MOST} more" if len(names) > _SHOWN_AT_MOST else ""
    return ", ".join(names[:_SHOWN_AT_MOST]) + more

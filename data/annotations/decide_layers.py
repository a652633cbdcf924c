"""Deciding what binary files, one a class, mean together."""

from collections.abc import Mapping, Sequence

from core.classes import IGNORED, ClassSet
from core.errors import UserError
from data.annotations.coding import Coding
from data.annotations.request import IGNORE, Request, called_ignore
from data.annotations.scan import Tally
from data.annotations.words import layer_meanings, layers_yaml, transparency


def decide_layers(tally: Tally, request: Request | None, ignore_values: Sequence[int] = ()) -> Coding:
    """Decide what the files of each class mean.

    Each name of files is a class. Pixels that none claims are the background, unless there are files of that name:
    then nobody says what they are, and they are ignored. Where every pixel is claimed there is no background.

    Raises:
        UserError: --classes names a class without files, or there are files that it does not name; fewer than two;
            something is to be ignored, which has no meaning here.
    """
    if ignore_values or (request and request.ignored is not None):
        said = "--ignore_value" if ignore_values or not request else f"`ignore` in {request.where}"
        raise UserError(
            f"{said} has no meaning where each class has a binary file: remove it, and the file of what "
            "is to be ignored"
        )
    if IGNORE in tally.layers and request is None:
        raise called_ignore(tally.layers[IGNORE].first or f"files called {IGNORE}", IGNORE)
    held = sorted(key for key, where in tally.layers.items() if where.pixels)
    own_background = next((key for key in sorted(tally.layers) if key.lower() == "background"), None)
    needs_background = bool(tally.unclaimed.pixels) and own_background is None
    if request is None:
        names = (*["background"] * needs_background, *held)
        labels = {key: place + needs_background for place, key in enumerate(held)}
        background = 0 if needs_background else labels.get(own_background or "")
    else:
        names, labels, background = _requested(request, tally, needs_background)
    if len(names) < 2:
        raise UserError(f"the masks hold {', '.join(names) or 'no class'} alone: nothing could be told apart")
    class_set = ClassSet(tuple(names), background)
    rest = background if background is not None and background not in labels.values() else IGNORED
    return Coding(
        class_set,
        "layers",
        layers=labels,
        rest=rest,
        meanings=layer_meanings(tally.layers, labels, class_set),
        notes=_notes(tally, names),
        yaml="" if request and request.codes else layers_yaml(class_set, labels, rest),
    )


def _requested(
    request: Request, tally: Tally, needs_background: bool
) -> tuple[tuple[str, ...], dict[str, int], int | None]:
    names, background = request.names, request.background
    keys = [code if isinstance(code, str) else name for name, code in _coded(request).items()]
    if needs_background and background is None:
        names, keys, background = ("background", *names), ["background", *keys], 0
    labels = {key: place for place, key in enumerate(keys) if place != background or key in tally.layers}
    if unknown := sorted(set(tally.layers) - set(labels)):
        raise UserError(f"{request.where} does not name {_some(unknown)}, of which there are masks: name them there")
    for key in labels:
        if not (key in tally.layers and tally.layers[key].pixels):
            raise UserError(f"no mask holds {key}: there are those of {_some(sorted(tally.layers))}; correct --classes")
    return names, labels, background


def _coded(request: Request) -> Mapping[str, object]:
    return dict(zip(request.names, request.codes or request.names, strict=True))


def _notes(tally: Tally, names: tuple[str, ...]) -> list[str]:
    notes = [f"one binary file a class: {_some(list(names))}"]
    if (overlap := tally.overlapping).masks:
        share = overlap.pixels / tally.pixels
        notes.append(
            f"{share:.2%} of the pixels belong to two classes at once, in {overlap.masks} pictures (first "
            f"{overlap.first}): they are neither learned nor scored"
        )
    return notes + transparency(tally)


def _some(names: list[str]) -> str:
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")

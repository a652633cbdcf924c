"""What a person reads of the meaning of masks: what was found, what it became, and the YAML that says so."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from core.classes import IGNORED, ClassSet
from data.annotations.canonical import WHITE, unpack
from data.annotations.coding import Meaning, code_text
from data.annotations.scan import Found, Tally

NAMED_AT_MOST = 5
SHOWN_AT_MOST = 12
LONG_LIST = 8  # of values in a row, which the YAML then gives as a range


def told(numbers: Mapping[int, Found], colours: bool) -> str:
    """Return the first few values or colours, with pixels, masks and the first file of each."""
    some = sorted(numbers.items())[:NAMED_AT_MOST]
    parts = [
        f"{code_text(number, colours)} ({where.pixels} pixels in {where.masks} masks, first {where.first})"
        for number, where in some
    ]
    return ", ".join(parts) + (f" and {len(numbers) - len(some)} more" if len(numbers) > len(some) else "")


def meanings_of(
    found: Mapping[int, Found], labels: Mapping[int, int], class_set: ClassSet, colours: bool
) -> list[Meaning]:
    """Return what each value or colour became; those without a label are ignored."""
    return [
        Meaning(code_text(number, colours), _name(labels.get(number, IGNORED), class_set), *_place(where))
        for number, where in sorted(found.items())
    ]


def half_meaning(found: Mapping[int, Found], half: range, name: str) -> Meaning:
    """Return what a range of greys became; the masks are those that hold its commonest grey."""
    held = [where for number, where in found.items() if number in half]
    commonest = max(held, key=lambda where: where.pixels)
    pixels = sum(where.pixels for where in held)
    return Meaning(f"{half[0]} to {half[-1]}", name, pixels, commonest.masks, commonest.first)


def layer_meanings(found: Mapping[str, Found], labels: Mapping[str, int], class_set: ClassSet) -> list[Meaning]:
    """Return what each class's files became."""
    return [Meaning(key, _name(labels.get(key, IGNORED), class_set), *_place(found[key])) for key in sorted(found)]


def notes_of(tally: Tally, meanings: Sequence[Meaning], asked: bool, colours: bool, evenly: bool = False) -> list[str]:
    """Return what a person should know of the meaning, a sentence each.

    Args:
        asked: whether --classes said what the classes are.
        evenly: whether white is a class since the values lie evenly up to it.
    """
    notes = [f"the masks' {'colours' if colours else 'values'}: {_listed(meanings)}"]
    if not asked:
        notes.append(
            "without --classes every value found became a class; classes.yaml beside the manifest says so: name the "
            "classes in a copy of it and give it as --classes"
        )
    ignored = [meaning for meaning in meanings if meaning.becomes == "ignored"]
    if not colours and any(meaning.code == str(WHITE) for meaning in ignored):
        notes.append(f"{WHITE} beside other values is neither learned nor scored (--ignore_value says otherwise)")
    if evenly:
        notes.append(
            f"the values lie evenly up to {WHITE}, which is a class like them (--ignore_value {WHITE} ignores it)"
        )
    if tally.palettes_differ:
        notes.append("the masks' palettes differ from file to file: their colours count, not their indices")
    return notes + transparency(tally)


def not_held(found: Mapping[int, Found], ignored: Sequence[int], colours: bool) -> list[str]:
    """Return a sentence where --ignore_value names what no mask holds."""
    missing = [code_text(value, colours) for value in ignored if value not in found]
    return [f"note: --ignore_value: no mask holds {', '.join(missing[:NAMED_AT_MOST])}"] if missing else []


def from_one(found: Mapping[int, Found]) -> list[str]:
    """Return a sentence where values that nobody named begin at 1: the background is one of them, if there is one."""
    values = sorted(value for value in found if 0 <= value != WHITE)
    if values[:1] != [1]:
        return []
    told = "note: no mask holds 0, the values begin at 1: labels counted from 1, probably, none of which is background"
    example = f"`background: {values[-1]}`"
    if {*values} <= {1, 2, 3}:
        told += "; or trimaps as those of Oxford-IIIT Pet (1 the animal, 2 background, 3 border: --dataset oxford_pets)"
        example = "`animal: 1`, `background: 2`, `ignore: [3]`"
    return [f"{told}. A YAML for --classes says otherwise, such as {example}"]


def transparency(tally: Tally) -> list[str]:
    """Return a sentence on transparent pixels, if there are any."""
    clear = tally.transparent
    if not clear.masks:
        return []
    return [f"{clear.masks} masks are transparent in places (first {clear.first}): those are read as black"]


def yaml_of(class_set: ClassSet, labels: Mapping[int, int], ignored: Sequence[int], colours: bool) -> str:
    """Return the YAML that says with --classes what was decided."""
    lines = []
    for place, name in enumerate(class_set.names):
        lines.append(_line(name, [_code(number, colours) for number, label in labels.items() if label == place]))
    return "".join(lines + ([_line("ignore", [_code(number, colours) for number in ignored], True)] if ignored else []))


def layers_yaml(class_set: ClassSet, labels: Mapping[str, int], rest: int) -> str:
    """Return the YAML that says with --classes which class's files are which class."""
    codes = {place: key for key, place in labels.items()} | ({rest: 0} if rest != IGNORED else {})
    return "".join(_line(name, [codes[place]]) for place, name in enumerate(class_set.names))


def regions_yaml(class_set: ClassSet, labels: Mapping[str, int]) -> str:
    """Return the YAML that says with --classes which categories of annotations are which class."""
    lines = []
    for place, name in enumerate(class_set.names):
        of_it = [category for category, label in labels.items() if label == place]
        lines.append(_line(name, of_it or [name]))
    return "".join(lines)


def _line(name: str, codes: Sequence[Any], always_list: bool = False) -> str:
    content = list(codes) if always_list or len(codes) > 1 else codes[0]
    if len(codes) > LONG_LIST and codes == [*range(codes[0], codes[-1] + 1)]:
        content = f"{codes[0]}-{codes[-1]}"
    return f"{yaml_line(name)}: {yaml_line(content)}\n"


def yaml_line(content: object) -> str:
    """Return a name, a number, a list or a mapping as YAML on one line."""
    return (
        yaml.safe_dump(content, allow_unicode=True, default_flow_style=True, sort_keys=False, width=10_000)
        .removesuffix("...\n")
        .strip()
    )


def _code(number: int, colours: bool) -> object:
    return list(unpack(number)) if colours else number


def _listed(meanings: Sequence[Meaning]) -> str:
    parts = [f"{meaning.code} {meaning.becomes}" for meaning in meanings[:SHOWN_AT_MOST]]
    return ", ".join(parts) + (f" and {len(meanings) - len(parts)} more" if len(meanings) > len(parts) else "")


def _name(label: int, class_set: ClassSet) -> str:
    return "ignored" if label == IGNORED else class_set.names[label]


def _place(where: Found) -> tuple[int, int, str]:
    return where.pixels, where.masks, where.first

"""What --classes asks for: names in the order of the masks' values, or a YAML that says what each value means."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.filing.paths import expanded
from core.filing.yaml_file import read_yaml
from data.annotations.canonical import RGB

Code = int | str | list[Any]
RANGE = re.compile(r"(\d{1,5})-(\d{1,5})")
IGNORE = "ignore"  # what a YAML calls the values that are neither learned nor scored
FORMS = "`road: 1`, `car: [0, 0, 142]`, `ignore: [255]`, `background: 0`"


@dataclass(frozen=True)
class Request:
    """The classes that are asked for.

    Attributes:
        names: of the classes; the label of each is its place.
        codes: what stands for each in a YAML: a value, several, a colour, or several; empty for names alone.
        ignored: what is neither learned nor scored, likewise; None where the YAML says nothing of it.
        where: what an error names.
    """

    names: tuple[str, ...]
    codes: tuple[Code, ...] = ()
    ignored: Code | None = None
    where: str = "--classes"

    @property
    def background(self) -> int | None:
        """The class called background, if there is one."""
        return next((place for place, name in enumerate(self.names) if name.lower() in ("background", "bg")), None)

    @property
    def wants_colours(self) -> bool:
        """Whether its codes can only, or most likely, be colours; the masks decide where they hold one of the two."""
        foreground = [code for place, code in enumerate(self.codes) if place != self.background]
        certain = any(_is_certain_colour(code) for code in self.codes)
        return certain or (bool(foreground) and all(_is_triple(code) for code in foreground))


def read_request(classes: Sequence[str]) -> Request | None:
    """Read the setting --classes; None where it is empty.

    Raises:
        UserError: a YAML that is missing, says something else or stands beside other words; names joined by commas.
    """
    if not classes:
        return None
    files = [word for word in classes if word.lower().endswith((".yaml", ".yml"))]
    if files and len(classes) > 1:
        raise UserError(f"--classes takes names or one YAML, not {' and '.join(classes[:3])}: give one of the two")
    if not files:
        if IGNORE in classes:
            raise called_ignore("--classes", classes.index(IGNORE))
        if len(classes) == 1 and "," in classes[0]:
            apart = shlex.join(part.strip() for part in classes[0].split(","))
            raise UserError(f"--classes {classes[0]} is one name: give names apart, --classes {apart}; or a YAML")
        return Request(tuple(classes))
    path = Path(expanded(classes[0]))
    try:
        content = read_yaml(path)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: --classes takes names, or a YAML with {FORMS}") from None
    return _of_yaml(content, str(path))


def called_ignore(where: str, code: int | str) -> UserError:
    """Return the error that a class, which `code` stands for, is called as a YAML calls what is left out."""
    return UserError(
        f"{where}: `{IGNORE}` names what is neither learned nor scored, so no class can be called that: call it "
        f"otherwise, such as `other: {code}` in a YAML for --classes"
    )


def values_of(code: Code, where: str) -> list[int]:
    """Return the values that a code of a YAML names: 1, [1, 2], or 128-255 for a whole range.

    Raises:
        UserError: it names something else, or what can only be a colour.
    """
    # Nobody lists a value twice; three equal ones are a grey.
    if _is_triple(code) and isinstance(code, list) and len(set(code)) == 2:
        raise UserError(f"{where}: {code} is a colour, but the masks are read as values: say which value it is")
    values: list[int] = []
    for part in code if isinstance(code, list) else [code]:
        ends = RANGE.fullmatch(part) if isinstance(part, str) else None
        if ends and int(ends[1]) > int(ends[2]):
            raise UserError(f"{where}: {part!r} runs backwards: write {ends[2]}-{ends[1]}")
        if ends:
            values += range(int(ends[1]), int(ends[2]) + 1)
        elif isinstance(part, int) and not isinstance(part, bool):
            values.append(require_value(part, where))
        else:
            raise UserError(f"{where}: {code!r} names no values, which the masks hold: {FORMS}")
    return values


def require_value(value: int, where: str) -> int:
    """Return a value that a mask can hold.

    Raises:
        UserError: it is none.
    """
    if not -(2**31) <= value < 2**31:
        raise UserError(f"{where}: no mask holds a number as large as {str(value)[:12]}...: correct it")
    return value


def colours_of(code: Code, where: str) -> list[RGB]:
    """Return the colours that a code of a YAML names: [0, 0, 142], a list of such, "#00008e", or 0 for a grey.

    Raises:
        UserError: it names something else.
    """
    colours = [code] if _is_triple(code) or not isinstance(code, list) else code
    found = [found for colour in colours if (found := _colour(colour)) is not None]
    if len(found) < len(colours):
        raise UserError(f"{where}: {code!r} names no colours, which the masks hold: {FORMS}")
    return found


def _of_yaml(content: Any, where: str) -> Request:
    if not isinstance(content, dict) or not content:
        raise UserError(f"{where} must say what each class's value is: {FORMS}")
    if all(_is_number(key) and isinstance(name, str) for key, name in content.items()):
        content = _turned(content)
    for name, code in content.items():
        if not isinstance(name, str):
            raise UserError(f"{where}: the name {name!r} is no text: put it in quotes")
        if not isinstance(code, int | str | list) or isinstance(code, bool) or code == []:
            raise UserError(f"{where}: {name}: {code!r} is neither a value nor a colour: {FORMS}")
    ignored = content.pop(IGNORE, None)
    if ignored == IGNORE:  # a class with files of that name
        raise called_ignore(where, ignored)
    return Request(tuple(content), tuple(content.values()), ignored, where)


def _turned(names: dict[int, str]) -> dict[str, Code]:
    """Return name -> its values of value -> name: `1: road`, as other tools write it."""
    values: dict[str, list[int]] = {}
    for value, name in names.items():
        values.setdefault(name, []).append(value)
    # Three values of one class must not be taken for a colour.
    return {
        name: held[0] if len(held) == 1 else [f"{value}-{value}" if value >= 0 else value for value in held]
        for name, held in values.items()
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_triple(code: Any) -> bool:
    return isinstance(code, list) and len(code) == 3 and all(_is_number(part) and 0 <= part <= 255 for part in code)


def _is_certain_colour(code: Any) -> bool:
    parts = code if isinstance(code, list) and not _is_triple(code) else []
    return any(_is_triple(part) or _hex(part) for part in parts) or bool(_hex(code))


def _colour(code: Any) -> RGB | None:
    if _is_triple(code):
        red, green, blue = code
        return red, green, blue
    if _is_number(code) and 0 <= code <= 255:
        return code, code, code
    return _hex(code)


def _hex(code: Any) -> RGB | None:
    if not isinstance(code, str) or not re.fullmatch("#[0-9a-fA-F]{6}", code):
        return None
    red, green, blue = bytes.fromhex(code[1:])
    return red, green, blue

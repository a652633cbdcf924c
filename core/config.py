"""From a YAML section and command-line flags to one validated, flat dataclass.

The dataclass holds the defaults; `--config FILE.yaml ...` replaces those that its section names, the later file
winning; flags win over all.
Keys of the file are checked like flags: unknown names are refused with the nearest one, values by their type.
"""

import contextlib
import dataclasses
import io
import re
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from itertools import dropwhile, takewhile
from pathlib import Path
from reprlib import Repr
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import tyro
from pydantic import TypeAdapter, ValidationError

from core.cli import SECTIONS, called_as
from core.errors import UserError, first_problem
from core.filing.paths import expanded
from core.filing.words import (
    nearest,
    prints_config,
    require_sayable,
    require_sayable_words,
    spelled_out,
    take_config,
    words_of,
)
from core.filing.yaml_file import read_yaml

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Config = TypeVar("Config", bound="DataclassInstance")

# A value as an error shows it, however long it is.
_SHOWN = Repr()
_SHOWN.maxstring = _SHOWN.maxother = 80
_SHOWN.maxlist = 12
_SHOWN.maxlevel = 2

DEFAULT_CONFIG = Path(__file__).resolve().parents[1] / "config" / "model_config.yaml"


def read_section(path: Path, section: str) -> dict[str, Any]:
    """Return one section of a YAML file, {} when the file does not have it.

    Raises:
        UserError: the file is missing, is not YAML, or has a section that no command reads.
    """
    try:
        content = read_yaml(path)
    except FileNotFoundError:
        raise UserError(f"config file {path} does not exist") from None
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise UserError(f"config file {path} must hold sections: {', '.join(SECTIONS)}")
    for name, values in content.items():
        if name not in SECTIONS:
            raise UserError(f"config file {path}: unknown section {_SHOWN.repr(name)}{nearest(str(name), SECTIONS)}")
        if not isinstance(values, dict | None):
            raise UserError(
                f"config file {path}: section {name} must hold settings (name: value), not {_SHOWN.repr(values)}"
            )
    return content.get(section) or {}


def from_files(config_type: type[Config], paths: Sequence[Path], section: str) -> Config:
    """Build the dataclass from one section of several YAML files; of a setting that stands in two the later one holds.

    Settings that are mappings are joined name by name, to any depth; lists are replaced.

    Raises:
        UserError: as `read_section` and `from_mapping`.
    """
    joined: dict[str, Any] = {}
    for path in paths:
        values = read_section(path, section)
        if not values and path != DEFAULT_CONFIG:
            rest = "the others" if len(paths) > 1 else "the defaults"
            print(f"note: {path} has no section {section!r}; {rest} hold", file=sys.stderr)
        _require_known(config_type, values, str(path))
        joined = merged(joined, values)
    return from_mapping(config_type, joined, ", ".join(map(str, paths)))


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping in which those of `above` have replaced values of `below`, at any depth."""
    both = dict(above)
    for name, value in above.items():
        if isinstance(value, Mapping) and isinstance(below.get(name), Mapping):
            both[name] = merged(below[name], value)
    return {**below, **both}


def _require_known(config_type: type, values: Mapping[str, Any], source: str) -> None:
    known = [field.name for field in dataclasses.fields(config_type)]
    for name in values:
        if name not in known:
            raise UserError(f"{source}: unknown setting {_SHOWN.repr(name)}{nearest(str(name), known)}")


def from_mapping(config_type: type[Config], values: Mapping[str, Any], source: str) -> Config:
    """Build the dataclass from plain values, each checked and converted by its field's type.

    Raises:
        UserError: an unknown name (with the nearest known one), a value of the wrong type or outside its range.
    """
    _require_known(config_type, values, source)
    hints = get_type_hints(config_type)
    checked = {}
    for name, value in values.items():
        for leaf in [] if isinstance(value, dict) else _leaves(value):  # those of a mapping are settings of their own
            if isinstance(leaf, str):
                require_sayable(leaf, f"{source}: {name}")
        wanted = f"{source}: {name}: got {_SHOWN.repr(value)}, wanted: {kind_of(hints[name])}"
        if _is_other_number(value, hints[name]):
            raise UserError(wanted)
        try:
            checked[name] = TypeAdapter(hints[name]).validate_python(value)
        except ValidationError as errors:
            inner = f" ({first_problem(errors)})" if isinstance(value, dict) else ""
            raise UserError(f"{wanted}{inner}") from None
    return _with_whole_paths(config_type(**checked))


def _is_other_number(value: Any, hint: Any) -> bool:
    """Say whether a value holds true or false where a number or a word belongs, or 1.0 where a whole number does.

    Python would take these for 1.
    """
    wanted = set(_parts(hint))
    if Any in wanted:
        return False
    refused = (*((bool,) if bool not in wanted else ()), *((float,) if int in wanted and float not in wanted else ()))
    return any(isinstance(leaf, refused) for leaf in _leaves(value))


def _leaves(value: Any) -> list[Any]:
    """Return the single values of a setting, which may be a list or a mapping to single values or lists."""
    rows = [*value, *value.values()] if isinstance(value, dict) else [value]
    return [leaf for row in rows for leaf in (row if isinstance(row, list) else [row])]


def _parts(hint: Any) -> Iterator[Any]:
    yield hint
    for part in get_args(hint):
        yield from _parts(part)


def kind_of(hint: Any) -> str:
    """Return the values that a type allows, in words: "whole number", "cosine or poly"."""
    names = {int: "whole number", float: "number", str: "text", bool: "yes or no", Path: "path"}
    origin, inner = get_origin(hint), [part for part in get_args(hint) if part is not type(None)]
    if hint in names:
        return names[hint]
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (Union, types.UnionType):
        return ", ".join(kind_of(part) for part in inner)
    if origin in (tuple, list) and inner:
        count = "some" if inner[-1] is Ellipsis or origin is list else str(len(inner))
        return f"{count} of {kind_of(inner[0])}" if get_origin(inner[0]) is Literal else f"{count} {kind_of(inner[0])}s"
    if origin is dict:
        return "name: value, …"
    raise TypeError(f"{hint}: say in core.config what values this is")


def _with_whole_paths(config: Config) -> Config:
    """Return the settings with `~` and variables in their paths filled in."""
    changed: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, Path):
            changed[field.name] = Path(expanded(value))
        elif isinstance(value, tuple) and any(isinstance(part, Path) for part in value):
            changed[field.name] = tuple(Path(expanded(part)) for part in value)
    changed = {name: value for name, value in changed.items() if value != getattr(config, name)}
    return dataclasses.replace(config, **changed) if changed else config


def parse(config_type: type[Config], argv: Sequence[str], command: str, section: str, description: str) -> Config:
    """Parse command-line arguments into `config_type`.

    Args:
        config_type: flat, frozen dataclass; a class attribute `bare_flags` (name -> value) says what a flag means
            that stands without its value.
        argv: the arguments behind the command's name.
        command: the module's name, such as "reconstruction.train".
        section: the part of the YAML file that belongs to this command.
        description: what `--help` says first.

    Raises:
        UserError: one line that names what is wrong.
        SystemExit: after `--help`, and after `--print_config`, which shows the settings as a file for `--config`.
    """
    require_sayable_words(argv)
    printed = prints_config(argv)
    argv, given = take_config([argument for argument in argv if not prints_config([argument])])
    default = from_files(config_type, given or (DEFAULT_CONFIG,), section)
    argv = spelled_out(config_type, argv)
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            config = tyro.cli(
                config_type,
                args=argv,
                default=default,
                prog=called_as.get() or f"python -m {command}",
                description=_full_description(description),
                use_underscores=True,
            )
    except SystemExit as leaving:
        if not leaving.code:
            raise
        raise UserError(_refusal(config_type, argv, _first_message(errors.getvalue()))) from None
    config = _with_whole_paths(config)
    if printed:
        from core.resolved import as_yaml  # which reads the code of the settings

        print(as_yaml(config, command, section))
        raise SystemExit(0)
    return config


def _refusal(config_type: type, argv: Sequence[str], message: str) -> str:
    """Return what tyro says in the words in which files of settings are refused, where it could not read a value."""
    unread = re.match(r"Error parsing --(\w+): ", message)
    hints = get_type_hints(config_type)
    if not unread or unread[1] not in hints:
        return message
    given = " ".join(words_of(unread[1], argv))
    return f"--{unread[1]}: got {_SHOWN.repr(given)}, wanted: {kind_of(hints[unread[1]])}"


def _full_description(description: str) -> str:
    return (
        f"{description.strip()}\n\nThe defaults shown are those of --config FILE.yaml (of several, a.yaml b.yaml, the "
        "later win; without it: config/model_config.yaml); flags win over all. --print_config shows what they come to, "
        "as such a file, and does nothing else. --debug shows an error's traceback."
    )


def _first_message(box: str) -> str:
    # tyro draws a box: a title, the message (wrapped), a rule, hints. One line is wanted.
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip("│ ") for line in box.splitlines()[1:]]
    lines = list(dropwhile(_is_rule, lines))
    message = " ".join(takewhile(lambda line: not _is_rule(line), lines))
    return re.sub(r"^Error parsing \w+: ", "", message) or "the arguments could not be read; see --help"


def _is_rule(line: str) -> bool:
    return set(line) <= set("─╰╯- ")

"""From a YAML section and command-line flags to one validated, flat dataclass.

The dataclass holds the defaults; `--config FILE.yaml` replaces those that its section names; flags win over both.
Keys of the file are checked like flags: unknown names are refused with the nearest one, values by their type.
"""

import contextlib
import dataclasses
import difflib
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


def nearest(name: str, known: Sequence[str]) -> str:
    """Return "; did you mean ...?" for a misspelt name, or the empty string when nothing is near."""
    matches = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {matches[0]}?" if matches else ""


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


def from_mapping(config_type: type[Config], values: Mapping[str, Any], source: str) -> Config:
    """Build the dataclass from plain values, each checked and converted by its field's type.

    Raises:
        UserError: an unknown name (with the nearest known one), a value of the wrong type or outside its range.
    """
    hints = get_type_hints(config_type)
    known = [field.name for field in dataclasses.fields(config_type)]
    checked = {}
    for name, value in values.items():
        if name not in known:
            raise UserError(f"{source}: unknown setting {_SHOWN.repr(name)}{nearest(str(name), known)}")
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
    rows = [*value, *value.values()] if isinstance(value, dict) else [value]
    leaves = [leaf for row in rows for leaf in (row if isinstance(row, list) else [row])]
    refused = (*((bool,) if bool not in wanted else ()), *((float,) if int in wanted and float not in wanted else ()))
    return any(isinstance(leaf, refused) for leaf in leaves)


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
        return f"{count} {kind_of(inner[0])}s"
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
        SystemExit: after `--help`.
    """
    argv, given = _take_config(list(argv))
    path = given or DEFAULT_CONFIG
    values = read_section(path, section)
    if given and not values:
        print(f"note: {given} has no section {section!r}; the defaults hold", file=sys.stderr)
    default = from_mapping(config_type, values, str(path))
    argv = _take_back(config_type, _complete_bare_flags(config_type, argv))
    _check_names(config_type, argv)
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
        raise UserError(_first_message(errors.getvalue())) from None
    return _with_whole_paths(config)


def _full_description(description: str) -> str:
    return (
        f"{description.strip()}\n\nThe defaults shown are those of --config FILE.yaml "
        f"(without it: config/model_config.yaml); flags win. --debug shows the traceback of an error."
    )


def _take_config(argv: list[str]) -> tuple[list[str], Path | None]:
    paths = []
    rest = []
    arguments = iter(argv)
    for argument in arguments:
        if argument == "--config":
            value = next(arguments, None)
            if value is None:
                raise UserError("--config needs a file: --config config/pets128.yaml")
            paths.append(value)
        elif argument.startswith("--config="):
            paths.append(argument.removeprefix("--config="))
        else:
            rest.append(argument)
    if len(paths) > 1:
        raise UserError(f"--config is given {len(paths)} times ({', '.join(paths)}): give one file, flags win over it")
    return rest, Path(expanded(paths[0])) if paths else None


def _complete_bare_flags(config_type: type, argv: list[str]) -> list[str]:
    bare = getattr(config_type, "bare_flags", {})
    completed = []
    for position, argument in enumerate(argv):
        completed.append(argument)
        following = argv[position + 1] if position + 1 < len(argv) else "--"
        name = argument.removeprefix("--").replace("-", "_")
        if argument.startswith("--") and name in bare and following.startswith("--"):
            completed.append(bare[name])
    return completed


def _take_back(config_type: type, argv: list[str]) -> list[str]:
    """Spell out `--no_NAME` of a setting that may be None; those of switches are flags of their own."""
    types = get_type_hints(config_type)
    spelled: list[str] = []
    for argument in argv:
        name = argument.replace("-", "_").removeprefix("__no_")
        is_taken_back = argument.startswith(("--no_", "--no-")) and type(None) in get_args(types.get(name))
        spelled += [f"--{name}", "None"] if is_taken_back else [argument]
    return spelled


def _check_names(config_type: type, argv: list[str]) -> None:
    fields = {field.name for field in dataclasses.fields(config_type)}
    known = sorted(fields | {"config", "debug", "help"})
    for argument in argv:
        if not argument.startswith("--") or argument == "--":
            continue
        name = argument[2:].split("=")[0].replace("-", "_")
        if name not in known and name.removeprefix("no_") not in fields:
            raise UserError(f"unknown flag --{name}{nearest(name, known)}")


def _first_message(box: str) -> str:
    # tyro draws a box: a title, the message (wrapped), a rule, hints. One line is wanted.
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip("│ ") for line in box.splitlines()[1:]]
    lines = list(dropwhile(_is_rule, lines))
    message = " ".join(takewhile(lambda line: not _is_rule(line), lines))
    return re.sub(r"^Error parsing \w+: ", "", message) or "the arguments could not be read; see --help"


def _is_rule(line: str) -> bool:
    return set(line) <= set("─╰╯- ")

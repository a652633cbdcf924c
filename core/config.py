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
from collections.abc import Mapping, Sequence
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

import tyro
import yaml
from pydantic import TypeAdapter, ValidationError

from core.cli import SECTIONS, called_as
from core.errors import UserError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Config = TypeVar("Config", bound="DataclassInstance")

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
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise UserError(f"config file {path} does not exist") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"config file {path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"config file {path} must hold sections: {', '.join(SECTIONS)}")
    for name, values in content.items():
        if name not in SECTIONS:
            raise UserError(f"config file {path}: unknown section {name!r}{nearest(str(name), SECTIONS)}")
        if not isinstance(values, dict | None):
            raise UserError(f"config file {path}: section {name} must hold settings (name: value), not {values!r}")
    return content.get(section) or {}


def from_mapping(config_type: type[Config], values: Mapping[str, Any], source: str) -> Config:
    """Build the dataclass from plain values, each checked and converted by its field's type.

    Raises:
        UserError: an unknown name (with the nearest known one), a value of the wrong type or outside its range.
    """
    types = get_type_hints(config_type)
    known = [field.name for field in dataclasses.fields(config_type)]
    checked = {}
    for name, value in values.items():
        if name not in known:
            raise UserError(f"{source}: unknown setting {name!r}{nearest(str(name), known)}")
        try:
            checked[name] = TypeAdapter(types[name]).validate_python(_spelled_out(config_type, name, value))
        except ValidationError as error:
            raise UserError(f"{source}: {name}: {error.errors()[0]['msg']}, got {value!r}") from None
    return config_type(**checked)


def _spelled_out(config_type: type, name: str, value: Any) -> Any:
    # YAML 1.1 reads a bare `off` as False; a setting whose choices include "off" means the word.
    has_off = "off" in str(get_type_hints(config_type)[name])
    return "off" if value is False and has_off else value


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
            return tyro.cli(
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


def _full_description(description: str) -> str:
    return (
        f"{description.strip()}\n\nThe defaults shown are those of --config FILE.yaml "
        f"(without it: config/model_config.yaml); flags win. --debug shows the traceback of an error."
    )


def _take_config(argv: list[str]) -> tuple[list[str], Path | None]:
    path = None
    rest = []
    arguments = iter(argv)
    for argument in arguments:
        if argument == "--config":
            value = next(arguments, None)
            if value is None:
                raise UserError("--config needs a file: --config config/pets128.yaml")
            path = Path(value)
        elif argument.startswith("--config="):
            path = Path(argument.removeprefix("--config="))
        else:
            rest.append(argument)
    return rest, path


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

"""The words behind a command's name, before they are read as settings."""

import dataclasses
import difflib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

from core.errors import UserError
from core.filing.paths import expanded

ENDINGS = (".yaml", ".yml")


def nearest(name: str, known: Sequence[str]) -> str:
    """Return "; did you mean ...?" for a misspelt name, or the empty string when nothing is near."""
    matches = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {matches[0]}?" if matches else ""


def require_sayable(value: str, name: str) -> None:
    """See that a setting's text can name something; as a path, nothing would mean the folder where one happens to be.

    Raises:
        UserError: it is empty, like a script's variable that was not set, or holds what no name of a file can.
    """
    if not value.strip():
        raise UserError(f"{name} is empty: say what is meant, or leave it out")
    try:
        impossible = b"\0" in os.fsencode(value)
    except UnicodeEncodeError:
        impossible = True
    if impossible:
        raise UserError(f"{name} {value!r} holds a character that no name can have: leave that out")


def require_sayable_words(argv: Sequence[str]) -> None:
    """Raise as `require_sayable` does, for the value of a flag or for what stands without one."""
    flag = "an argument"
    for argument in argv:
        name, equals, value = argument.partition("=")
        if name.startswith("--"):
            flag = name
        require_sayable(value if name.startswith("--") and equals else argument, flag)


def words_of(name: str, argv: Sequence[str]) -> list[str]:
    """Return the words that a flag is given, those of the last where it stands several times; [] where it does not."""
    words: list[str] = []
    reading = False
    for argument in argv:
        flag, equals, value = argument.partition("=")
        if not argument.startswith("--"):
            words += [argument] if reading else []
            continue
        reading = flag.replace("-", "_") == f"__{name}"
        if reading:
            words = [value] if equals else []
    return words


def spelled_out(config_type: type, argv: list[str]) -> list[str]:
    """Return the arguments as tyro reads them. Raises UserError for a flag that is unknown."""
    argv = _apart(config_type, _take_back(config_type, _complete_bare_flags(config_type, argv)))
    _check_names(config_type, argv)
    return argv


def prints_config(argv: Sequence[str]) -> bool:
    """Say whether the settings are to be printed and nothing else."""
    return any(argument.replace("-", "_") == "__print_config" for argument in argv)


def take_config(argv: list[str]) -> tuple[list[str], tuple[Path, ...]]:
    """Return the arguments without --config FILE.yaml ..., and those files.

    The word behind --config is a file whatever it is called; what follows is one as long as it ends as YAML does, since
    a command's own words may stand there too.

    Raises:
        UserError: no file follows, or --config is given twice.
    """
    given: list[list[str]] = []
    rest: list[str] = []
    reading = False
    for argument in argv:
        if argument == "--config":
            given.append([])
        elif argument.startswith("--config="):
            given.append([argument.removeprefix("--config=")])
        elif reading and not argument.startswith("--") and (not given[-1] or argument.lower().endswith(ENDINGS)):
            given[-1].append(argument)
            continue
        else:
            rest.append(argument)
        reading = argument.partition("=")[0] == "--config"
    if len(given) > 1:
        files = " ".join(file for files in given for file in files)
        raise UserError(f"--config is given {len(given)} times: give all at once, --config {files} (later ones win)")
    if given and not given[0]:
        raise UserError("--config needs a file: --config config/pets128.yaml")
    return rest, tuple(Path(expanded(path)) for path in (given[0] if given else ()))


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


def _apart(config_type: type, argv: list[str]) -> list[str]:
    """Take numbers apart that commas join, where a setting has several: 6,12,18 is 6 12 18."""
    types = get_type_hints(config_type)
    several = {name for name, hint in types.items() if get_origin(hint) is tuple and get_args(hint)[0] in (int, float)}
    apart: list[str] = []
    flag = ""
    for argument in argv:
        flag = argument if argument.startswith("--") else flag
        apart += argument.split(",") if argument != flag and flag[2:].replace("-", "_") in several else [argument]
    return apart


def _check_names(config_type: type, argv: list[str]) -> None:
    fields = {field.name for field in dataclasses.fields(config_type)}
    known = sorted(fields | {"config", "print_config", "debug", "help"})
    for argument in argv:
        if not argument.startswith("--") or argument == "--":
            continue
        name = argument[2:].split("=")[0].replace("-", "_")
        if name not in known and name.removeprefix("no_") not in fields:
            raise UserError(f"unknown flag --{name}{nearest(name, known)}")

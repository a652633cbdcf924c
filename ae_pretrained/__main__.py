"""All commands under one name: `ae-pretrained train --data_dir data/mine`, or `python -m ae_pretrained train …`."""

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from ae_pretrained import __version__
from core.cli import Command, called_as, subcommands
from core.command import one_line
from core.errors import UserError
from core.filing.paths import expanded
from core.filing.words import nearest, require_sayable_words
from core.headers.header import read_header
from core.terminal.screen import exit_code

DESCRIPTION = "Segmentation with few labels: pretrain an encoder on pictures alone, train on labels, score, compare."


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command by its name; returns its exit code."""
    return exit_code(lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    program = "ae-pretrained" if Path(sys.argv[0]).stem == "ae-pretrained" else "python -m ae_pretrained"
    name, *arguments = (sys.argv[1:] if argv is None else list(argv)) or [""]
    if name in ("", "-h", "--help", "help"):
        print(overview(program))
        return 0 if name else 2
    if name == "--version":
        print(f"ae-pretrained {__version__}")
        return 0
    before = called_as.set(f"{program} {name}")
    try:
        require_sayable_words(arguments)
        commands = _commands(name)
        if len(commands) > 1 and _value_of("model_path", arguments) is None and {"-h", "--help"} & set(arguments):
            print(_help_of_phases(commands))
            return 0
        return import_module(_module_of_phase(commands, arguments)).main(arguments)
    except (UserError, OSError) as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    finally:
        called_as.reset(before)


def overview(program: str) -> str:
    """Return what `--help` says: the commands, a line each."""
    lines = [f"  {name:<10}{rows[0].help}" for name, rows in subcommands().items()]
    return "\n".join(
        (
            f"usage: {program} COMMAND [--config FILE.yaml] [--SETTING VALUE ...]\n\n{DESCRIPTION}\n\ncommands:",
            *lines,
            f"\n{program} COMMAND --help explains the settings of a command; --version says which version this is.",
        )
    )


def _commands(name: str) -> list[Command]:
    known = subcommands()
    if name not in known:
        raise UserError(f"unknown command {name}{nearest(name, list(known))} (there are {', '.join(known)})")
    return known[name]


def _help_of_phases(commands: Sequence[Command]) -> str:
    helps = " and ".join(f"python -m {command.module} --help" for command in commands)
    usage = f"usage: {called_as.get()} --model_path WEIGHTS [OPTIONS]"
    return f"{usage}\n\n{commands[0].help}\n\nEach phase has settings of its own, with their defaults: {helps}"


def _module_of_phase(commands: Sequence[Command], arguments: Sequence[str]) -> str:
    """Return the command's module; where there is one a phase, that of the weights given with --model_path."""
    if len(commands) == 1:
        return commands[0].module
    path = _value_of("model_path", arguments) or _value_of("ensemble", arguments)
    if path is None:
        raise UserError("give the weights to score: --model_path runs/.../best_model.safetensors")
    foreign = path.startswith("torchvision:")
    phase = "transfer_learning" if foreign else read_header(Path(expanded(path))).phase
    of_phase = {command.module.split(".")[0]: command.module for command in commands}
    if phase not in of_phase:
        raise UserError(f"{path} comes from {phase}: this command takes weights of {' or '.join(of_phase)}")
    return of_phase[phase]


def _value_of(flag: str, arguments: Sequence[str]) -> str | None:
    words = iter(arguments)
    for word in words:
        name, _, value = word.partition("=")
        if name.replace("-", "_") == f"__{flag}":
            return value or next(words, None)
    return None


if __name__ == "__main__":
    sys.exit(main())

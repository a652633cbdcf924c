"""All commands under one name: `ae-pretrained train --data_dir data/mine`, or `python -m ae_pretrained train …`."""

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from ae_pretrained import __version__
from core.calling import commands_called, module_called, weights_called
from core.cli import Command, called_as, subcommands
from core.command import one_line
from core.errors import UserError
from core.filing.words import prints_config, require_sayable_words, spelled_out
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
        commands = commands_called(name)
        if len(commands) > 1 and weights_called(arguments) is None:
            if {"-h", "--help"} & set(arguments):
                print(_help_of_phases(commands))
                return 0
            if prints_config(arguments):
                return _print_of_phases(commands, arguments)
        return import_module(module_called(name, arguments)).main(arguments)
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


def _help_of_phases(commands: Sequence[Command]) -> str:
    helps = " and ".join(f"python -m {command.module} --help" for command in commands)
    usage = f"usage: {called_as.get()} --model_path WEIGHTS [OPTIONS]"
    return f"{usage}\n\n{commands[0].help}\n\nEach phase has settings of its own, with their defaults: {helps}"


def _print_of_phases(commands: Sequence[Command], arguments: Sequence[str]) -> int:
    """Print the settings of each phase that has all flags which are given, as the sections of one file."""
    having = [command for command in commands if _has_flags(command, arguments)] or commands
    return max(import_module(command.module).main(arguments) for command in having)


def _has_flags(command: Command, arguments: Sequence[str]) -> bool:
    try:
        spelled_out(getattr(import_module(command.module), command.settings), list(arguments))
    except UserError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())

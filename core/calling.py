"""From a command's name, as behind `ae-pretrained`, to the module that runs."""

from collections.abc import Sequence
from pathlib import Path

from core.cli import Command, subcommands
from core.errors import UserError
from core.filing.hub import fetched, is_on_hub
from core.filing.paths import expanded
from core.filing.words import nearest, words_of
from core.headers.header import EXPORTED, read_header


def commands_called(name: str) -> list[Command]:
    """Return what a name stands for: a command, or one a phase. Raises UserError for an unknown one."""
    known = subcommands()
    if name not in known:
        raise UserError(f"unknown command {name}{nearest(name, list(known))} (there are {', '.join(known)})")
    return known[name]


def module_called(name: str, arguments: Sequence[str]) -> str:
    """Return the module of a command; where there is one a phase, that of the weights given with --model_path, or
    with --ensemble alone.

    Raises:
        UserError: the name is unknown, or the weights are missing or those of neither phase.
    """
    commands = commands_called(name)
    if len(commands) == 1:
        return commands[0].module
    path = weights_called(arguments)
    if path is None:
        raise UserError("give the weights to score: --model_path runs/.../best_model.safetensors")
    phase = _phase_of(path)
    of_phase = {command.module.split(".")[0]: command.module for command in commands}
    if phase not in of_phase:
        raise UserError(f"{path} comes from {phase}: this command takes weights of {' or '.join(of_phase)}")
    return of_phase[phase]


def _phase_of(path: str) -> str:
    """Return the phase of weights, a file or on the hub. Raises UserError where there are none."""
    if path.startswith("torchvision:") or path.endswith(EXPORTED):
        return "transfer_learning"
    return read_header(fetched(path) if is_on_hub(path) else Path(expanded(path))).phase


def weights_called(arguments: Sequence[str]) -> str | None:
    """Return the weights given with --model_path, or the first with --ensemble alone; None where there are none."""
    return next(iter(words_of("model_path", arguments) or words_of("ensemble", arguments)), None)

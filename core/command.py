"""How every command starts and ends: settings in, one clear line and an exit code out."""

import dataclasses
import errno
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from core.config import parse
from core.errors import RunError, UserError
from core.filing.hub import with_fetched
from core.filing.kinds import require_places
from core.run.signals import Terminated, raise_on_sigterm
from core.terminal.screen import exit_code, own_colours, usable_width, visible

# How memory that could not be had is spoken of: by torch on a CPU, CUDA and MPS, cuBLAS and cuDNN, OpenCV, NumPy.
_NO_MEMORY = re.compile(
    "out of memory|not enough memory|can't allocate memory|_ALLOC_FAILED|insufficient memory|failed to allocate", re.I
)
_ASKED_FOR = re.compile(r"allocate ([\d.]+ ?(?:bytes|[kmgt]i?b))", re.I)
# Settings that take less memory when they are lower.
_TAKE_MEMORY = ("batch_size", "width", "jobs", "workers")


def run_command(
    command: str,
    config_type: type,
    function: Callable[[Any], Any],
    argv: Sequence[str] | None,
    *,
    section: str,
    description: str,
) -> int:
    """Parse the settings, run `function(config)`, and turn what goes wrong into a line on stderr.

    Args:
        command: the module's name, such as "reconstruction.train".
        config_type, section, description: as in `core.config.parse`. An attribute `goes_on` of the settings says that
            the same command goes on where it was stopped; without it a command begins anew. What they write, and
            where, says `writes`; see `core.filing.kinds.require_places`. `idle()`: setting -> why it has no say.
        function: the work; what it returns is for callers in Python.
        argv: the arguments behind the command's name; None takes the process's own.

    Returns:
        The exit code: 0 done; 1 broke during work; 2 bad input; 130 Ctrl-C; 141 nobody reads on; 143 SIGTERM.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)

    def settings(given: Sequence[str]) -> Any:
        with own_colours(), usable_width(whole_lines=not {"-h", "--help"} & set(given)):
            return parse(config_type, given, command, section, description)

    return exit_code(lambda: _run(settings, function, arguments, _less_memory(config_type)))


def _run(
    settings: Callable[[Sequence[str]], Any], function: Callable[[Any], Any], arguments: Sequence[str], less: str
) -> int:
    debug = "--debug" in arguments
    config = None
    try:
        config = settings([argument for argument in arguments if argument != "--debug"])
        config = with_fetched(config)
        require_places(config)
        _tell_idle(config)
        raise_on_sigterm()
        function(config)
    except SystemExit as leaving:  # --help
        return int(leaving.code or 0)
    except (KeyboardInterrupt, Terminated) as stop:
        print(visible(f"stopped: {str(stop) or again(config)}"), file=sys.stderr)
        return 130 if isinstance(stop, KeyboardInterrupt) else 143
    except BrokenPipeError:
        raise
    except Exception as error:
        if debug:
            traceback.print_exc()
        line, code = _outcome(error, less, again(config))
        print(f"error: {line}", file=sys.stderr)
        return code
    return 0


def _tell_idle(config: Any) -> None:
    """Print a note of the settings that were given and have no say; one that turns something off is obeyed."""
    idle: dict[str, str] = config.idle() if hasattr(config, "idle") else {}
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    given = [name for name in idle if getattr(config, name) not in (0, defaults[name])]
    if given:
        print(f"note: without effect: {'; '.join(f'--{name} {idle[name]}' for name in given)}", file=sys.stderr)


def again(config: Any) -> str:
    """Say what the same command does after it was stopped."""
    return "the same command again goes on" if getattr(config, "goes_on", False) else "the same command begins anew"


def _outcome(error: Exception, less: str, then: str) -> tuple[str, int]:
    """Return the line that says what went wrong, and the exit code."""
    if _lacks_memory(error):
        asked = _ASKED_FOR.search(str(error))
        return f"out of memory{f' (asked for {asked[1]} more)' if asked else ''}: {less}", 2
    if isinstance(error, UserError | OSError | RunError):
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = f"; what was saved before is whole: free some space, {then}" if full else ""
        return one_line(error) + remedy, 1 if full or isinstance(error, RunError) else 2
    return f"unexpected {type(error).__name__}: {one_line(error)} (--debug shows where)", 1


def _lacks_memory(error: Exception) -> bool:
    """Say whether memory ran out, the machine's or the GPU's; torch and OpenCV say so in words alone."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    ours = isinstance(error, UserError | OSError | RunError)
    return not ours and bool(_NO_MEMORY.search(str(error)))


def _less_memory(config_type: type) -> str:
    known = [f"--{field.name}" for field in dataclasses.fields(config_type) if field.name in _TAKE_MEMORY]
    order = sorted(known, key=lambda flag: _TAKE_MEMORY.index(flag.removeprefix("--")))
    return f"lower {' or '.join(order)}" if order else "end other programs, or use a machine with more"


def one_line(error: BaseException) -> str:
    """Return what went wrong, as one line without a traceback that any terminal can show."""
    if isinstance(error, OSError) and error.errno:
        where = f": {error.filename}" if error.filename else ""
        return visible(f"{os.strerror(error.errno)}{where}")
    return visible(" ".join(str(error).split())) or type(error).__name__

"""How every command starts and ends: settings in, one clear line and an exit code out."""

import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from core.config import parse
from core.errors import RunError, UserError
from core.run.signals import Terminated, raise_on_sigterm


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
        config_type, section, description: as in `core.config.parse`.
        function: the work; what it returns is for callers in Python.
        argv: the arguments behind the command's name; None takes the process's own.

    Returns:
        The exit code: 0 done; 1 broke during work; 2 bad input; 130 Ctrl-C; 143 SIGTERM.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        config: Any = parse(config_type, arguments, command, section, description)
        raise_on_sigterm()
        function(config)
    except SystemExit as leaving:  # --help
        return int(leaving.code or 0)
    except (KeyboardInterrupt, Terminated) as stop:
        print(f"stopped: {str(stop) or 'the same command again goes on'}", file=sys.stderr)
        return 130 if isinstance(stop, KeyboardInterrupt) else 143
    except (UserError, OSError, RunError, MemoryError) as error:
        if debug:
            traceback.print_exc()
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 1 if isinstance(error, RunError | MemoryError) or _is_full(error) else 2
    except Exception as error:
        if debug:
            traceback.print_exc()
        print(f"error: unexpected {type(error).__name__}: {one_line(error)} (--debug shows where)", file=sys.stderr)
        return 1
    return 0


def _is_full(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def one_line(error: BaseException) -> str:
    """Return what went wrong, as one line without a traceback."""
    if isinstance(error, OSError) and error.errno:
        where = f": {error.filename}" if error.filename else ""
        remedy = (
            "; what was saved before is whole: free some space, the same command goes on" if _is_full(error) else ""
        )
        return f"{os.strerror(error.errno)}{where}{remedy}"
    return " ".join(str(error).split()) or type(error).__name__

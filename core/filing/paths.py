"""Paths as a person writes them, in files and in flags alike."""

import os
import re
from pathlib import Path

from core.errors import UserError

_SURROGATE = re.compile("[\ud800-\udfff]")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


def expanded(path: str | Path) -> str:
    """Return a path with `~`, `$NAME` and `${NAME}` filled in, as a shell does, unless it exists as it is written.

    Raises:
        UserError: there is no such variable or user.
    """
    text = str(path)
    if not (text.startswith("~") or "$" in text) or os.path.lexists(text):
        return text
    filled = _VARIABLE.sub(lambda found: _value(found[1] or found[2], text), text)
    try:
        # A ~ that a variable brought along is one as well.
        return str(Path(filled).expanduser())
    except RuntimeError:
        raise UserError(f"{text}: no such user is known here, whose folder ~ could be: write it out") from None


def _value(name: str, path: str) -> str:
    if not (value := os.environ.get(name)):
        problem = "there is no variable" if value is None else "nothing is in the variable"
        raise UserError(f"{path}: {problem} {name} (environment): set it, or write the path out")
    return value


def readable(path: str | Path) -> str:
    """Return a name, or a text of names, as valid Unicode; bytes that are no UTF-8 are spelt out: `caf\\xe9`."""
    return _SURROGATE.sub(lambda found: _spelt(ord(found[0])), str(path))


def _spelt(code: int) -> str:
    # How Python lets a byte from 0x80 on pass that is no UTF-8 (PEP 383).
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def user_cache() -> Path:
    """Return the folder of what the user's later calls are spared: below $XDG_CACHE_HOME, or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "ae_pretrained"


def real(path: Path) -> Path:
    """Return where a path leads behind all links; of one in a circle, how far it leads: `Path.resolve` fails there."""
    return Path(os.path.realpath(path))

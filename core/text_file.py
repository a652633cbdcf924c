"""Text files that a person hands in."""

from pathlib import Path

from core.errors import UserError


def read_text(path: Path) -> str:
    """Return a file's text, without the mark that some editors put first.

    Raises:
        FileNotFoundError, UnicodeDecodeError: for the caller to say what the file should be.
        UserError: no regular file: a pipe would wait for ever.
    """
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is not a regular file (a pipe, a device or a folder): give a file")
    return path.read_text(encoding="utf-8-sig")

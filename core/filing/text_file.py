"""Text files that a person hands in."""

from pathlib import Path

from core import files


def read_text(path: Path) -> str:
    """Return a file's text, without the mark that some editors put first.

    Raises:
        FileNotFoundError, UnicodeDecodeError: for the caller to say what the file should be.
        UserError: no regular file: a pipe would wait for ever.
    """
    return files.read_text(path, encoding="utf-8-sig")

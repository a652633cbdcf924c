"""The setting --tag_file: what else is known of one's own pictures."""

from collections.abc import Callable
from pathlib import Path

from core.errors import UserError
from core.filing.text_file import read_text
from data.sources.own.dividing.splits import csv_rows, refuse_missing


def read_tags(path: Path, find: Callable[[str], str | None]) -> dict[str, dict[str, str]]:
    """Read a CSV of tags: a column `file`, then a column a tag; empty cells say nothing.

    Args:
        find: the picture of a name (with or without its suffix), None if there is none.

    Returns:
        picture -> {tag: value}.

    Raises:
        UserError: it is missing or malformed, names pictures that are not there, or one twice.
    """
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: --tag_file is a CSV, a column file and then a column a tag") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text in UTF-8: save the CSV again as that") from None
    tags: dict[str, dict[str, str]] = {}
    missing = []
    for row in csv_rows(text, path, ("file",)):
        written = row.pop("file")
        name = find(written)
        if name is None:
            missing.append(written)
        elif name in tags:
            raise UserError(f"{path} names {name} twice: give every picture one line")
        else:
            tags[name] = {tag: value for tag, value in row.items() if value}
    refuse_missing(path, missing)
    return tags

"""Names of one's own files: as they count, and whether they can be those of prepared pictures."""

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from core.filing.paths import readable
from data.preparing.processing import LONGEST_STEM


def stem_of(path: Path, root: Path) -> str:
    """Return a file's name relative to a folder, without its suffix, in Unicode's composed form."""
    return normalize("NFC", path.relative_to(root).with_suffix("").as_posix())


def is_text(name: str) -> bool:
    """Say whether a file's name is valid UTF-8."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def printable(path: Path) -> str:
    """Return a path with bytes spelt out that are no UTF-8."""
    return readable(path)


def unusable(name: str, find: Callable[[str], str | None]) -> str | None:
    """Return why a picture cannot be prepared under its name; None where it can.

    Args:
        name: relative, without its suffix.
        find: the picture so far that a name means, None if there is none.
    """
    # Bytes that are no UTF-8 come as lone surrogates, on which OpenCV crashes.
    if not is_text(name):
        return "its name is not valid UTF-8: rename it"
    if len(PurePosixPath(name).name.encode()) > LONGEST_STEM:
        return f"its name has more than {LONGEST_STEM} bytes: shorten it"
    folders = [str(folder) for folder in PurePosixPath(name).parents if folder.suffix == ".png"]
    if taken := next((folder for folder in folders if find(folder) == folder.removesuffix(".png")), None):
        return f"its folder is called as the prepared file of a picture, {taken}: rename it"
    return None

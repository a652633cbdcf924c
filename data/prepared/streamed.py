"""A manifest read piece by piece: what it says of the data as a whole, then picture by picture."""

import re
from collections.abc import Iterator
from typing import Any, TextIO

from core.errors import UserError
from core.filing.json_file import PIECEWISE

_CHUNK = 1 << 16
_IMAGES = re.compile(r'"images"\s*:\s*\[')


def until_images(file: TextIO) -> tuple[str, str]:
    """Return the manifest without its images, which stand last in it, and the text behind their opening bracket."""
    text = ""
    while not (found := _IMAGES.search(text)):
        if not (chunk := file.read(_CHUNK)):
            return text, ""
        text += chunk
    return text[: found.start()].rstrip().removesuffix(",") + "}", text[found.end() :]


def objects(text: str, file: TextIO) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON list, the last of a JSON object: `text` is its beginning, `file` holds the rest.

    Raises:
        UserError: an object holds a name twice, or no number of JSON.
        ValueError: it is not one, or ends early.
    """
    place = 0
    while True:
        try:
            place = _skip(text, place)
            if text[place] == "]":
                break
            item, place = PIECEWISE.raw_decode(text, place)
        except UserError:
            raise
        except (ValueError, IndexError):  # perhaps cut at the end of what was read
            if not (chunk := file.read(_CHUNK)):
                raise ValueError("the list has no end") from None
            text, place = text[place:] + chunk, 0
            continue
        yield item
    if (text[place + 1 :] + file.read()).strip() != "}":
        raise ValueError("something follows the list")


def _skip(text: str, place: int) -> int:
    while text[place] in ", \t\r\n":
        place += 1
    return place

"""JSON: all that comes from outside this process is read here.

What Python's own reader lets through or dies of ends in one error: a name that stands twice in an object, of which the
last would win without a word, NaN and Infinity, which JSON does not know, `1e999`, which would become one, nesting
without end and integers of thousands of digits.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import read_bytes

DEEPEST = 100  # of objects and lists within each other; nothing of ours comes near


class NotJSONError(UserError):
    """A text is no JSON; `reason` says why."""

    def __init__(self, where: str, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{where} is no JSON ({reason}): correct it, or make it anew")


def read_json(path: Path) -> Any:
    """Return what a JSON file holds, whether in UTF-8, with or without a mark that says so, or in UTF-16.

    Raises:
        NotJSONError: it is none.
        OSError, UserError: as `core.files.require_regular`.
    """
    return parse_json(read_bytes(path), str(path))


def parse_json(text: str | bytes, where: str) -> Any:
    """Return what a JSON text holds. Raises NotJSONError, which says where it came from."""
    try:
        content = json.loads(text, object_pairs_hook=_each_once, parse_float=_finite, parse_constant=_no_number)
    except RecursionError:
        raise NotJSONError(where, "nested too deeply") from None
    except UnicodeDecodeError:
        raise NotJSONError(where, "not text") from None
    except ValueError as error:  # of integers with too many digits too
        raise NotJSONError(where, str(error)) from None
    _require_shallow(content, where)
    return content


def _require_shallow(content: Any, where: str) -> None:
    level = [content]
    for _ in range(DEEPEST):
        if not (level := [inner for entry in level for inner in _within(entry) if isinstance(inner, dict | list)]):
            return
    raise NotJSONError(where, "nested too deeply")


def _within(entry: Any) -> Iterable[Any]:
    return entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ()


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(members)
    if len(content) < len(members):
        (twice, _), *_ = Counter(name for name, _ in members).most_common(1)
        raise UserError(f"{twice!r:.60} stands twice in one object: keep one of them")
    return content


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise UserError(f"{text:.60} is larger than any number here")
    return number


def _no_number(constant: str) -> None:
    raise UserError(f"{constant} is no number of JSON")


# For those who read a large text piece by piece: it raises UserError for content that is read whole and cannot be.
PIECEWISE = json.JSONDecoder(object_pairs_hook=_each_once, parse_float=_finite, parse_constant=_no_number)

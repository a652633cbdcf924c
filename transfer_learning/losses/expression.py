"""A loss as it is written: a weighted sum of terms, such as "0.5*focal(gamma=2) + dice + 0.1*boundary"."""

import dataclasses
import math
import re
from typing import NamedTuple

from core.errors import UserError
from core.filing.words import nearest
from transfer_learning.losses.terms import TERMS, Term

_TERM = re.compile(r"(?:(?P<weight>[^*()]+)\*)?\s*(?P<name>\w+)\s*(?:\((?P<arguments>[^()]*)\))?")


class Part(NamedTuple):
    """A term and its weight in the loss."""

    weight: float
    term: Term


def parts_of(loss: str) -> dict[str, Part]:
    """Return the terms of a loss by their names, in the order they stand.

    Raises:
        UserError: it cannot be read; names the part and what it should be.
    """
    found: dict[str, Part] = {}
    for text in loss.split("+"):
        match = _TERM.fullmatch(text.strip())
        if not match:
            raise UserError(
                f"loss {loss!r}: {text.strip()!r} is no term: write name or weight*name, with + between "
                "them, such as 0.5*focal(gamma=2) + dice"
            )
        name = match["name"]
        if name not in TERMS:
            raise UserError(f"loss {loss!r}: there is no term {name!r}{nearest(name, list(TERMS)) or _all()}")
        if name in found:
            raise UserError(f"loss {loss!r}: {name} stands there twice: give it once")
        weight = 1.0 if match["weight"] is None else _number(loss, f"the weight of {name}", match["weight"])
        if not weight > 0:
            raise UserError(f"loss {loss!r}: the weight of {name} must be above 0 (leave it out to be without it)")
        found[name] = Part(weight, TERMS[name](**_arguments(loss, name, match["arguments"] or "")))
    return found


def _arguments(loss: str, name: str, text: str) -> dict[str, float]:
    known = [field.name for field in dataclasses.fields(TERMS[name])]  # type: ignore[arg-type]  # a dataclass, each of them
    found = {}
    for argument in filter(None, map(str.strip, text.split(","))):
        key, _, value = map(str.strip, argument.partition("="))
        if key not in known:
            takes = f"{name} takes {', '.join(known)}" if known else f"{name} takes nothing"
            raise UserError(f"loss {loss!r}: {takes}, not {key!r}{nearest(key, known)}")
        if key in found:
            raise UserError(f"loss {loss!r}: {key} of {name} stands there twice: give it once")
        found[key] = _number(loss, f"{key} of {name}", value)
    return found


def _number(loss: str, what: str, text: str) -> float:
    try:
        number = math.nan if "_" in text else float(text)  # Python reads 0_5 as 5
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"loss {loss!r}: {what} must be a number, not {text.strip()!r}")
    return number


def _all() -> str:
    return f": take {', '.join(TERMS)}"

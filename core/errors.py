"""The two kinds of failure that a command reports in one line.

`UserError` leaves with exit code 2: something asked for or handed in is wrong, and the message says what to do.
`RunError` leaves with exit code 1: the work itself broke (a loss that is not finite, say).
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class UserError(ValueError):
    """Bad input. The message names the thing and the remedy."""


class RunError(RuntimeError):
    """Something broke during work. The message says where and with which settings."""


def require_finite(values: Mapping[str, float | None], where: str) -> None:
    """Raise RunError if a number is not finite; None (nothing to measure) passes."""
    wrong = [f"{name} {value}" for name, value in values.items() if value is not None and not math.isfinite(value)]
    if wrong:
        raise RunError(f"{', '.join(wrong)}: not finite {where}")


def first_problem(errors: "ValidationError") -> str:
    """Return where the first thing is that a schema does not allow, and what is wrong with it."""
    error = errors.errors()[0]
    where, what = ".".join(map(str, error["loc"])), error["msg"].removeprefix("Value error, ")
    return f"{where}: {what}" if where else what

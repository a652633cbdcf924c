"""The two kinds of failure that a command reports in one line.

`UserError` leaves with exit code 2: something asked for or handed in is wrong, and the message says what to do.
`RunError` leaves with exit code 1: the work itself broke (a loss that is not finite, say).
"""


class UserError(ValueError):
    """Bad input. The message names the thing and the remedy."""


class RunError(RuntimeError):
    """Something broke during work. The message says where and with which settings."""

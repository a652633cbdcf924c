"""Ctrl-C and SIGTERM: work that can be interrupted stops at once, a training step is finished and saved first."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Terminated(BaseException):
    """SIGTERM arrived. Like KeyboardInterrupt it passes every `except Exception`."""


STOPS: dict[int, type[BaseException]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


def raise_on_sigterm() -> None:
    """Let SIGTERM raise `Terminated`, as Ctrl-C raises KeyboardInterrupt; does nothing outside the main thread."""

    def leave(signum: int, frame: FrameType | None) -> None:
        raise Terminated

    if threading.current_thread() is threading.main_thread():  # others cannot, and whoever started them does
        signal.signal(signal.SIGTERM, leave)


class StopSignals:
    """Hold Ctrl-C and SIGTERM back while a step is taken or a file written; a second one does not wait.

    Attributes:
        pending: what to raise where everything is whole; None while no signal has come.
    """

    def __init__(self) -> None:
        self.pending: type[BaseException] | None = None
        self._held = True
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        # A shell that starts a command in the background may have it ignore Ctrl-C.
        heeded = [number for number in STOPS if signal.getsignal(number) is not signal.SIG_IGN]
        if threading.current_thread() is threading.main_thread():  # others cannot, and whoever started them does
            self._handlers = {number: signal.signal(number, self._note) for number in heeded}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self.pending or not self._held:
            raise STOPS[signum]
        self.pending = STOPS[signum]
        print("stopping when the work in hand is saved (once more: at once)", file=sys.stderr, flush=True)

    @property
    def number(self) -> int:
        """The signal that waits, 0 for none."""
        return next((number for number, kind in STOPS.items() if kind is self.pending), 0)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal, also one held back, interrupt the block where it stands: for work that changes nothing."""
        if self.pending:
            raise self.pending
        self._held = False
        try:
            yield
        finally:
            self._held = True

"""The memory that a process allocates, read from /proc."""

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from core.machine.memory import give_back_now

SAMPLE_SECONDS = 0.002


def allocated(pid: int | str = "self") -> float:
    """Return the anonymous resident memory of a process in MiB; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon:")), 0.0)


class Peak:
    """Watch this process while it works: `mebibytes` is the most that it allocated beside what it had before."""

    def __init__(self) -> None:
        self.mebibytes = 0.0

    def __enter__(self) -> Self:
        give_back_now()  # else what is taken next would come, unseen, from what was freed before
        self._before, self._ended = allocated(), threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._look()
        self._ended.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._ended.is_set():
            self._look()
            time.sleep(SAMPLE_SECONDS)

    def _look(self) -> None:
        self.mebibytes = max(self.mebibytes, allocated() - self._before)

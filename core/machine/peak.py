"""The most memory that a piece of work holds at a time, to the page: by the system's own count, or CUDA's."""

import gc
import re
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

from core.errors import UserError
from core.files import read_text
from core.machine.memory import give_back_now

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # proc_pid_clear_refs(5): the peak becomes what is resident now
MEBIBYTE = 2**20


def require_peaks(device: torch.device) -> None:
    """Raise UserError where peaks cannot be measured: on MPS, and on a CPU without Linux's /proc."""
    if device.type == "cuda":
        return
    if device.type != "cpu":
        raise UserError(f"memory of {device.type} is not counted to its peak: measure with --device cpu")
    try:
        _reset()
        _resident("VmHWM")
    except (OSError, LookupError):
        raise UserError(
            "the peak of memory is read from /proc, which Linux has: measure there, or leave --measure out"
        ) from None


class Peak:
    """Watch this process while it works: `mebibytes` is the most that it held beside what it had before.

    Pages of files count too: what libraries load at their first use, work of before should have loaded.

    Args:
        device: where the tensors are.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.mebibytes = device, 0.0

    def __enter__(self) -> Self:
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            self._before = float(torch.cuda.memory_allocated(self.device))
        else:
            give_back_now()  # else what is taken next would come, unseen, from what was freed before
            self._before = _resident("VmRSS")
        self.forget()
        return self

    def forget(self) -> None:
        """Begin to count anew; what it had before stays that of the beginning."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            _reset()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            highest = float(torch.cuda.max_memory_allocated(self.device))
        else:
            highest = _resident("VmHWM")
        self.mebibytes = (highest - self._before) / MEBIBYTE


def _reset() -> None:
    RESET.write_text(RESET_PEAK)


def _resident(name: str) -> float:
    """Return VmRSS, what of this process is in memory, or VmHWM, the most that was, in bytes."""
    found = re.search(rf"^{name}:\s*(\d+) kB$", read_text(STATUS), re.M)
    if not found:
        raise LookupError(f"{STATUS} has no {name}")
    return 1024.0 * int(found[1])

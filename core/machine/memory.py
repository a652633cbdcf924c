"""How the process gets its memory from the system."""

import ctypes
import platform

# Parameters of mallopt(3), and values that no tensor here comes near.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
TRIM_ABOVE, MAP_ABOVE = 2**31 - 1, 2**30
# What glibc comes to by itself once large blocks have been freed.
USUAL_TRIM_ABOVE, USUAL_MAP_ABOVE = 2**26, 2**25
LEAST_TRIM_ABOVE, LEAST_MAP_ABOVE = 0, 2**14


def keep_freed_memory() -> None:
    """Make glibc keep freed memory for the next tensor; it does nothing with another C library.

    Otherwise tensors of many MiB go back to the system when they are freed, and the next ones are handed out page by
    page, each set to zero first: about a tenth of the time of a training step on a CPU. The
    results have the same bits; the process stays as large as it was at its largest.
    """
    _set(TRIM_ABOVE, MAP_ABOVE)


def give_back_freed_memory() -> None:
    """Make glibc do as it does by itself; benchmarks time the loops of others so."""
    _set(USUAL_TRIM_ABOVE, USUAL_MAP_ABOVE)


def give_back_now() -> None:
    """Give the system what was freed up to now, so that what is taken next can be seen from outside."""
    if libc := _glibc():
        libc.malloc_trim(0)


def give_back_at_once() -> None:
    """Make glibc take each tensor from the system and give it back when it is freed: the process is as large as what
    lives in it, to some KiB, and slow. Otherwise what lies between tensors, by chance, counts too.
    """
    _set(LEAST_TRIM_ABOVE, LEAST_MAP_ABOVE)
    give_back_now()


def _set(trim_above: int, map_above: int) -> None:
    if libc := _glibc():
        libc.mallopt(M_MMAP_THRESHOLD, map_above)
        libc.mallopt(M_TRIM_THRESHOLD, trim_above)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None

"""Work in threads behind a network: in order, two batches at most, errors in their turn; and memory that is kept."""

import platform
import subprocess
import sys
import threading
import time

import pytest

from core.machine.threads import threaded


def test_results_come_in_order_from_other_threads():
    names = set()

    def slow_first(item: int) -> int:
        names.add(threading.current_thread().name)
        time.sleep(0.02 if item % 3 == 0 else 0)
        return 10 * item

    assert list(threaded(slow_first, [range(3), range(3, 4), [], range(4, 9)])) == [10 * item for item in range(9)]
    assert threading.current_thread().name not in names


def test_a_batch_is_made_while_the_one_before_is_worked_on_and_no_earlier():
    made, done = [], []
    second = threading.Event()

    def batches():
        for number in range(4):
            assert len(done) >= number - 1  # all but the last are done before another is made
            made.append(number)
            if number == 1:
                second.set()
            yield [number]

    def work(number: int) -> int:
        if number == 0:
            assert second.wait(10), "the next batch was not made meanwhile"
        done.append(number)
        return number

    assert list(threaded(work, batches())) == [0, 1, 2, 3]


def test_an_error_comes_in_its_turn_and_ends_the_threads():
    before = threading.active_count()

    def work(item: int) -> float:
        return 1 / item

    results = threaded(work, [[2, 1], [0, 4]])
    assert [next(results), next(results)] == [0.5, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert threading.active_count() == before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_freed_memory_serves_the_next_tensor():
    code = """
import resource, torch
from core.machine.memory import keep_freed_memory

def faults():
    for _ in range(16): torch.ones(2**23)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4): torch.ones(2**23)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

given_back = faults()
keep_freed_memory()
print(given_back, faults())
"""
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    given_back, kept = map(int, said.split())
    assert kept < 100 < 10_000 < given_back  # 32,768 pages of 4 KiB

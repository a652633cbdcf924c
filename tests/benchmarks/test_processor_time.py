"""What the processor spends is counted wherever it is spent; threads come back as they were."""

import multiprocessing
import subprocess
import sys
import time

import pytest
import torch

from benchmarks.timing import thread_counts, threads
from core.machine.timing import processor_seconds, spent_on

CPU = torch.device("cpu")
BUSY = 0.3


def busy(seconds=BUSY):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def when_asked(asked, done):
    while asked.get():
        busy()
        done.put(1)


def test_time_of_this_process_counts_and_sleep_does_not():
    spent = spent_on(lambda: (busy(), time.sleep(0.1)), CPU)
    assert spent.processor == pytest.approx(BUSY, abs=0.1)
    assert spent.wall >= BUSY + 0.1


def test_time_of_a_worker_that_goes_on_counts():
    context = multiprocessing.get_context("fork")
    asked, done = context.SimpleQueue(), context.SimpleQueue()
    worker = context.Process(target=when_asked, args=(asked, done), daemon=True)
    worker.start()

    def work():
        asked.put(1)
        done.get()

    try:
        assert spent_on(work, CPU).processor == pytest.approx(BUSY, abs=0.1)
        assert spent_on(lambda: time.sleep(0.05), CPU).processor < 0.1
        before = processor_seconds()
    finally:
        asked.put(0)
        worker.join()
    # What it spent is kept when it has ended.
    assert processor_seconds() - before == pytest.approx(0, abs=0.1)


def test_time_of_a_command_counts():
    code = f"import time\nwhile time.process_time() < {BUSY}: pass"
    spent = spent_on(lambda: subprocess.run([sys.executable, "-c", code], check=True), CPU)
    assert spent.processor == pytest.approx(BUSY, abs=0.08)


def test_threads_are_set_for_a_while():
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_threads_to_measure_with():
    with threads(2):
        assert thread_counts(()) == [2, 1]
        assert thread_counts((4, 1, 4)) == [4, 1]
    with threads(1):
        assert thread_counts(()) == [1]

"""What the processor spends is counted wherever it is spent; arms take turns."""

import multiprocessing
import subprocess
import sys
import time

import pytest
import torch

from core.machine.timing import interleaved, processor_seconds, spent_on

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


def test_arms_take_turns_and_ratios_pair_them():
    order = []
    arms = {"slow": lambda: (order.append("slow"), time.sleep(0.02)), "fast": lambda: order.append("fast")}
    times = interleaved(arms, 3, CPU)
    assert order == ["fast", "slow", "slow", "fast"] * 2
    assert {name: len(values) for name, values in times.items()} == {"slow": 3, "fast": 3}
    assert min(times["slow"]).wall >= 0.02 > max(times["fast"]).wall
    assert min(times["slow"]).processor < 0.02  # it sleeps

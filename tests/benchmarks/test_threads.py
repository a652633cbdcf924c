"""Threads to measure with come back as they were."""

import torch

from benchmarks.timing import thread_counts, threads


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

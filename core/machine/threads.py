"""Work on what a network has put out, done in threads while it goes on with the next batch."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def threaded(function: Callable[[Item], Result], batches: Iterable[Sequence[Item]]) -> Iterator[Result]:
    """Yield function(item) for every item of the batches, in order.

    A batch is worked on while the next is made in the thread that asks, so two are in memory at most. The function
    should spend its time in NumPy, OpenCV or files, which let other threads run; torch starts threads of its own, so
    that only short operations of it are at home here.

    Raises:
        Exception: what `function` raised, in its item's turn; what has not begun then is left.
    """
    before: list[Future] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for batch in batches:
                submitted = [pool.submit(function, item) for item in batch]
                yield from (future.result() for future in before)
                before = submitted
            yield from (future.result() for future in before)
        finally:
            pool.shutdown(cancel_futures=True)

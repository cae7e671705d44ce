"""Threads: a few shared ones for loops that let go of Python's lock.

numba's own parallel loops are not used: one of its layers dies in a forked child, the other when two Python threads
meet in it.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any


def thread_count() -> int:
    """STATESPACE_THREADS where it is set, otherwise the processors that this process may use."""
    asked = os.environ.get("STATESPACE_THREADS", "")
    if asked:
        if not asked.isdecimal() or int(asked) < 1:
            raise RuntimeError(f"STATESPACE_THREADS must be a number of threads, 1 or more, got {asked!r}")
        return int(asked)
    available = getattr(os, "sched_getaffinity", None)  # macOS and Windows have none
    return len(available(0)) if available else os.cpu_count() or 1


def share(task: Callable[[int], None], count: int) -> None:
    """Do task(0) … task(count − 1), each once, on this thread and on those of the pool that are free.

    Every thread takes the next number until none is left, so that a slow one does not keep the others waiting. The
    caller works too and waits for nobody who has not begun: calls from many threads at once cannot block each other.
    An error, or Ctrl-C, is raised when all have stopped: what they write to is the caller's.
    """
    numbers = itertools.count()  # next() is one step under Python's lock
    failed: list[BaseException] = []

    def work() -> None:
        try:
            while not failed and (number := next(numbers)) < count:
                task(number)
        except BaseException as error:
            failed.append(error)

    helpers = _helpers(work, min(thread_count(), count) - 1)
    work()
    while helpers:
        try:
            _wait(helpers[-1])
            helpers.pop()
        except BaseException as error:  # Ctrl-C while waiting: wait on
            failed.append(error)
    if failed:
        raise failed[0]


def _helpers(work: Callable[[], None], count: int) -> list[Any]:
    """Futures of as many threads as are to be had: none where the interpreter is shutting down."""
    futures: list[Any] = []
    try:
        for _ in range(count):
            futures.append(_pool(thread_count() - 1).submit(work))
    except RuntimeError:
        pass  # whoever calls does it alone
    return futures


def _wait(future: Any) -> None:
    """Wait for what is nearly done: looking at it again and again takes 10 µs, being woken up 200."""
    if future.cancel():
        return
    until = time.perf_counter() + 1e-3
    while not future.done() and time.perf_counter() < until:
        time.sleep(0)
    future.exception()


@lru_cache(maxsize=1)
def _pool(size: int) -> Any:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(size, thread_name_prefix="statespace")


if hasattr(os, "register_at_fork"):  # a child has none of its parent's threads
    os.register_at_fork(after_in_child=_pool.cache_clear)

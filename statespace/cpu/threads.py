"""Threads: a few shared ones for loops that let go of Python's lock.

numba's own parallel loops are not used: one of its layers dies in a forked child, the other when two Python threads
meet in it.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from queue import SimpleQueue
from typing import NamedTuple


def thread_count() -> int:
    """STATESPACE_THREADS where it is set, otherwise the processors that this process may use."""
    asked = os.environ.get("STATESPACE_THREADS", "")
    if asked:
        if not asked.isdecimal() or int(asked) < 1:
            raise RuntimeError(f"STATESPACE_THREADS must be a number of threads, 1 or more, got {asked!r}")
        return int(asked)
    available = getattr(os, "sched_getaffinity", None)  # macOS and Windows have none
    return len(available(0)) if available else os.cpu_count() or 1


def share(task: Callable[[int, int], None], count: int, *, least: int = 1) -> None:
    """Do task(first, last) for all numbers from 0 to count − 1, on this thread and on those of the pool that are free.

    Every thread takes the next numbers until none is left. It takes many at first, ``least`` or more, as one that is
    woken needs Python's lock, which the others give back for as long as they work on what they took: of 16 pieces of
    40 µs, taken one by one, 4 were done before a second thread began. It takes few in the end, so that a slow one does
    not keep the others waiting. The caller works too and waits for nobody who has not begun: calls from many threads
    at once cannot block each other. An error, or Ctrl-C, is raised when all have stopped: what they write to is the
    caller's.
    """
    threads, next_number = thread_count(), 0
    failed: list[BaseException] = []
    gate, closed, begun, ended = threading.Lock(), list[None](), list[None](), list[None]()

    def take() -> tuple[int, int]:
        nonlocal next_number
        with gate:
            first = next_number
            next_number = min(first + max(least, (count - first) // (2 * threads)), count)
            return first, next_number

    def work() -> None:
        try:
            while not failed and (numbers := take())[0] < count:
                task(*numbers)
        except BaseException as error:
            failed.append(error)

    def help_out() -> None:
        with gate:
            if closed:
                return
            begun.append(None)
        work()
        ended.append(None)

    _call(help_out, min(threads, -(-count // least)) - 1, threads - 1)
    work()
    while True:
        try:
            with gate:
                closed.append(None)  # whoever has not begun need not
            _wait(ended, len(begun))
            break
        except BaseException as error:  # Ctrl-C while waiting: wait on
            failed.append(error)
    task = _nothing  # a job that nobody has taken yet would keep the arrays of this one
    if failed:
        raise failed[0]


def _nothing(first: int, last: int) -> None:
    pass


def _wait(ended: list[None], count: int) -> None:
    """Wait for what is nearly done: looking at it again and again takes 10 µs, being woken up 200."""
    until = time.perf_counter() + 1e-3
    while len(ended) < count:
        time.sleep(0 if time.perf_counter() < until else 1e-4)


def _call(job: Callable[[], None], helpers: int, size: int) -> None:
    """Hand a job to threads of the pool; where there are none to be had, as at the end of a process, nobody comes."""
    if helpers < 1:
        return
    try:
        pool = _pool(size)
    except RuntimeError:
        return
    _keep_away(pool)
    for _ in range(helpers):
        pool.queue.put(job)


class Pool(NamedTuple):
    """A queue of jobs, and the threads that take them."""

    queue: SimpleQueue[Callable[[], None]]
    threads: list[int]
    avoided: list[tuple[int, set[int]]]  # the processor that they were kept away from last, of those that are allowed


@lru_cache(maxsize=1)
def _pool(size: int) -> Pool:
    """A tenth of what an executor takes for a job."""
    queue: SimpleQueue[Callable[[], None]] = SimpleQueue()
    threads = [threading.Thread(target=_serve, args=(queue,), name="statespace", daemon=True) for _ in range(size)]
    for thread in threads:
        thread.start()
    return Pool(queue, [thread.native_id for thread in threads if thread.native_id], [])


def _keep_away(pool: Pool) -> None:
    """Let the pool use every processor but the one that the caller is on.

    Linux wakes a thread where it ran last, or where the one that wakes it runs. Of two processors that can be the same
    one for minutes: the thread then waits until the caller is done, and the other processor idles.
    """
    where = _processor()
    if where is None:
        return
    now = where, os.sched_getaffinity(0)
    if pool.avoided != [now] and now[1] != {where}:
        with suppress(OSError):  # where that is not allowed, they stay where they are
            for thread in pool.threads:
                os.sched_setaffinity(thread, now[1] - {where})
        pool.avoided[:] = [now]


def _processor() -> int | None:
    """The one that this thread runs on, where the system tells."""
    ask = _ask_the_system()
    return None if ask is None else int(ask())


@lru_cache(maxsize=1)
def _ask_the_system() -> Callable[[], int] | None:
    affine = hasattr(os, "sched_setaffinity")
    return getattr(ctypes.PyDLL(None), "sched_getcpu", None) if affine else None


def _serve(queue: SimpleQueue[Callable[[], None]]) -> None:
    while True:
        queue.get()()


if hasattr(os, "register_at_fork"):  # a child has none of its parent's threads
    os.register_at_fork(after_in_child=_pool.cache_clear)

"""The card under benchmarks/gpu.py: its limits, seconds by its own events, inputs made on it, what a load costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from statespace.gpu.faults import card_name
from statespace.gpu.loader import launch, options, source

EXP2, SLOTS = 16, 4 * 32  # exponentials, and instructions of one lane, that a multiprocessor starts in a clock
PATIENCE = 0.2  # seconds that the card is held back at most
LOADS, WARPS, WORDS = 8, 16, 1024  # as gpu_tools.cu has them; warps of the one block
DISTINCT = (1, 2, 4, 8, 32)  # pieces of sixteen bytes that a warp reads at once


class Card(NamedTuple):
    """What limits follow from."""

    name: str
    multiprocessors: int
    hertz: float
    l2: int  # bytes
    free: int  # bytes of memory


def card_of(cupy: Any) -> Card:
    """Ask the current device; its clock is the highest it is made for."""
    device = cupy.cuda.Device()
    has = device.attributes
    return Card(
        card_name(cupy, device.id),
        int(has["MultiProcessorCount"]),
        1e3 * float(has["ClockRate"]),
        int(has["L2CacheSize"]),
        room(cupy),
    )


def room(cupy: Any) -> int:
    """Bytes of the card's memory that are free, once CuPy gives back what it keeps for later."""
    cupy.get_default_memory_pool().free_all_blocks()
    return int(cupy.cuda.runtime.memGetInfo()[0])


# --------------------------------------------------------------- limits, in seconds


def exp2_limit(card: Card, exponentials: float) -> float:
    """So many exponentials, logarithms and reciprocals, at 16 a clock on each multiprocessor."""
    return exponentials / (card.multiprocessors * EXP2 * card.hertz)


def issue_limit(card: Card, instructions: float) -> float:
    """So many instructions of one lane, where each of four parts starts one of 32 lanes a clock."""
    return instructions / (card.multiprocessors * SLOTS * card.hertz)


def copy_bandwidth(cupy: Any, card: Card, seconds: Callable[[Callable[[], Any]], float], rounds: int = 9) -> float:
    """Bytes a second, those read and those written, of a copy from the card's memory to itself."""
    count = max(1024, min(2**31, card.free // 8) // 4)
    one, two = (cupy.zeros(count, np.float32) for _ in range(2))
    times = [seconds(lambda: cupy.copyto(two, one)) for _ in range(rounds)]
    return 2 * one.nbytes / median(times[1:])


# --------------------------------------------------------------- kernels of the benchmark


@cache
def tool(cupy: Any, name: str, distinct: int = 1) -> Any:
    """Return a kernel of gpu_tools.cu, behind the header of the engine."""
    text = source("device.cuh") + "\n" + source("gpu_tools.cu", Path(__file__).parent)
    module = cupy.RawModule(code=text, options=options((("REAL", "float"), ("DISTINCT", distinct))))
    return module.get_function(name)


def noise(cupy: Any, shape: tuple[int, ...], seed: int, scale: float = 1.0) -> Any:
    """Normal numbers (nearly) in single precision, made on the card: gigabytes in no time, of a seed."""
    x = cupy.empty(shape, np.float32)
    blocks = max(1, min(-(-x.size // 256), 4096))
    launch(tool(cupy, "noise"), (blocks, 1, 1), 256, (x, np.int64(x.size), np.uint32(seed), np.float32(scale)))
    return x


class Loads(NamedTuple):
    """What one load of sixteen bytes a lane costs, in clocks of a multiprocessor, of which a warp takes that many."""

    distinct: int
    clocks: float


def load_costs(cupy: Any, rounds: int = 4096) -> list[Loads]:
    """Time loads of one block of 16 warps: clocks of the slowest, over all loads of the block."""
    found = []
    for distinct in DISTINCT:
        kept, clocks = cupy.zeros(32 * WARPS, np.uint32), cupy.zeros(WARPS, np.int64)
        arguments = (kept, clocks, np.int32(rounds))
        for _ in range(2):  # the first fills the caches of instructions
            launch(tool(cupy, "broadcast_loads", distinct), (1, 1, 1), 32 * WARPS, arguments, 16 * WORDS)
        found.append(Loads(distinct, float(clocks.max()) / (rounds * LOADS * WARPS)))
    return found


# --------------------------------------------------------------- seconds


class Timer:
    """Seconds between two events on the current stream, around what is queued between them.

    The card is kept busy until the host has queued it all, or small kernels would be timed with the gaps that Python
    leaves between them. Where it was not kept busy long enough, that is seen, and it is done again.
    """

    def __init__(self, cupy: Any, hertz: float) -> None:
        self.cupy, self.hertz, self.wait = cupy, hertz, 1e-4
        self.clocks = cupy.zeros(1, np.int64)

    def __call__(self, run: Callable[[], Any]) -> float:
        while True:
            elapsed, host, late = self._once(run)
            if not late or self.wait >= PATIENCE:
                return elapsed
            self.wait = min(2 * max(self.wait, host), PATIENCE)

    def _once(self, run: Callable[[], Any]) -> tuple[float, float, bool]:
        """Seconds on the card, and on the host, and whether the card began before the host was done."""
        begin, end = self.cupy.cuda.Event(), self.cupy.cuda.Event()
        self.hold()
        begin.record()
        start = time.perf_counter()
        run()
        host, late = time.perf_counter() - start, begin.done
        end.record()
        end.synchronize()
        return self.cupy.cuda.get_elapsed_time(begin, end) / 1e3, host, late

    def hold(self) -> None:
        launch(tool(self.cupy, "hold"), (1, 1, 1), 1, (self.clocks, np.int64(self.wait * self.hertz)))


def clock_under_way(cupy: Any, timer: Timer) -> float:
    """Hertz that a multiprocessor ran at while one of its threads counted clocks."""
    timer.hold()
    begin, end = cupy.cuda.Event(), cupy.cuda.Event()
    wait, timer.wait = timer.wait, 0.05
    begin.record()
    timer.hold()
    end.record()
    end.synchronize()
    timer.wait = wait
    return float(timer.clocks[0]) / (cupy.cuda.get_elapsed_time(begin, end) / 1e3)

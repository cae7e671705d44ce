"""Time blocks: one long signal as many lanes, the lift over S samples with a carry of one state.

    v_j = what the last K samples of block j make from zero        all blocks at once
    x_{j+1} = A^S x_j + v_j                                          one small state from block to block
    y of block j by the recurrence from x_j                          all blocks at once

K is where a state is forgotten: what it leaves after K samples is below 1e-21 of what it was. A system that forgets
within a block reads few samples twice; one that does not, reads all of them twice. Nothing is added to an output
afterwards, so that each is the recurrence's own, from a start that agrees to rounding.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array
from statespace.scan.lanes import Lanes, Placed, as_lanes, at, do, lane_by_lane, run_rows, side_by_side, task_of
from statespace.structure import Dense
from statespace.structure.matrices import balanced

_FORGOTTEN = 2.0**-70
_AIM = 2.0**-80
_BOUNDED = 10.0
_SHORTEST = 64  # samples of a block


class Blocks(NamedTuple):
    """How every row of a signal is cut: the same for every number of threads."""

    pieces: int  # blocks of a row, eight to a group of lanes; 1 where the rows themselves are lanes
    length: int  # samples S; what is left over runs at the end


def cut(lanes: Lanes, rows: int, length: int) -> Blocks | None:
    """Eight groups of lanes at least, and more for a wide state: A^S costs its size times S samples.

    Eight rows or more are lanes themselves, unless each needs a matrix of its own. None where there is too little.
    """
    if rows >= 8 and not (lanes.shared and len(lanes.table) > 1):
        return Blocks(1, length)
    count = min(8 * -(-max(8, lanes.size) // rows), length // _SHORTEST // 8 * 8)
    eights = length // max(count, 1) // 8
    samples = 8 * (eights - (eights % 2 == 0))  # starts a power of two apart would meet in the cache
    return Blocks(count, samples) if count else None


class Memory(NamedTuple):
    """How long a state is remembered."""

    samples: int  # K, at most S
    power: Array | None  # A^S of each system, (systems, size, size), where K = S; None where nothing is carried


@lru_cache(maxsize=32)
def memory(system: Any, S: int) -> Memory | None:
    """Run every unit state without input until it is forgotten, or for S samples; None where A^S is not to be trusted.

    The largest pole says where to look first; what the states do says whether it was enough. A^S is to be trusted
    where no power on the way is larger than 10 in good units of the states: that of a companion matrix of poles
    0.99999 e^{±0.01j} is 100, and 64 blocks with the same error in it were 1e-10 off, the recurrence 2e-12.
    """
    lanes = as_lanes(system)
    assert lanes is not None
    systems, n = len(lanes.table), lanes.size
    which, radius = np.repeat(np.arange(systems), n), float(np.abs(system.poles).max(initial=0.0))
    w = np.tile(np.eye(n), (systems, 1))
    first = min(S, math.ceil(math.log(_AIM) / math.log(min(max(radius, 0.1), 1 - 1e-9))) + 2 * n)
    peak, done = np.abs(w), 0
    for stop in _stops(first, S):
        w, done = unforced(lanes, which, w, stop - done), stop
        size = np.abs(w)
        if first <= done < S and np.all(size <= _FORGOTTEN * peak):
            return Memory(done, None)
        peak = np.fmax(peak, size)
    power = np.ascontiguousarray(w.reshape(systems, n, n).swapaxes(1, 2))
    return Memory(S, power) if np.all(np.isfinite(w)) and _is_bounded(system, peak) else None


def _is_bounded(system: Any, peak: Array) -> bool:
    """Whether powers of a matrix stay small where it is balanced; sections and modes have good units as they are."""
    if not isinstance(system.A, Dense):
        return True
    n = system.n_states
    units = balanced(np.asarray(system.A).reshape(-1, n, n))[1]
    return bool(np.all(peak.reshape(-1, n, n) * units[:, :, None] <= _BOUNDED * units[:, None, :]))


def _stops(first: int, S: int) -> list[int]:
    """Where to look: a few times on the way, for the peak, and from the first guess on in steps of an eighth."""
    later = (first * np.arange(8, 16) // 8).tolist()
    return sorted({k for k in (1, first // 16, first // 4, *later) if 0 < k < S} | {S})


def unforced(lanes: Lanes, which: Array, w: Array, count: int) -> Array:
    """States (rows, size) after ``count`` samples without input."""
    zero = np.zeros(1)
    silence = Placed(np.full(len(w), zero.ctypes.data), (0, 0), 0.0)
    return run_rows(lanes, which, silence, None, w, count=count)


def run_blocks(
    lanes: Lanes, which: Array, source: Placed, target: Placed, w: Array, *, count: int, blocks: Blocks, past: Memory
) -> Array:
    """Run rows over their whole length in blocks, from states (rows, size) to those after it."""
    B, S = blocks.pieces, blocks.length
    if B == 1:
        return run_rows(lanes, which, source, target, w, count=count)
    block = np.tile(np.arange(B), len(w)).reshape(-1, 8)
    row = np.repeat(np.arange(len(w)), B).reshape(-1, 8)
    run = _forgetful if past.power is None else _remembering
    starts, ends = run(lanes, which, source, target, w, row, block, S, past)
    after = run_rows(lanes, which, source, target, ends[:, -1], begin=B * S, count=count - B * S)
    for r in np.flatnonzero(~np.isfinite(ends).all(axis=(1, 2))):
        after[r] = _from_the_first_bad(lanes, which, source, target, starts, ends, int(r), S, count)
    return after


def _forgetful(
    lanes: Lanes, which: Array, source: Placed, target: Placed, w: Array, row: Array, block: Array, S: int, past: Memory
) -> tuple[Array, Array]:
    """A block starts from what the K samples before it make: each group runs those and its own, in one go."""
    K, first = past.samples, block == 0
    begins = first.any(axis=1).tolist()
    x = np.zeros((len(row), lanes.size * 8))
    kept = np.empty_like(x)
    recall = task_of(lanes, which[row], x, at(source, row, np.maximum(S * block - K, 0)), None, K)
    go_on = task_of(lanes, which[row], x, at(source, row, S * block), at(target, row, S * block), S)

    def task(g: int, after: int) -> None:
        recall(g, after)
        for k in range(g, after):
            if begins[k]:
                lane_by_lane(x[k : k + 1])[0, first[k]] = w[row[k, first[k]]]
        kept[g:after] = x[g:after]
        go_on(g, after)

    do(task, lanes, len(row), K + S)
    starts, ends = np.empty((2, len(w), int(block.max()) + 1, lanes.size))
    starts[row, block], ends[row, block] = lane_by_lane(kept), lane_by_lane(x)
    return starts, ends


def _remembering(
    lanes: Lanes, which: Array, source: Placed, target: Placed, w: Array, row: Array, block: Array, S: int, past: Memory
) -> tuple[Array, Array]:
    """All blocks from zero, x_{j+1} = A^S x_j + v_j, and all blocks from there."""
    from statespace.cpu import carry

    assert past.power is not None
    starts = np.empty((len(w), int(block.max()) + 2, lanes.size))
    starts[:, 0] = w
    ends = np.empty_like(starts[:, 1:])
    x, begin = np.zeros((len(row), lanes.size * 8)), S * block
    do(task_of(lanes, which[row], x, at(source, row, begin), None, S), lanes, len(row), S)
    ends[row, block] = lane_by_lane(x)
    carry(past.power, which, ends, starts)
    x = side_by_side(starts[row, block])
    do(task_of(lanes, which[row], x, at(source, row, begin), at(target, row, begin), S), lanes, len(row), S)
    ends[row, block] = lane_by_lane(x)
    return starts, ends


def _from_the_first_bad(
    lanes: Lanes, which: Array, source: Placed, target: Placed, starts: Array, ends: Array, r: int, S: int, length: int
) -> Array:
    """Run a row again from the block in which a NaN or infinity entered its state: it stays there."""
    j = int(np.argmin(np.isfinite(ends[r]).all(axis=1)))
    one = slice(r, r + 1)
    source, target = source._replace(rows=source.rows[one]), target._replace(rows=target.rows[one])
    return run_rows(lanes, which[one], source, target, starts[one, j], begin=j * S, count=length - j * S)[0]

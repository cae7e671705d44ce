"""Time blocks: one long signal as many lanes, the lift over S samples with a carry of one state.

    v_j = Σ A^{K−1−k} B u_k  over the last K samples of block j         all blocks at once
    x_{j+1} = A^S x_j + v_j                                            one small state from block to block
    y of block j by the recurrence from x_j                            all blocks at once

K is where a state is forgotten: what it leaves after K samples is below 1e-21 of what it was (1e-12 in single), and
A^S x_j with it. A
system that forgets within a block reads few samples twice; one that does not, K = S, all of them. Nothing is added to
an output afterwards, so that each is the recurrence's own, from a start that agrees to rounding.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array
from statespace.scan.lanes import (
    Lanes,
    Placed,
    Task,
    do,
    in_place,
    into_lanes,
    lane_by_lane,
    run_rows,
    side_by_side,
    task_of,
)
from statespace.scan.quick import quick_lanes
from statespace.scan.recurrence import one_by_one
from statespace.structure import Dense
from statespace.structure.matrices import balanced

_FORGOTTEN = 2.0**-17  # rounding of the peak of a state: five digits below
_AIM = 2.0**-10  # of what is forgotten: where the poles say to look first
_BOUNDED = 10.0  # entries of powers of a balanced matrix
_SHARED = 4e5  # ns of work from which threads share it
_SHORTEST, _LONGEST = 64, 2**16  # samples of a block


class Blocks(NamedTuple):
    """How every row of a signal is cut: the same for every number of threads."""

    pieces: int  # blocks of a row, as many to a group as it has lanes; 1 where the rows themselves are lanes
    length: int  # samples S; what is left over runs at the end


def cut(system: Any, rows: int, length: int, single: bool = False) -> Blocks | None:
    """Blocks of every row of a signal, or None where there is too little.

    As many rows as lanes are lanes themselves, unless each needs a matrix of its own. Otherwise eight groups of lanes
    in all; more for long rows, and for a wide state, as A^S costs its size times S samples. Fewer where blocks would be
    shorter than what the system remembers, down to one group for each row, or to four where a run is long enough to be
    shared; two groups may be nearly as short.
    """
    lanes = quick_lanes(system, single)
    assert lanes is not None
    width = lanes.width
    if rows >= width and not (lanes.shared and len(lanes.table) > 1):
        return Blocks(1, length)
    most = width * max(-(-(8 if lanes.size <= 16 else lanes.size) // rows), length // (width * _LONGEST))
    most = min(most, length // _SHORTEST // width * width)
    if most == 0:
        return None
    least = width if rows * length * lanes.cost < _SHARED else width * -(-4 // rows)
    past = remembered(system, single)
    fitting = [n for n in range(most, least - 1, -width) if length // n >= (1.5 if n > 2 * width else 1.1) * past]
    count = fitting[0] if fitting else most
    samples = length // count
    if samples >= 1024:  # whole lines of the cache, and an odd number, or all lanes would meet in one place of it
        samples = width * (samples // width - (samples // width % 2 == 0))
    return Blocks(count, samples)


@lru_cache(maxsize=32)
def remembered(system: Any, single: bool = False) -> int:
    """Samples until the slowest mode has fallen to 1e-24 (1e-15 in single), by its pole."""
    radius = float(np.abs(system.poles).max(initial=0.0))
    return (
        math.ceil(math.log(_AIM * _forgotten(single)) / math.log(min(max(radius, 0.1), 1 - 1e-9))) + 2 * system.n_states
    )


def _forgotten(single: bool) -> float:
    return _FORGOTTEN * float(np.finfo(np.float32 if single else np.float64).eps) / 2


class Memory(NamedTuple):
    """How long a state is remembered, and what it remembers."""

    samples: int  # K, at most S
    power: Array | None  # A^S of each system, transposed, where K = S; None where nothing is carried
    reach: Array  # A^{K−1−k} B of each system, (systems, K·m·width), the size of a state rounded up to eights


@lru_cache(maxsize=32)
def memory(system: Any, S: int, single: bool = False) -> Memory | None:
    """Run every unit state without input until it is forgotten, or for S samples; None where A^S is not to be trusted.

    The largest pole says where to look first; what the states do says whether it was enough. A^S is to be trusted
    where powers on the way stay small: that of a companion matrix of poles 0.99999 e^{±0.01j} reaches 100, and 64
    blocks with the same error in A^S were 1e-10 off, the recurrence 2e-12.
    """
    lanes = quick_lanes(system, single)
    assert lanes is not None
    systems, n = len(lanes.table), lanes.size
    which, w = np.repeat(np.arange(systems), n), np.tile(np.eye(n), (systems, 1))
    first, forgotten = min(S, remembered(system, single)), _forgotten(single)
    peak, done = np.abs(w), 0
    for stop in _stops(first, S):
        w, done = unforced(lanes, which, w, stop - done), stop
        size = np.abs(w)
        if first <= done < S and np.all(size <= forgotten * peak):
            return Memory(done, None, _reach(system, lanes, done))
        peak = np.fmax(peak, size)
    power = w.reshape(systems, n, n)  # one row for each unit state
    small = not isinstance(system.A, Dense) or powers_stay_small(np.asarray(system.A), S)
    bounded = np.all(np.isfinite(w)) and small
    return Memory(S, power, _reach(system, lanes, S)) if bounded else None


def powers_stay_small(a: Array, S: int) -> bool:
    """Whether powers of a matrix stay below 10 where it is balanced, at some fifty places up to S.

    The places are unevenly far apart, powers of two in turn: those of a companion matrix go through 0 like
    sin(kθ)/sin θ, and where they were looked at twice only, one in four was taken for small. Sections and modes have
    good units as they are.
    """
    square = balanced(a)[0]
    squares = [square]
    with np.errstate(over="ignore", invalid="ignore"):
        while 6 * (2 ** (len(squares) + 1) - 1) <= S:
            squares.append(squares[-1] @ squares[-1])
        power = square
        for step in 6 * squares:
            if not np.all(np.abs(power) <= _BOUNDED):
                return False
            power = power @ step
    return bool(np.all(np.abs(power) <= _BOUNDED))


def _reach(system: Any, lanes: Lanes, K: int) -> Array:
    """States after an impulse at each input, the latest first, as `reach_lanes` reads them."""
    m, ones, systems = lanes.inputs, (1,) * len(system.batch_shape), len(lanes.table)
    impulses = np.eye(m).reshape(m, *ones, 1, m) * (np.arange(K + 1) == 0)[:, None]
    impulses = np.broadcast_to(impulses, (m, *system.batch_shape, K + 1, m))
    x = one_by_one(system, impulses, np.zeros(system.state_size), K).states  # (m, ..., K, n)
    which = np.tile(np.arange(systems).repeat(K), m)
    w = into_lanes(lanes, which, x.reshape(-1, x.shape[-1])).reshape(m, systems, K, lanes.size)
    table = np.zeros((systems, K, m, -(-lanes.size // 8) * 8), lanes.table.dtype)
    table[..., : lanes.size] = w[:, :, ::-1].transpose(1, 2, 0, 3)
    table[np.abs(table) < 1e8 * np.finfo(table.dtype).tiny] = (
        0.0  # products with subnormal numbers take 1.8 ns, not 0.2
    )
    return table.reshape(systems, -1)


def _stops(first: int, S: int) -> list[int]:
    """Where to look: a few times on the way, for the peak, and from the first guess on in steps of an eighth."""
    if first >= S:
        return [S // 4, S] if S > 3 else [S]
    later = (first * np.arange(8, 16) // 8).tolist()
    return sorted({k for k in (1, first // 16, first // 4, *later) if 0 < k < S} | {S})


def unforced(lanes: Lanes, which: Array, w: Array, count: int) -> Array:
    """States (rows, size) after ``count`` samples without input."""
    zero = np.zeros(1, lanes.table.dtype)
    silence = Placed(np.full(len(w), zero.ctypes.data), (0, 0), zero[0], zero)
    return run_rows(lanes, which, silence, None, w, count=count)


def run_blocks(
    lanes: Lanes, which: Array, source: Placed, target: Placed, w: Array, *, count: int, blocks: Blocks, past: Memory
) -> Array:
    """Run rows over their whole length in blocks, from states (rows, size) to those after it."""
    B, S = blocks
    if B == 1:
        return run_rows(lanes, which, source, target, w, count=count)
    over = _forgetful if past.power is None else _remembering
    ends = over(lanes, which, source, target, w, blocks, past)
    after = run_rows(lanes, which, source, target, ends[:, -1], begin=B * S, count=count - B * S)
    if not (np.isfinite(ends).all() or in_place(source, target)):  # what was overwritten cannot be run again
        for r in np.flatnonzero(~np.isfinite(ends).all(axis=(1, 2))):
            after[r] = _from_the_first_bad(lanes, which, source, target, w, ends, int(r), S, count)
    return after


def _forgetful(
    lanes: Lanes, which: Array, source: Placed, target: Placed, w: Array, blocks: Blocks, past: Memory
) -> Array:
    """A block starts from what the K samples before it make: each group runs those and its own, in one go."""
    (B, S), K, width = blocks, past.samples, lanes.width
    begins = S * np.arange(B)
    x = np.empty((len(w) * B // width, lanes.size * width), lanes.table.dtype)
    recall, made = _recall(lanes, which, _cut_up(source, np.maximum(begins - K, 0), width), past, B)
    heard, told = _cut_up(source, begins, width), _cut_up(target, begins, width)
    go_on = task_of(lanes, which.repeat(B).reshape(-1, width), x, heard, told, S)

    ahead = in_place(source, target)
    if ahead:  # before a neighbour is overwritten
        do(recall, lanes, len(x), K, share_of_work=0.3)

    def task(first: int, last: int) -> None:
        if not ahead:
            recall(first, last)
        x[first:last] = made[first:last, : x.shape[1]]
        for g in range(first, last):
            if g % (B // width) == 0:  # its first lane begins the row
                x[g, ::width] = w[g // (B // width)]
        go_on(first, last)

    do(task, lanes, len(x), K + S)
    return lane_by_lane(x, lanes).reshape(len(w), B, lanes.size)


def _remembering(
    lanes: Lanes, which: Array, source: Placed, target: Placed, w: Array, blocks: Blocks, past: Memory
) -> Array:
    """What all blocks make from zero, x_{j+1} = A^S x_j + v_j, and all blocks from there."""
    from statespace.cpu import carry

    assert past.power is not None
    (B, S), shape, width = blocks, (len(w), blocks.pieces, lanes.size), lanes.width
    systems, heard = which.repeat(B).reshape(-1, width), _cut_up(source, S * np.arange(B), width)
    recall, made = _recall(lanes, which, heard, past, B)
    do(recall, lanes, len(made), S, share_of_work=0.3)
    starts = np.empty((len(w), B + 1, lanes.size))
    starts[:, 0] = w
    v = lane_by_lane(made, lanes)[..., : lanes.size].reshape(shape)
    carry(past.power, which, v.astype(np.float64, copy=False), starts)
    x = side_by_side(starts[:, :-1].reshape(-1, width, lanes.size), lanes)
    do(task_of(lanes, systems, x, heard, _cut_up(target, S * np.arange(B), width), S), lanes, len(x), S)
    return lane_by_lane(x, lanes).reshape(shape)


def _recall(lanes: Lanes, which: Array, heard: Placed, past: Memory, B: int) -> tuple[Task, Array]:
    """What finds the states that K samples make from zero, and where it leaves them, (groups, size·8)."""
    from statespace.cpu import reach_lanes

    size = -(-lanes.size // 8) * 8
    systems = which.repeat(B // lanes.width)
    made = np.empty((len(heard.rows), size * lanes.width), lanes.table.dtype)
    rest = (past.reach, systems, (size, lanes.inputs), made, heard.rows, heard.steps, past.samples, heard.like)

    def task(first: int, last: int, owner: Any = heard.owner) -> None:
        reach_lanes(first, last, *rest)

    return task, made


def _cut_up(place: Placed, begins: Array, width: int) -> Placed:
    """Blocks of each row as lanes, a group's worth to a group, from where they begin."""
    return place._replace(rows=(place.rows[:, None] + begins * place.steps[0]).reshape(-1, width))


def _from_the_first_bad(
    lanes: Lanes, which: Array, source: Placed, target: Placed, w: Array, ends: Array, r: int, S: int, count: int
) -> Array:
    """Run a row again from the block in which a NaN or infinity entered its state: it stays there."""
    j, one = int(np.argmin(np.isfinite(ends[r]).all(axis=1))), slice(r, r + 1)
    start = ends[one, j - 1] if j else w[one]
    source, target = source._replace(rows=source.rows[one]), target._replace(rows=target.rows[one])
    return run_rows(lanes, which[one], source, target, start, begin=j * S, count=count - j * S)[0]

"""Eight signals at once: a system as the loops over lanes take it, and signals as they lie in memory.

A loop of `statespace.cpu` whose name ends in ``_lanes`` runs groups of eight lanes over as many samples each, from
states (groups, size·8). Lanes are channels, or blocks of one channel. In single precision sixteen make a group.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from statespace.arrays import Array
from statespace.scan.rows import flat
from statespace.structure import Cascade, Dense, Diagonal

_WORTH_A_THREAD = 2e5  # ns; waking one takes 50 µs


class Lanes(NamedTuple):
    """A real system for lanes."""

    loop: Callable[..., None]  # (first, last, tables, x, sources, targets, steps, count, writes, like)
    table: Array  # (systems, numbers of a system)
    ready: Array  # the table of the first system for a group, each number once a lane unless shared
    size: int  # real numbers of a state
    inputs: int
    shared: bool  # whether the lanes of a group must be of one system
    cost: float  # ns a sample and lane on one thread
    units: Array | None = None  # (systems, size), what numbers of a state are divided by; None for 1

    @property
    def width(self) -> int:
        """Lanes of a group."""
        return 64 // self.table.itemsize


class Placed(NamedTuple):
    """Where signals (..., L, channels) lie."""

    rows: Array  # address of the first number of each, the batch flattened
    steps: tuple[int, int]  # bytes from sample to sample, from channel to channel
    like: Any  # a number of their type
    owner: Any  # the array; a thread that is late writes to what is still there


@lru_cache(maxsize=32)
def as_lanes(system: Any) -> Lanes | None:
    """Prepare a system, or None where there is no loop over lanes: complex systems, delay lines, low rank, extreme b.

    The last few are kept: a system is what it is, and a short run takes less time than this.
    """
    if system.is_complex or system.n_states == 0:
        return None
    if isinstance(system.A, Cascade):
        return _cascade(system)
    if isinstance(system.A, Diagonal):
        return _diagonal(system)
    return _dense(system) if isinstance(system.A, Dense) else None


def _cascade(system: Any) -> Lanes | None:
    from statespace.cpu import cascade_lanes

    q = np.array(system.A.table)  # (..., sections, 8) = a11 a12 a21 a22 b c1 c2 d
    if not np.all((np.abs(q[..., 4]) > 1e-150) & (np.abs(q[..., 4]) < 1e150)):
        return None  # b is multiplied into the section before, and would overflow
    sections = q.shape[-2]
    b = q[..., 1::2, 4].copy()  # of every second section, which the one before it multiplies its output by
    q[..., : 2 * b.shape[-1] : 2, 5:] *= b[..., None]
    q[..., 1::2, 7] /= b
    table = q.reshape(-1, 8 * sections)
    return Lanes(cascade_lanes, table, np.repeat(table[:1], 8, axis=1), 2 * sections, 1, False, 0.4 + 0.2 * sections)


def _dense(system: Any) -> Lanes:
    from statespace.cpu import dense_lanes, tiled

    n, m, p = sizes = system.n_states, system.n_inputs, system.n_outputs
    table = flat(tiled(*system), system, np.float64, core=1)
    ends = _ends(np.abs(np.asarray(system.A)).reshape(-1, n, n).max(axis=0), p)

    def loop(first: int, last: int, tables: Array, *rest: Any) -> None:
        dense_lanes(first, last, tables, ends, sizes, *rest)

    return Lanes(loop, table, table[:1], n, m, True, 0.8 + 0.027 * (n + m) * (n + p))


def _ends(a: Array, p: int) -> Array:
    """Columns up to the last that is not zero in four rows of [A; C] or in those above; C is taken as full."""
    n = len(a)
    own = np.arange(1, n + 1)  # zeros on the diagonal count: 0·NaN is NaN in the recurrence
    last = np.maximum.accumulate(np.maximum(np.where(a > 0, own, 0).max(axis=1, initial=0), own))
    rows = np.concatenate([last, np.full(p, n), np.zeros(-(n + p) % 4, np.int64)])
    return rows.reshape(-1, 4).max(axis=1)


def _diagonal(system: Any) -> Lanes:
    from statespace.cpu import diagonal_lanes, pair_lanes

    n, m, p = sizes = system.state_size, system.n_inputs, system.n_outputs
    pairs = system.A.pairs
    a = flat(system.A.diagonal, system, system.A.diagonal.dtype, core=1)[..., None]
    bt, c, dt = (flat(x, system, x.dtype) for x in (system.B, system.C, system.D))  # transposed: c is (systems, n, p)
    b = bt.swapaxes(-1, -2)
    parts = [a.real, a.imag, b.real, b.imag, 2 * c.real, -2 * c.imag] if pairs else [a, b, c]
    modes = np.concatenate([np.real(x) for x in parts], axis=-1).reshape(len(a), -1)
    table = np.concatenate([modes, np.real(dt).swapaxes(-1, -2).reshape(len(a), -1)], axis=-1)
    run = pair_lanes if pairs else diagonal_lanes

    def loop(first: int, last: int, tables: Array, *rest: Any) -> None:
        run(first, last, tables, sizes, *rest)

    count = 2 * n if pairs else n
    return Lanes(loop, table, np.repeat(table[:1], 8, axis=1), count, m, False, 1.5 + 0.1 * count * (1 + m + p))


# --------------------------------------------------------------- states


def into_lanes(lanes: Lanes, which: Array, x: Array) -> Array:
    """States (rows, state_size) as real numbers (rows, size) in the units of lanes; a copy."""
    if x.dtype.kind == "c":  # pairs
        return np.array(x, order="C").view(np.float64)
    w = np.zeros((len(x), lanes.size))  # a cascade of odd order has a state to spare
    w[:, : x.shape[1]] = x
    return w if lanes.units is None else w / lanes.units[which]


def from_lanes(lanes: Lanes, which: Array, w: Array, system: Any) -> Array:
    """And back, (rows, state_size)."""
    if system.stores_pairs:
        return np.ascontiguousarray(w).view(np.complex128)
    return (w if lanes.units is None else w * lanes.units[which])[:, : system.state_size]


# --------------------------------------------------------------- signals


def placed(signal: Array) -> Placed:
    """Addresses of a batch of signals (..., L, channels), whatever its order and strides."""
    rows = np.array([signal.__array_interface__["data"][0]])
    for count, stride in zip(signal.shape[:-2], signal.strides[:-2], strict=True):
        rows = (rows[:, None] + stride * np.arange(count)).reshape(-1)
    return Placed(rows, (signal.strides[-2], signal.strides[-1]), signal.dtype.type(0), signal)


def readable(signal: Array) -> Array:
    """A signal that can be read number by number: aligned, and in the order of bytes of this machine."""
    ready = signal.flags.aligned and signal.dtype.isnative
    return signal if ready else signal.astype(signal.dtype.newbyteorder("="))


# --------------------------------------------------------------- runs

# Runs groups of lanes, from the first to before the last, and leaves their states in x.
Task: TypeAlias = Callable[[int, int], None]


def task_of(lanes: Lanes, which: Array, x: Array, source: Placed, target: Placed | None, count: int) -> Task:
    """What runs ``count`` samples of a group; without a target only for the states that it leaves.

    which, the rows of source and target (groups, 8), x (groups, size·8), the lanes of a number side by side.
    """
    tables, into = _tables(lanes, which), source if target is None else target
    rest = (x, source.rows, into.rows, (*source.steps, *into.steps), count, target is not None, source.like)
    owners = source.owner, into.owner

    def task(first: int, last: int, loop: Any = lanes.loop, owners: Any = owners) -> None:
        loop(first, last, tables, *rest)

    return task


def do(
    task: Task, lanes: Lanes, groups: int, count: int, *, share_of_work: float = 1.0, together: bool = False
) -> None:
    """Do a task for every group, by threads where there is enough to do.

    ``share_of_work`` is what it costs beside a whole run with its outputs.
    Groups that are read ``together``, channels that lie side by side, are kept together on a thread.
    """
    from statespace.cpu import share, thread_count

    if groups == 1 or groups * lanes.width * count * lanes.cost * share_of_work < _WORTH_A_THREAD:
        task(0, groups)
        return
    share(task, groups, least=-(-groups // thread_count()) if together else 1)


def run_rows(
    lanes: Lanes, which: Array, source: Placed, target: Placed | None, w: Array, *, begin: int = 0, count: int
) -> Array:
    """Run ``count`` samples from ``begin`` on of every row, rows as lanes; states (rows, size) before and after."""
    if len(w) == 1:
        return _run_row(lanes, which, source, target, w, begin, count)
    own, same = lanes.shared and len(lanes.table) > 1, in_place(source, target)
    picks = _groups_of_a_system(which, lanes.width, same) if own else _groups(len(w), lanes.width, same)
    x = side_by_side(w[picks], lanes)
    into = None if target is None else at(target, picks, begin)
    task = task_of(lanes, which[picks], x, at(source, picks, begin), into, count)
    do(task, lanes, len(picks), count, together=abs(source.steps[0]) > abs(source.rows[1] - source.rows[0]))
    after = np.empty_like(w)
    after[picks] = lane_by_lane(x, lanes)  # rows that lie in two lanes were run twice, to the same bits
    return after


def _run_row(
    lanes: Lanes, which: Array, source: Placed, target: Placed | None, w: Array, begin: int, count: int
) -> Array:
    """The same for one row, in every lane."""
    width = lanes.width
    x = w.astype(lanes.table.dtype, copy=False).repeat(width).reshape(1, -1)
    into = source if target is None else target
    first, last = source.rows + begin * source.steps[0], into.rows + begin * into.steps[0]
    rows = first.repeat(width).reshape(1, width), last.repeat(width).reshape(1, width)
    tables = lanes.ready if len(lanes.table) == 1 else _tables(lanes, which.repeat(width).reshape(1, width))
    lanes.loop(0, 1, tables, x, *rows, (*source.steps, *into.steps), count, target is not None, source.like)
    return x.reshape(1, -1, width)[:, :, 0].astype(w.dtype, copy=False)


def _groups(rows: int, width: int, in_place: bool) -> Array:
    """Rows in groups of lanes, (groups, width): the last group reaches back, too few rows repeat the last of them.

    In place the last group repeats it too: what it reached back to would be overwritten.
    """
    groups = width * np.arange(-(-rows // width))[:, None] + np.arange(width)
    last = rows - 1 if rows < width or in_place else rows - width + np.arange(width)
    return np.minimum(groups, last)


def _groups_of_a_system(which: Array, width: int, in_place: bool) -> Array:
    """The same where a group must be of one system."""
    rows = [np.flatnonzero(which == system) for system in np.unique(which)]
    return np.concatenate([own[_groups(len(own), width, in_place)] for own in rows])


def in_place(source: Placed, target: Placed | None) -> bool:
    """Whether outputs take the place of inputs."""
    return target is not None and bool(source.rows[0] == target.rows[0])


def at(place: Placed, row: Array, sample: Any) -> Placed:
    """Rows of the same signals, from a sample on."""
    return place._replace(rows=place.rows[row] + sample * place.steps[0])


def side_by_side(w: Array, lanes: Lanes) -> Array:
    """States (groups, 8, size) as the loops take them, (groups, size·8)."""
    return np.ascontiguousarray(w.swapaxes(1, 2), lanes.table.dtype).reshape(len(w), -1)


def lane_by_lane(x: Array, lanes: Lanes) -> Array:
    """And back, as a view."""
    return x.reshape(len(x), -1, lanes.width).swapaxes(1, 2)


def _tables(lanes: Lanes, which: Array) -> Array:
    """Numbers of the systems for each group, or once where they are the same for all."""
    if len(lanes.table) == 1:
        return lanes.ready
    if lanes.shared:
        return lanes.table[which[:, 0]]
    return np.ascontiguousarray(lanes.table[which].swapaxes(1, 2)).reshape(len(which), -1)

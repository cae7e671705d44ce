"""The selective scan: discretization, scan and read-out in one pass over time, channels side by side as lanes.

    x_k = α x_{k−1} + β v_{k−1} + γ v_k        v_k = B_k u_k        y_k = C_k x_k + D u_k

α, β, γ are functions of Δ_k A (`discretize.py`); nothing of size (L, d, n) is ever in memory. A *unit* is one row of
the batch and as many channels as a vector has lanes; where channels are few, one channel with its states in the lanes,
and y is summed over them in the end. Signals are cut into tiles of ``span`` samples; a tile is run state by state, so
that A and x stay in registers. Loops over states are inside of the functions that take arrays: to call one takes 20
counts of references, which two threads wait for each other with (0.5 ns a number became 0.28).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import Array
from statespace.cpu.compile import compiled, inlined
from statespace.cpu.discretize import IMPULSE, decay, factors, load_vector
from statespace.cpu.functions import logistic, not_too_low, softplus
from statespace.cpu.parts import constant, each, get, like, put, scale, times, times_plus
from statespace.cpu.simd import add, lanes_of, mul, prefetch, read_at, size_of, store
from statespace.cpu.subnormals import with_control, without_subnormals
from statespace.cpu.tiles import aligned, gather, scatter

DELTA, U, Z, Y = range(4)  # the signals of a unit, in the order of their addresses


class Plan(NamedTuple):
    """Where the units of a scan find what they need; steps are in bytes."""

    places: Array  # (units, 4, lanes) addresses of Δ, u, z, y
    steps: Array  # (4,) from sample to sample
    levels: Array  # (units, 2, lanes) addresses of B and C
    strides: Array  # (2, 2) of B and C, from sample to sample and from state to state
    table: Array  # (units,) which row of a, turns, direct and bias
    row: Array  # (units,) which row of the batch
    edges: Array  # samples before which the state is forgotten, row after row
    edge_of: Array  # (rows + 1,) where those of a row begin
    beside: int  # lanes that hold states of one channel


class Model(NamedTuple):
    """Rows of numbers of vectors."""

    a: Array  # A
    turns: Array  # what `decay` takes of it
    direct: Array  # D
    bias: Array  # of Δ


class Kinds(NamedTuple):
    """What a scan is: its rule, and in how many parts its numbers come."""

    rule: int
    weight: float
    softened: bool  # Δ ← log(1 + e^Δ)
    gated: bool  # y ← y z/(1 + e^−z)
    doubled: float  # 2 where C x stands for a conjugate pair, otherwise 1
    parts: Any  # of A, B, C and x: (0,) or (0, 0)
    heard: Any  # of u
    told: Any  # of y
    shared: Any  # None where all lanes have the same B and C


@compiled
def selective_lanes(
    first: int, last: int, kinds: Any, plan: Any, model: Any, n: int, count: int, span: int,
    x: Array, v: Array, marks: Array, single: Any,
) -> None:  # fmt: skip
    """Run units over count samples from x (units, n numbers) and v, their B u before; both are left after the last.

    marks (units, tiles, numbers of x and v) keeps what each tile starts from, where it is not empty.
    """
    width = 1 if kinds.shared is None else lanes_of(x)
    b, c = aligned(n * span * len(kinds.parts) * width, x), aligned(n * span * len(kinds.parts) * width, x)
    dt, z = aligned(span * lanes_of(x), x), aligned(span * lanes_of(x), x)
    u, y = aligned(span * lanes_of(x) * len(kinds.heard), x), aligned(span * lanes_of(x) * len(kinds.told), x)
    edges = np.empty(span, np.intp)
    start, control = first, without_subnormals()
    while start < last:
        stop = together(plan.levels, start, last)
        for begin in range(0, count, span):
            samples = min(span, count - begin)
            levels(b, plan.levels, plan.strides, 0, start, begin, n, samples, span, kinds, single)
            levels(c, plan.levels, plan.strides, 1, start, begin, n, samples, span, kinds, single)
            for g in range(start, stop):
                if marks.size:
                    mark(marks[g, begin // span], x[g], v[g])
                hear(dt, u, plan, model, g, begin, samples, kinds, single)
                many = edges_inside(edges, plan, g, begin, samples)
                fetch(plan.places[g, Y, 0] + begin * plan.steps[Y], plan.steps[Y], samples)
                if g + 1 < stop:
                    fetch(plan.places[g + 1, DELTA, 0] + begin * plan.steps[DELTA], plan.steps[DELTA], samples)
                    fetch(plan.places[g + 1, U, 0] + begin * plan.steps[U], plan.steps[U], samples)
                y[:] = 0
                if kinds.rule == IMPULSE:
                    _impulses(n, model, plan.table[g], x[g], dt, u, b, c, y, edges, many, samples, span, kinds)
                else:
                    _held(n, model, plan.table[g], x[g], v[g], dt, u, b, c, y, edges, many, samples, span, kinds)
                if plan.beside > 1:
                    _join(y, plan.beside, samples * len(kinds.told))
                feed_through(y, u, model.direct[plan.table[g]], samples, kinds)
                if kinds.gated:
                    gather(z, 0, 1, plan.places[g, Z], begin * plan.steps[Z], plan.steps[Z], samples, single)
                    _gate(y, z, samples, kinds)
                tell(y, plan, g, Y, begin, samples, kinds.told, single)
        start = stop
    with_control(control)


@compiled
def _impulses(
    n: int, model: Any, row: int, x: Array, dt: Array, u: Array, b: Array, c: Array, y: Array, edges: Array, many: int,
    samples: int, span: int, kinds: Any,
) -> None:  # fmt: skip
    # x_k = e^{ΔA} x_{k−1} + Δ u B
    turns = model.turns[row]
    for i in range(n):
        h, begin = get(x, i, kinds.parts), 0
        for j in range(many + 1):
            end = edges[j] if j < many else samples
            for t in range(begin, end):
                k, step = i * span + t, load_vector(dt, t)
                s, f = decay(turns, i, step, kinds.parts)
                drive = times(scale(step, get(u, t, kinds.heard)), each(b, k, kinds.parts, kinds.shared))
                h = onward(s, f, h, drive)
                put(y, t, times_plus(each(c, k, kinds.parts, kinds.shared), h, get(y, t, kinds.told)))
            if j < many:
                h = constant(0.0, h)
            begin = end
        put(x, i, h)


@compiled
def _held(
    n: int, model: Any, row: int, x: Array, v: Array, dt: Array, u: Array, b: Array, c: Array, y: Array, edges: Array,
    many: int, samples: int, span: int, kinds: Any,
) -> None:  # fmt: skip
    # x_k = α x_{k−1} + Δ (H v_{k−1} + G v_k)
    turns, poles = model.turns[row], model.a[row]
    for i in range(n):
        a, h, before, begin = get(poles, i, kinds.parts), get(x, i, kinds.parts), get(v, i, kinds.parts), 0
        for j in range(many + 1):
            end = edges[j] if j < many else samples
            for t in range(begin, end):
                k, step = i * span + t, load_vector(dt, t)
                s, f, ahead, behind = factors(kinds.rule, kinds.weight, step, a, turns, i)
                now = times(get(u, t, kinds.heard), each(b, k, kinds.parts, kinds.shared))
                h = onward(s, f, h, scale(step, times_plus(behind, before, times(ahead, now))))
                put(y, t, times_plus(each(c, k, kinds.parts, kinds.shared), h, get(y, t, kinds.told)))
                before = now
            if j < many:
                h, before = constant(0.0, h), constant(0.0, h)
            begin = end
        put(x, i, h)
        put(v, i, before)


@inlined
def onward(s: Any, f: Any, h: Any, drive: Any) -> Any:
    """(s + f) h + drive, rounded as s h + (f h + drive)."""
    return times_plus((s,), h, like(times_plus(f, h, drive), h))


# --------------------------------------------------------------- what a tile is made of


@compiled
def together(places: Array, start: int, last: int) -> int:
    """The end of the units from start on that share B and C."""
    stop = start + 1
    while stop < last and np.all(places[stop] == places[start]):
        stop += 1
    return stop


@compiled
def mark(marks: Array, x: Array, v: Array) -> None:
    """Keep x and v."""
    marks[: x.size] = x
    marks[x.size :] = v


@compiled
def levels(
    tile: Array, places: Array, strides: Array, which: int, g: int, begin: int, n: int, samples: int, span: int,
    kinds: Any, single: Any,
) -> None:  # fmt: skip
    """tile[i·span + t] = B or C of state i and sample begin + t."""
    parts, size = len(kinds.parts), size_of(single)
    step, hop = strides[which]
    for i in range(n):
        for part in range(parts):
            offset = begin * step + i * hop + part * size
            if kinds.shared is None:
                _copy(tile, i * span * parts + part, parts, places[g, which, 0] + offset, step, samples, single)
            else:
                gather(tile, i * span * parts + part, parts, places[g, which], offset, step, samples, single)
    if which == 1 and kinds.doubled != 1:
        for k in range(tile.size):
            tile[k] *= tile.dtype.type(kinds.doubled)


@compiled
def _copy(tile: Array, first: int, apart: int, address: int, step: int, count: int, single: Any) -> None:
    for t in range(count):
        tile[first + t * apart] = read_at(address + t * step, single)


@compiled
def hear(dt: Array, u: Array, plan: Any, model: Any, g: int, begin: int, samples: int, kinds: Any, single: Any) -> None:
    """The tiles of Δ and u."""
    parts = len(kinds.heard)
    gather(dt, 0, 1, plan.places[g, DELTA], begin * plan.steps[DELTA], plan.steps[DELTA], samples, single)
    for part in range(parts):
        offset = begin * plan.steps[U] + part * size_of(single)
        gather(u, part, parts, plan.places[g, U], offset, plan.steps[U], samples, single)
    bias = model.bias[plan.table[g]]
    if bias.size:
        shift = load_vector(bias, 0)
        for t in range(samples):
            step = add(load_vector(dt, t), shift)
            store(dt, t * lanes_of(dt), softplus(step) if kinds.softened else step)


@compiled
def tell(y: Array, plan: Any, g: int, which: int, begin: int, samples: int, kind: Any, single: Any) -> None:
    """Write a tile to the addresses of a signal."""
    parts, step = len(kind), plan.steps[which]
    for part in range(parts):
        offset = begin * step + part * size_of(single)
        scatter(y, part, parts, plan.places[g, which], offset, step, samples, single)


@compiled
def fetch(address: int, step: int, samples: int) -> None:
    """Ask for lines of memory that will be written, or read for the next unit."""
    for t in range(samples):
        prefetch(address + t * step, 1)


@compiled
def edges_inside(edges: Array, plan: Any, g: int, begin: int, samples: int) -> int:
    """Fill edges with the samples of a tile before which the state is forgotten; how many there are."""
    row, many = plan.row[g], 0
    low, last = plan.edge_of[row], plan.edge_of[row + 1]
    high = last
    while low < high:  # the first at begin or later
        middle = (low + high) // 2
        if plan.edges[middle] < begin:
            low = middle + 1
        else:
            high = middle
    while low + many < last and plan.edges[low + many] < begin + samples:
        edges[many] = plan.edges[low + many] - begin
        many += 1
    return many


@compiled
def feed_through(y: Array, u: Array, direct: Array, samples: int, kinds: Any) -> None:
    # y ← y + D u; without D nothing, also of infinity
    if direct.size == 0:
        return
    d = get(direct, 0, kinds.told)
    for t in range(samples):
        put(y, t, times_plus(d, get(u, t, kinds.heard), get(y, t, kinds.told)))


@compiled
def _join(y: Array, beside: int, count: int) -> None:
    """In each lane the sum over those of its channel, in each of so many vectors."""
    for first in range(0, count * lanes_of(y), beside):
        total = y[first]
        for lane in range(first + 1, first + beside):
            total += y[lane]
        y[first : first + beside] = total


@compiled
def _gate(y: Array, z: Array, samples: int, kinds: Any) -> None:
    # y ← y z/(1 + e^−z)
    for t in range(samples):
        gate = not_too_low(load_vector(z, t))
        put(y, t, scale(mul(gate, logistic(gate)), get(y, t, kinds.told)))

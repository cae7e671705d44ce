"""Cascades: each section a 2×2 state space, over eight signals at once or number by number."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array
from statespace.cpu.compile import compiled
from statespace.cpu.simd import fma, lanes_of, load, mul, size_of, store, without_remnants
from statespace.cpu.tiles import TILE, aligned, gather, gather_channels, scatter, scatter_channels, side_by_side

_NUMBERS = 8  # of a section: a11 a12 a21 a22 b c1 c2 d
_FEWER = 6  # of one in units of its input: a11 a12 a22 c1 c2 d
_STRIP = 16  # samples after which remnants are cut; tiles are whole strips, whatever a thread took together


@compiled
def cascade_lanes(
    first: int, last: int, tables: Array, x: Array, sources: Array, targets: Array, steps: Any, count: int,
    writes: bool, like: float,
) -> None:  # fmt: skip
    """Run groups first to last − 1 of eight signals over count samples, two sections at a time within a tile.

    tables (groups or 1, sections·8·8) and x (groups, sections·2·8) hold eight numbers, one a lane, wherever one signal
    alone has one; x is updated. sources and targets (groups, 8) are the addresses of the first samples. Channels that
    are neighbours in memory are read together, their groups take turns tile by tile; all else goes group by group. Of
    singles there are sixteen wherever there are eight of doubles.
    """
    size, lanes = size_of(like), lanes_of(x)
    read = side_by_side(sources, first, last, steps[0], size)
    write = writes and side_by_side(targets, first, last, steps[2], size)
    zero: Any = np.intp(0)  # with the literals 0 and 1 numba would compile what takes them once more
    one: Any = np.intp(1)
    together = last - first if read or write else 1
    span = max(TILE // together // _STRIP, 1) * _STRIP
    tiles = aligned(span * lanes * together, x)
    for turn in range(first, last, together):
        for begin in range(0, count, span):
            samples = min(span, count - begin)
            if read:
                gather_channels(tiles, span, sources, turn, last, begin * steps[0], steps[0], samples, like)
            for g in range(turn, turn + together):
                tile = tiles[(g - turn) * span * lanes :]
                if not read:
                    gather(tile, zero, one, sources[g], begin * steps[0], steps[0], samples, like)
                _sections(tables[min(g, tables.shape[0] - 1)], x[g], tile, samples)
                if writes and not write:
                    scatter(tile, zero, one, targets[g], begin * steps[2], steps[2], samples, like)
            if write:
                scatter_channels(tiles, span, targets, turn, last, begin * steps[2], steps[2], samples, like)


@compiled
def _sections(table: Array, x: Array, tile: Array, samples: int) -> None:
    lanes = lanes_of(x)
    sections = x.shape[0] // (2 * lanes)
    own_units = table.shape[0] == sections * _NUMBERS * lanes
    for i in range(0, sections - 1, 2):
        if own_units:
            _two_sections(table, x, i, tile, samples)
        else:
            _two_quick_sections(table, x, i, tile, samples)
    if sections % 2 and own_units:
        _one_section(table, x, sections - 1, tile, samples)
    elif sections % 2:
        _one_quick_section(table, x, sections - 1, tile, samples)


@compiled
def _state(x: Array, i: int) -> Any:
    lanes = lanes_of(x)
    return load(x, 2 * i * lanes), load(x, (2 * i + 1) * lanes)


@compiled
def _keep(x: Array, i: int, state: Any) -> None:
    lanes = lanes_of(x)
    store(x, 2 * i * lanes, state[0])
    store(x, (2 * i + 1) * lanes, state[1])


# --------------------------------------------------------------- a state in its own units


@compiled
def _section(table: Array, i: int) -> Any:
    n = lanes_of(table)
    at = i * _NUMBERS * n
    return (
        load(table, at), load(table, at + n), load(table, at + 2 * n), load(table, at + 3 * n),
        load(table, at + 4 * n), load(table, at + 5 * n), load(table, at + 6 * n), load(table, at + 7 * n),
    )  # fmt: skip


@compiled
def _step(section: Any, state: Any, v: Any, bv: Any) -> Any:
    a11, a12, a21, a22, _, c1, c2, d = section
    x1, x2 = state
    # y = c1 x1 + c2 x2 + d v,  x1⁺ = a11 x1 + a12 x2 + b v,  x2⁺ = a21 x1 + a22 x2
    after = fma(a11, x1, fma(a12, x2, bv)), fma(a21, x1, mul(a22, x2))
    return fma(c1, x1, fma(c2, x2, mul(d, v))), after


@compiled
def _one_section(table: Array, x: Array, i: int, tile: Array, samples: int) -> None:
    section, state, lanes = _section(table, i), _state(x, i), lanes_of(x)
    b = section[4]
    for t in range(samples):
        v = load(tile, t * lanes)
        y, state = _step(section, state, v, mul(b, v))
        store(tile, t * lanes, y)
    _keep(x, i, state)


@compiled
def _two_sections(table: Array, x: Array, i: int, tile: Array, samples: int) -> None:
    # One section alone waits 8 cycles for its own state; two wait together: 0.8 for 1.2 ns a sample of four sections,
    # and four are no quicker than two. Between them y stands for b y of the second, so that it needs no product by b.
    p, q, lanes = _section(table, i), _section(table, i + 1), lanes_of(x)
    one, two = _state(x, i), _state(x, i + 1)
    b = p[4]
    for t in range(samples):
        v = load(tile, t * lanes)
        y, one = _step(p, one, v, mul(b, v))
        y, two = _step(q, two, y, y)
        store(tile, t * lanes, y)
    _keep(x, i, one)
    _keep(x, i + 1, two)


# --------------------------------------------------------------- in units of the input of its section


@compiled
def _quick_section(table: Array, i: int) -> Any:
    n = lanes_of(table)
    at = i * _FEWER * n
    return (
        load(table, at), load(table, at + n), load(table, at + 2 * n),
        load(table, at + 3 * n), load(table, at + 4 * n), load(table, at + 5 * n),
    )  # fmt: skip


@compiled
def _quick_step(section: Any, state: Any, v: Any) -> Any:
    a11, a12, a22, c1, c2, d = section
    x1, x2 = state
    # y = c1 x1 + c2 x2 + d v,  x1⁺ = a11 x1 + a12 x2 + v,  x2⁺ = x1 + a22 x2
    after = fma(a11, x1, fma(a12, x2, v)), fma(a22, x2, x1)
    return fma(c1, x1, fma(c2, x2, mul(d, v))), after


@compiled
def _cut(state: Any) -> Any:
    return without_remnants(state[0]), without_remnants(state[1])


@compiled
def _one_quick_section(table: Array, x: Array, i: int, tile: Array, samples: int) -> None:
    section, state, lanes = _quick_section(table, i), _state(x, i), lanes_of(x)
    for begin in range(0, samples, _STRIP):
        for t in range(begin, min(begin + _STRIP, samples)):
            y, state = _quick_step(section, state, load(tile, t * lanes))
            store(tile, t * lanes, y)
        state = _cut(state)
    _keep(x, i, state)


@compiled
def _two_quick_sections(table: Array, x: Array, i: int, tile: Array, samples: int) -> None:
    p, q, lanes = _quick_section(table, i), _quick_section(table, i + 1), lanes_of(x)
    one, two = _state(x, i), _state(x, i + 1)
    for begin in range(0, samples, _STRIP):
        for t in range(begin, min(begin + _STRIP, samples)):
            y, one = _quick_step(p, one, load(tile, t * lanes))
            y, two = _quick_step(q, two, y)
            store(tile, t * lanes, y)
        one, two = _cut(one), _cut(two)
    _keep(x, i, one)
    _keep(x, i + 1, two)


# --------------------------------------------------------------- one by one


@compiled
def cascade_steps(q: Array, which: Array, u: Array, x: Array, y: Array, states: Array) -> None:
    """Run sections q (systems, sections, 8) = a11 a12 a21 a22 b c1 c2 d over u (rows, L).

    x (rows, sections, 2) is updated, y (rows, L) and the last states (rows, S, sections, 2) are filled.
    """
    first = u.shape[1] - states.shape[1]
    for r in range(u.shape[0]):
        s = which[r]
        for k in range(u.shape[1]):
            v = x[r, 0, 0] * 0 + u[r, k]
            for i in range(q.shape[1]):
                x1, x2 = x[r, i, 0], x[r, i, 1]
                if k >= first:
                    states[r, k - first, i, 0] = x1
                    states[r, k - first, i, 1] = x2
                # x1⁺ = a11 x1 + a12 x2 + b v,  x2⁺ = a21 x1 + a22 x2,  v ← c1 x1 + c2 x2 + d v
                x[r, i, 0] = q[s, i, 0] * x1 + q[s, i, 1] * x2 + q[s, i, 4] * v
                x[r, i, 1] = q[s, i, 2] * x1 + q[s, i, 3] * x2
                v = q[s, i, 5] * x1 + q[s, i, 6] * x2 + q[s, i, 7] * v
            y[r, k] = v

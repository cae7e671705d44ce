"""Dense systems: one signal with the rows of the matrix as lanes, or eight signals at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array
from statespace.cpu.compile import compiled
from statespace.cpu.products import add_product
from statespace.cpu.simd import LANES, add, fma, load, splat, spread, store
from statespace.cpu.tiles import TILE, aligned, gather_all, scatter_all


@compiled
def dense_steps(tiles: Array, which: Array, u: Array, x: Array, y: Array, states: Array) -> None:
    """Run [x_{k+1}; y_k] = [[A, B], [C, D]] [x_k; u_k] in real arithmetic, eight rows of the matrix at a time.

    Tiles (systems, rows/8 · columns · 8) hold that matrix as `tiled` lays it out. x (rows, n) is updated, y filled,
    and states (rows, S, n) takes the states before the last S samples. 8 states, 2 inputs and 2 outputs take 14
    ns a step, plain loops over the same matrix 40.
    """
    n, m, p = x.shape[1], u.shape[2], y.shape[2]
    columns, groups = n + m, -(-(n + p) // LANES)
    now, new = np.zeros(columns + groups * LANES), np.zeros(columns + groups * LANES)
    first = u.shape[1] - states.shape[1]
    for r in range(u.shape[0]):
        tile = tiles[which[r]]
        now[:n] = x[r]
        for k in range(u.shape[1]):
            if k >= first:
                for i in range(n):
                    states[r, k - first, i] = now[i]
            for j in range(m):
                now[n + j] = u[r, k, j]
            # [x_{k+1}; y_k] = [[A, B], [C, D]] [x_k; u_k]
            for g in range(groups):
                _eight_rows(tile, g * columns * LANES, columns, now, new, g * LANES)
            for i in range(p):
                y[r, k, i] = new[n + i]
            now, new = new, now
        x[r] = now[:n]


@compiled
def _eight_rows(tile: Array, row: int, columns: int, now: Array, new: Array, at: int) -> None:
    # new[at : at + 8] = eight rows of M, times now; four sums, so that additions overlap
    a, b, c, d = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
    whole = columns - columns % 4
    for j in range(0, whole, 4):
        a = fma(load(tile, row + j * LANES), splat(now[j]), a)
        b = fma(load(tile, row + (j + 1) * LANES), splat(now[j + 1]), b)
        c = fma(load(tile, row + (j + 2) * LANES), splat(now[j + 2]), c)
        d = fma(load(tile, row + (j + 3) * LANES), splat(now[j + 3]), d)
    for j in range(whole, columns):
        a = fma(load(tile, row + j * LANES), splat(now[j]), a)
    store(new, at, add(add(a, b), add(c, d)))


def tiled(a: Array, b: Array, c: Array, d: Array) -> Array:
    """[[A, B], [C, D]] as (..., groups · columns · 8): eight rows of a column side by side, padded with zeros."""
    n, m, p = a.shape[-1], b.shape[-1], c.shape[-2]
    columns, groups = n + m, -(-(n + p) // LANES)
    batch = np.broadcast_shapes(*(x.shape[:-2] for x in (a, b, c, d)))
    whole = np.zeros((*batch, groups * LANES, columns))
    whole[..., :n, :n], whole[..., :n, n:] = a, b
    whole[..., n : n + p, :n], whole[..., n : n + p, n:] = c, d
    parts = whole.reshape(*batch, groups, LANES, columns).swapaxes(-1, -2)
    return np.ascontiguousarray(parts).reshape(*batch, groups * columns * LANES)


# --------------------------------------------------------------- eight signals at once


@compiled
def dense_lanes(
    first: int, last: int, tables: Array, ends: Array, sizes: Any, x: Array, sources: Array, targets: Array,
    steps: Any, count: int, writes: bool, like: float,
) -> None:  # fmt: skip
    """Run the same recurrence over count samples of groups of eight signals, eight rows of the matrix at a time.

    tables (groups or 1, ...) holds the matrix of each group as `tiled` lays it out, ends (rows/4) how many columns of
    each four rows are not zero: a block-triangular A, from zoh or foh of a cascade, takes half the products. sizes are
    (n, m, p); x (groups, n·8) is updated; the rest is as in `cascade_lanes`.
    """
    n, m, p = sizes
    row, fours = (n + m) * LANES, ends.shape[0] if writes else -(-n // 4)
    now, new = aligned((n + m + p + 4) * LANES, x), aligned((n + m + p + 4) * LANES, x)
    heard, told = aligned(TILE * m * LANES, x), aligned(TILE * p * LANES, x)
    for begin in range(0, count, TILE):
        samples = min(TILE, count - begin)
        for g in range(first, last):
            table = tables[min(g, tables.shape[0] - 1)]
            now[: n * LANES] = x[g]
            gather_all(heard, m, sources[g], begin, steps[:2], samples, like)
            for t in range(samples):
                for j in range(m):
                    store(now, (n + j) * LANES, load(heard, (t * m + j) * LANES))
                # [x_{k+1}; y_k] = [[A, B], [C, D]] [x_k; u_k]
                for f in range(0, fours - 1, 2):
                    _eight_sums(table, f // 2 * row, ends[f + 1], n, n + m, now, new, f * 4 * LANES)
                if fours % 2:
                    f = fours - 1
                    _four_sums(table, f // 2 * row, ends[f], n, n + m, now, new, f * 4 * LANES)
                if writes:
                    for i in range(p):
                        store(told, (t * p + i) * LANES, load(new, (n + i) * LANES))
                now, new = new, now
            if writes:
                scatter_all(told, p, targets[g], begin, steps[2:], samples, like)
            x[g] = now[: n * LANES]


@compiled
def _add_four(table: Array, k: int, v: Any, sums: Any) -> Any:
    a, b, c, d = sums
    return (
        fma(spread(table, k), v, a),
        fma(spread(table, k + 1), v, b),
        fma(spread(table, k + 2), v, c),
        fma(spread(table, k + 3), v, d),
    )


@compiled
def _store_four(new: Array, at: int, sums: Any) -> None:
    a, b, c, d = sums
    store(new, at, a)
    store(new, at + LANES, b)
    store(new, at + 2 * LANES, c)
    store(new, at + 3 * LANES, d)


@compiled
def _four_sums(table: Array, row: int, end: int, n: int, columns: int, now: Array, new: Array, at: int) -> None:
    # four rows of M, times now, over the columns that are not zero: those of A up to end, and all of B
    zero = splat(0.0)
    sums = (zero, zero, zero, zero)
    for j in range(end):
        sums = _add_four(table, row + j * LANES, load(now, j * LANES), sums)
    for j in range(max(n, end), columns):
        sums = _add_four(table, row + j * LANES, load(now, j * LANES), sums)
    _store_four(new, at, sums)


@compiled
def _eight_sums(table: Array, row: int, end: int, n: int, columns: int, now: Array, new: Array, at: int) -> None:
    # eight rows
    zero = splat(0.0)
    low, high = (zero, zero, zero, zero), (zero, zero, zero, zero)
    for j in range(end):
        v = load(now, j * LANES)
        low, high = _add_four(table, row + j * LANES, v, low), _add_four(table, row + j * LANES + 4, v, high)
    for j in range(max(n, end), columns):
        v = load(now, j * LANES)
        low, high = _add_four(table, row + j * LANES, v, low), _add_four(table, row + j * LANES + 4, v, high)
    _store_four(new, at, low)
    _store_four(new, at + 4 * LANES, high)


@compiled
def complex_dense_steps(mt: Array, which: Array, u: Array, x: Array, y: Array, states: Array) -> None:
    """Run the same recurrence in complex arithmetic; mt (systems, columns, rows) is the system matrix transposed."""
    n = x.shape[1]
    now, new = np.empty(mt.shape[1], x.dtype), np.empty(mt.shape[2], x.dtype)
    first = u.shape[1] - states.shape[1]
    for r in range(u.shape[0]):
        m = mt[which[r]]
        for i in range(n):
            now[i] = x[r, i]
        for k in range(u.shape[1]):
            if k >= first:
                for i in range(n):
                    states[r, k - first, i] = now[i]
            for j in range(u.shape[2]):
                now[n + j] = u[r, k, j]
            # [x_{k+1}; y_k] = [[A, B], [C, D]] [x_k; u_k]
            new[:] = 0
            add_product(m, now, new)
            for i in range(n):
                now[i] = new[i]
            for i in range(y.shape[2]):
                y[r, k, i] = new[n + i]
        for i in range(n):
            x[r, i] = now[i]

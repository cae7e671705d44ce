"""What all loops over lanes share: states that move between lanes and blocks."""

from __future__ import annotations

from typing import Any

from statespace.arrays import Array
from statespace.cpu.compile import compiled
from statespace.cpu.simd import fma, lanes_of, load, spread, store
from statespace.cpu.tiles import TILE, aligned, gather_all

_SUMS = 8  # numbers of the state at a time


@compiled
def reach_lanes(
    first: int, last: int, tables: Array, which: Array, sizes: Any, x: Array, sources: Array, steps: Any, count: int,
    like: float,
) -> None:  # fmt: skip
    """The state that count samples make from zero, Σ_k A^{count−1−k} B u_k, for groups of eight signals.

    tables (systems, count·m·width) hold A^{count−1−k} B column by column, which (groups) the system of each group.
    sizes are (width, m): numbers of a state, to a multiple of eight, and inputs; x (groups, width·8) is filled. n·m
    products a sample, where the recurrence itself makes n (n + m). Singles come in groups of sixteen.
    """
    width, m = sizes
    tile = aligned(TILE * m * lanes_of(x), x)
    for g in range(first, last):
        x[g] = 0.0
        table, now = tables[which[g]], x[g]
        for begin in range(0, count, TILE):
            samples = min(TILE, count - begin)
            gather_all(tile, m, sources[g], begin, steps, samples, like)
            for i in range(0, width, _SUMS):
                _reach_eight(table, begin * m * width + i, width, tile, samples * m, now, i)


@compiled
def _reach_eight(table: Array, row: int, width: int, tile: Array, count: int, x: Array, i: int) -> None:
    # eight numbers of the state, over the samples of a tile
    n = lanes_of(x)
    at = i * n
    a, b, c, d = load(x, at), load(x, at + n), load(x, at + 2 * n), load(x, at + 3 * n)
    e, f, g, h = load(x, at + 4 * n), load(x, at + 5 * n), load(x, at + 6 * n), load(x, at + 7 * n)
    for k in range(count):
        v, q = load(tile, k * n), row + k * width
        a, b = fma(spread(table, q), v, a), fma(spread(table, q + 1), v, b)
        c, d = fma(spread(table, q + 2), v, c), fma(spread(table, q + 3), v, d)
        e, f = fma(spread(table, q + 4), v, e), fma(spread(table, q + 5), v, f)
        g, h = fma(spread(table, q + 6), v, g), fma(spread(table, q + 7), v, h)
    store(x, at, a)
    store(x, at + n, b)
    store(x, at + 2 * n, c)
    store(x, at + 3 * n, d)
    store(x, at + 4 * n, e)
    store(x, at + 5 * n, f)
    store(x, at + 6 * n, g)
    store(x, at + 7 * n, h)


@compiled
def carry(power: Array, which: Array, v: Array, x: Array) -> None:
    """x[:, j + 1] = A^S x[:, j] + v[:, j]: the start of each block from that of the one before.

    power (systems, n, n) is A^S transposed, v (rows, blocks, n) what each block makes from zero; x (rows,
    blocks + 1, n) begins with the state before the first block and is filled.
    """
    for r in range(v.shape[0]):
        s = which[r]
        for j in range(v.shape[1]):
            for i in range(v.shape[2]):
                x[r, j + 1, i] = v[r, j, i]
            for k in range(v.shape[2]):
                for i in range(v.shape[2]):
                    x[r, j + 1, i] += power[s, k, i] * x[r, j, k]

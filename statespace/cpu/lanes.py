"""What all loops over lanes share: states that move between lanes and blocks."""

from __future__ import annotations

from typing import Any

from statespace.arrays import Array
from statespace.cpu.compile import compiled
from statespace.cpu.simd import LANES, fma, load, spread, store
from statespace.cpu.tiles import TILE, aligned, gather_all


@compiled
def reach_lanes(
    first: int, last: int, tables: Array, which: Array, sizes: Any, x: Array, sources: Array, steps: Any, count: int,
    like: float,
) -> None:  # fmt: skip
    """The state that count samples make from zero, Σ_k A^{count−1−k} B u_k, for groups of eight signals.

    tables (systems, count·m·width) hold A^{count−1−k} B column by column, which (groups) the system of each group.
    sizes are (width, m): numbers of a state, to a multiple of eight, and inputs; x (groups, width·8) is filled. n·m
    products a sample, where the recurrence itself makes n (n + m).
    """
    width, m = sizes
    tile = aligned(TILE * m * LANES)
    for g in range(first, last):
        x[g] = 0.0
        table, now = tables[which[g]], x[g]
        for begin in range(0, count, TILE):
            samples = min(TILE, count - begin)
            gather_all(tile, m, sources[g], begin, steps, samples, like)
            for i in range(0, width, LANES):
                _reach_eight(table, begin * m * width + i, width, tile, samples * m, now, i)


@compiled
def _reach_eight(table: Array, row: int, width: int, tile: Array, count: int, x: Array, i: int) -> None:
    # eight numbers of the state, over the samples of a tile
    at = i * LANES
    a, b, c, d = load(x, at), load(x, at + 8), load(x, at + 16), load(x, at + 24)
    e, f, g, h = load(x, at + 32), load(x, at + 40), load(x, at + 48), load(x, at + 56)
    for k in range(count):
        v, q = load(tile, k * LANES), row + k * width
        a, b = fma(spread(table, q), v, a), fma(spread(table, q + 1), v, b)
        c, d = fma(spread(table, q + 2), v, c), fma(spread(table, q + 3), v, d)
        e, f = fma(spread(table, q + 4), v, e), fma(spread(table, q + 5), v, f)
        g, h = fma(spread(table, q + 6), v, g), fma(spread(table, q + 7), v, h)
    store(x, at, a)
    store(x, at + 8, b)
    store(x, at + 16, c)
    store(x, at + 24, d)
    store(x, at + 32, e)
    store(x, at + 40, f)
    store(x, at + 48, g)
    store(x, at + 56, h)


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

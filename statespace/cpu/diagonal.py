"""Diagonal systems, real, complex or in pairs, and the affine step that time-varying ones come down to."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array
from statespace.cpu.compile import compiled
from statespace.cpu.simd import LANES, fma, load, mul, splat, store
from statespace.cpu.tiles import TILE, aligned, gather_all, scatter_all


@compiled
def diagonal_steps(
    a: Array, bt: Array, ct: Array, dt: Array, which: Array, u: Array, x: Array, y: Array, states: Array
) -> None:
    """Run x_{k+1} = a x_k + B u_k elementwise, y_k = C x_k + D u_k; x is updated, y and states are filled."""
    first = u.shape[1] - states.shape[1]
    for r in range(u.shape[0]):
        s = which[r]
        for k in range(u.shape[1]):
            if k >= first:
                for i in range(x.shape[1]):
                    states[r, k - first, i] = x[r, i]
            # y_k = C x_k + D u_k
            for i in range(y.shape[2]):
                total = x.dtype.type(0)
                for j in range(x.shape[1]):
                    total += ct[s, j, i] * x[r, j]
                for j in range(u.shape[2]):
                    total += dt[s, j, i] * u[r, k, j]
                y[r, k, i] = total
            # x_{k+1} = a x_k + B u_k
            for i in range(x.shape[1]):
                x[r, i] *= a[s, i]
            for j in range(u.shape[2]):
                for i in range(x.shape[1]):
                    x[r, i] += bt[s, j, i] * u[r, k, j]


@compiled
def pair_steps(
    a: Array, bt: Array, ct: Array, dt: Array, which: Array, u: Array, x: Array, y: Array, states: Array
) -> None:
    """Run x_{k+1} = a x_k + B u_k, y_k = 2·Re(C x_k) + D u_k on real signals, in real arithmetic."""
    re, im = np.empty(x.shape[1]), np.empty(x.shape[1])
    first = u.shape[1] - states.shape[1]
    for r in range(u.shape[0]):
        s = which[r]
        re[:] = x[r].real
        im[:] = x[r].imag
        for k in range(u.shape[1]):
            if k >= first:
                for i in range(x.shape[1]):
                    states[r, k - first, i] = complex(re[i], im[i])
            # y_k = 2·Re(C x_k) + D u_k
            for i in range(y.shape[2]):
                total = 0.0
                for j in range(x.shape[1]):
                    total += ct[s, j, i].real * re[j] - ct[s, j, i].imag * im[j]
                total *= 2.0
                for j in range(u.shape[2]):
                    total += dt[s, j, i] * u[r, k, j]
                y[r, k, i] = total
            # x_{k+1} = a x_k + B u_k
            for i in range(x.shape[1]):
                ar, ai = a[s, i].real, a[s, i].imag
                re[i], im[i] = ar * re[i] - ai * im[i], ai * re[i] + ar * im[i]
            for j in range(u.shape[2]):
                for i in range(x.shape[1]):
                    re[i] += bt[s, j, i].real * u[r, k, j]
                    im[i] += bt[s, j, i].imag * u[r, k, j]
        for i in range(x.shape[1]):
            x[r, i] = complex(re[i], im[i])


@compiled
def affine_steps(a: Array, b: Array, which: Array, x: Array, states: Array) -> None:
    """Run x_k = a_k x_{k−1} + b_k elementwise; a (systems, L, n), b and states (rows, L, n), x (rows, n) updated."""
    for r in range(b.shape[0]):
        s = which[r]
        for k in range(b.shape[1]):
            for i in range(b.shape[2]):
                x[r, i] = a[s, k, i] * x[r, i] + b[r, k, i]
                states[r, k, i] = x[r, i]


# --------------------------------------------------------------- eight signals at once


@compiled
def diagonal_lanes(
    first: int, last: int, tables: Array, sizes: Any, x: Array, sources: Array, targets: Array, steps: Any, count: int,
    writes: bool, like: float,
) -> None:  # fmt: skip
    """Run real modes over count samples of groups of eight signals: table a, B, C of each mode in turn, then D.

    tables (groups or 1, numbers·8) and x (groups, n·8) hold eight numbers, one a lane; sizes are (n, m, p).
    """
    n, m, p = sizes
    heard, told, v = aligned(TILE * m * LANES, x), aligned(TILE * p * LANES, x), aligned(TILE * LANES, x)
    for begin in range(0, count, TILE):
        samples = min(TILE, count - begin)
        for g in range(first, last):
            table, now = tables[min(g, tables.shape[0] - 1)], x[g]
            gather_all(heard, m, sources[g], begin, steps[:2], samples, like)
            _through(table, n * (1 + m + p), heard, told, sizes, samples)
            for i in range(n):
                _mode(table, i, now, heard, v, sizes, samples)
                if writes:
                    _add(table, i * (1 + m + p) + 1 + m, v, told, p, samples)
            if writes:
                scatter_all(told, p, targets[g], begin, steps[2:], samples, like)


@compiled
def _mode(table: Array, i: int, x: Array, heard: Array, v: Array, sizes: Any, samples: int) -> None:
    # x⁺ = a x + (B u); v keeps x as it was before each sample
    _, m, p = sizes
    at = i * (1 + m + p)
    _combine(table, at + 1, heard, m, v, samples)
    a, s = load(table, at * LANES), load(x, i * LANES)
    for t in range(samples):
        drive = load(v, t * LANES)
        store(v, t * LANES, s)
        s = fma(a, s, drive)
    store(x, i * LANES, s)


@compiled
def pair_lanes(
    first: int, last: int, tables: Array, sizes: Any, x: Array, sources: Array, targets: Array, steps: Any, count: int,
    writes: bool, like: float,
) -> None:  # fmt: skip
    """Run conjugate pairs the same way: table Re a, Im a, Re B, Im B, 2·Re C, −2·Im C of each pair, then D."""
    n, m, p = sizes
    each = 2 * (1 + m + p)
    heard, told = aligned(TILE * m * LANES, x), aligned(TILE * p * LANES, x)
    v, w = aligned(TILE * LANES, x), aligned(TILE * LANES, x)
    for begin in range(0, count, TILE):
        samples = min(TILE, count - begin)
        for g in range(first, last):
            table, now = tables[min(g, tables.shape[0] - 1)], x[g]
            gather_all(heard, m, sources[g], begin, steps[:2], samples, like)
            _through(table, n * each, heard, told, sizes, samples)
            for i in range(n):
                _pair(table, i, now, heard, v, w, sizes, samples)
                if writes:
                    _add(table, i * each + 2 + 2 * m, v, told, p, samples)
                    _add(table, i * each + 2 + 2 * m + p, w, told, p, samples)
            if writes:
                scatter_all(told, p, targets[g], begin, steps[2:], samples, like)


@compiled
def _pair(table: Array, i: int, x: Array, heard: Array, v: Array, w: Array, sizes: Any, samples: int) -> None:
    # (re + j im)⁺ = (ar + j ai)(re + j im) + (B u); v and w keep them as they were before each sample
    _, m, p = sizes
    at = 2 * i * (1 + m + p)
    _combine(table, at + 2, heard, m, v, samples)
    _combine(table, at + 2 + m, heard, m, w, samples)
    ar, ai = load(table, at * LANES), load(table, (at + 1) * LANES)
    minus, re, im = mul(ai, splat(-1.0)), load(x, 2 * i * LANES), load(x, (2 * i + 1) * LANES)
    for t in range(samples):
        drive, other = load(v, t * LANES), load(w, t * LANES)
        store(v, t * LANES, re)
        store(w, t * LANES, im)
        re, im = fma(ar, re, fma(minus, im, drive)), fma(ar, im, fma(ai, re, other))
    store(x, 2 * i * LANES, re)
    store(x, (2 * i + 1) * LANES, im)


@compiled
def _through(table: Array, at: int, heard: Array, told: Array, sizes: Any, samples: int) -> None:
    # y = D u; table holds D row by row
    _, m, p = sizes
    for t in range(samples):
        for i in range(p):
            total = splat(0.0)
            for j in range(m):
                total = fma(load(table, (at + i * m + j) * LANES), load(heard, (t * m + j) * LANES), total)
            store(told, (t * p + i) * LANES, total)


@compiled
def _combine(table: Array, at: int, heard: Array, m: int, v: Array, samples: int) -> None:
    # v = b u, one row of B
    for t in range(samples):
        total = splat(0.0)
        for j in range(m):
            total = fma(load(table, (at + j) * LANES), load(heard, (t * m + j) * LANES), total)
        store(v, t * LANES, total)


@compiled
def _add(table: Array, at: int, v: Array, told: Array, p: int, samples: int) -> None:
    # y += c v, one column of C
    for i in range(p):
        c = load(table, (at + i) * LANES)
        for t in range(samples):
            k = (t * p + i) * LANES
            store(told, k, fma(c, load(v, t * LANES), load(told, k)))

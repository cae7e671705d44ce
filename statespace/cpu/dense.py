"""Dense systems: one step, steps from a table, and steps that all differ.

Matrices arrive transposed, At[j, i] = A[i, j], so that the inner loop runs over the rows of one column:
contiguous, without a reduction, and in the same order of additions whatever the vector width.
"""

from __future__ import annotations

import numpy as np

from statespace.arrays import Array
from statespace.cpu.compile import compiled
from statespace.cpu.simd import LANES, add, fma, load, splat, store


@compiled
def _add_product(mt: Array, v: Array, out: Array) -> None:
    # out += M v
    for j in range(mt.shape[0]):
        vj = v[j]
        for i in range(mt.shape[1]):
            out[i] += mt[j, i] * vj


@compiled
def _one_group(tile: Array, row: int, columns: int, now: Array, new: Array, at: int) -> None:
    # new[at : at + 4] = four rows of M, times now; four sums, so that additions overlap
    a, b, c, d = splat(0.0), splat(0.0), splat(0.0), splat(0.0)
    for j in range(0, columns, 4):
        a = fma(load(tile, row + j * LANES), splat(now[j]), a)
        b = fma(load(tile, row + (j + 1) * LANES), splat(now[j + 1]), b)
        c = fma(load(tile, row + (j + 2) * LANES), splat(now[j + 2]), c)
        d = fma(load(tile, row + (j + 3) * LANES), splat(now[j + 3]), d)
    store(new, at, add(add(a, b), add(c, d)))


@compiled
def _three_groups(tile: Array, row: int, columns: int, now: Array, new: Array, at: int) -> None:
    # new[at : at + 12] = twelve rows of M, times now; they share each splat: a third fewer loads, 21 for 33 ns
    low, high = row + columns * LANES, row + 2 * columns * LANES
    a, b, c = splat(0.0), splat(0.0), splat(0.0)
    d, e, f = splat(0.0), splat(0.0), splat(0.0)
    for j in range(0, columns, 2):
        even, odd = splat(now[j]), splat(now[j + 1])
        a = fma(load(tile, row + j * LANES), even, a)
        b = fma(load(tile, low + j * LANES), even, b)
        c = fma(load(tile, high + j * LANES), even, c)
        d = fma(load(tile, row + (j + 1) * LANES), odd, d)
        e = fma(load(tile, low + (j + 1) * LANES), odd, e)
        f = fma(load(tile, high + (j + 1) * LANES), odd, f)
    store(new, at, add(a, d))
    store(new, at + LANES, add(b, e))
    store(new, at + 2 * LANES, add(c, f))


@compiled
def dense_steps(tiles: Array, which: Array, u: Array, x: Array, y: Array, states: Array) -> None:
    """Run [x_{k+1}; y_k] = [[B, A], [D, C]] [u_k; x_k] in real arithmetic, groups of four rows of the matrix at a time.

    Tiles (systems, rows/4 · columns · 4) hold that matrix as `tiled` lays it out. x (rows, n) is updated, y filled,
    and states (rows, S, n) takes the states before the last S samples. 8 states, 2 inputs and 2 outputs take 15 to
    20 ns a step, plain loops over the same matrix 40.
    """
    n, m, p = x.shape[1], u.shape[2], y.shape[2]
    columns, groups = n + m + (-(n + m)) % 4, -(-(n + p) // LANES)
    at = columns - n  # the state follows the inputs and the padding
    now, new = np.zeros(at + groups * LANES), np.zeros(at + groups * LANES)
    first = u.shape[1] - states.shape[1]
    for r in range(u.shape[0]):
        tile = tiles[which[r]]
        now[at : at + n] = x[r]
        for k in range(u.shape[1]):
            if k >= first:
                for i in range(n):
                    states[r, k - first, i] = now[at + i]
            for j in range(m):
                now[j] = u[r, k, j]
            # [x_{k+1}; y_k] = [[B, A], [D, C]] [u_k; x_k]
            for g in range(0, groups - groups % 3, 3):
                _three_groups(tile, g * columns * LANES, columns, now, new, at + g * LANES)
            for g in range(groups - groups % 3, groups):
                _one_group(tile, g * columns * LANES, columns, now, new, at + g * LANES)
            for i in range(p):
                y[r, k, i] = new[at + n + i]
            now, new = new, now
        x[r] = now[at : at + n]


def tiled(a: Array, b: Array, c: Array, d: Array) -> Array:
    """[[B, 0, A], [D, 0, C]] as (..., groups · columns · 4): four rows of a column side by side, padded with zeros."""
    n, m, p = a.shape[-1], b.shape[-1], c.shape[-2]
    columns, groups = n + m + (-(n + m)) % 4, -(-(n + p) // LANES)
    batch = np.broadcast_shapes(*(x.shape[:-2] for x in (a, b, c, d)))
    whole = np.zeros((*batch, groups * LANES, columns))
    whole[..., :n, :m], whole[..., :n, columns - n :] = b, a
    whole[..., n : n + p, :m], whole[..., n : n + p, columns - n :] = d, c
    parts = whole.reshape(*batch, groups, LANES, columns).swapaxes(-1, -2)
    return np.ascontiguousarray(parts).reshape(*batch, groups * columns * LANES)


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
            _add_product(m, now, new)
            for i in range(n):
                now[i] = new[i]
            for i in range(y.shape[2]):
                y[r, k, i] = new[n + i]
        for i in range(n):
            x[r, i] = now[i]


@compiled
def indexed_steps(
    alpha: Array, beta: Array, gamma: Array, which: Array, step: Array, u: Array, x: Array, states: Array
) -> None:
    """Run x_k = α x_{k−1} + β u_{k−1} + γ u_k with α, βB, γB number step[k − 1] of a table; states is filled.

    The tables are (systems, steps, columns, rows), transposed as everywhere here.
    """
    new, v, last = np.empty_like(x[0]), np.empty(u.shape[2], x.dtype), np.empty(u.shape[2], x.dtype)
    for r in range(u.shape[0]):
        s = which[r]
        for k in range(u.shape[1]):
            for j in range(u.shape[2]):
                v[j] = u[r, k, j]
            if k > 0:
                # x_k = α x_{k−1} + β v_{k−1} + γ v_k
                q = step[k - 1]
                new[:] = 0
                _add_product(alpha[s, q], x[r], new)
                _add_product(beta[s, q], last, new)
                _add_product(gamma[s, q], v, new)
                for i in range(x.shape[1]):
                    x[r, i] = new[i]
            for i in range(x.shape[1]):
                states[r, k, i] = x[r, i]
            for j in range(u.shape[2]):
                last[j] = v[j]


@compiled
def _taylor_step(at: Array, x: Array, v: Array, slope: Array, h: float, w: Array, new: Array) -> None:
    # x(h) = x + h x' + h²/2 x'' + …   x' = A x + v,  x'' = A x' + slope,  x''' = A x'', …  for ‖A‖h ≤ 1
    n = x.shape[0]
    w[:] = v
    _add_product(at, x, w)
    factor, largest = h, 0.0
    for i in range(n):
        largest = max(largest, abs(x[i]))
    for term in range(1, 21):
        change = 0.0
        for i in range(n):
            x[i] += factor * w[i]
            change = max(change, abs(factor * w[i]))
        largest = max(largest, change)
        new[:] = 0
        if term == 1:
            new[:] = slope
        _add_product(at, w, new)
        w[:] = new
        factor *= h / (term + 1)
        # Two terms can vanish by chance where the input has a slope; after that they only shrink.
        if term > 3 and change <= 1e-17 * largest:
            break


@compiled
def varied_steps(
    at: Array,
    ladder: tuple[Array, Array, Array],
    h0: Array,
    held: bool,
    which: Array,
    steps: Array,
    v: Array,
    x: Array,
    states: Array,
) -> None:
    """Run steps that all differ, x' = A x + v with v = B u held or joined by lines; states is filled.

    A step Δ = r + h0·(m_0 + 2 m_1 + 4 m_2 + …) is walked in dyadic parts: the remainder r by the
    Taylor series of the solution, ‖A‖r ≤ 1, then a power of two h0·2^j for each binary digit of m with α, β, γ
    from the ladder (systems, rungs, columns, rows). The semigroup makes it exact, for stiff and for
    defective A alike; the cost grows with log₂(‖A‖Δ).
    """
    alpha, beta, gamma = ladder
    n = x.shape[1]
    w, new, here = np.empty_like(x[0]), np.empty_like(x[0]), np.empty_like(x[0])
    there, slope = np.empty_like(x[0]), np.zeros_like(x[0])
    for r in range(v.shape[0]):
        s = which[r]
        for k in range(v.shape[1]):
            if k > 0:
                step = steps[k - 1]
                for i in range(n):
                    here[i] = v[r, k - 1, i]
                    slope[i] = 0.0 if held else (v[r, k, i] - v[r, k - 1, i]) / step
                whole = np.floor(step / h0[s])
                rest = step - whole * h0[s]
                _taylor_step(at[s], x[r], here, slope, rest, w, new)
                walked = rest
                for j in range(alpha.shape[1] - 1, -1, -1):
                    size = h0[s] * 2.0**j
                    if whole >= 2.0**j:
                        whole -= 2.0**j
                        # x ← α x + β v(τ) + γ v(τ + h)
                        for i in range(n):
                            here[i] = v[r, k - 1, i] + slope[i] * walked
                            there[i] = v[r, k - 1, i] + slope[i] * (walked + size)
                        new[:] = 0
                        _add_product(alpha[s, j], x[r], new)
                        _add_product(beta[s, j], here, new)
                        _add_product(gamma[s, j], there, new)
                        for i in range(n):
                            x[r, i] = new[i]
                        walked += size
            for i in range(n):
                states[r, k, i] = x[r, i]

"""Dense systems on uneven grids: steps from a table, and steps that all differ.

Matrices arrive transposed, At[j, i] = A[i, j], so that the inner loop runs over the rows of one column:
contiguous, without a reduction, and in the same order of additions whatever the vector width.
"""

from __future__ import annotations

import numpy as np

from statespace.arrays import Array
from statespace.cpu.compile import compiled
from statespace.cpu.products import add_product


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
                add_product(alpha[s, q], x[r], new)
                add_product(beta[s, q], last, new)
                add_product(gamma[s, q], v, new)
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
    add_product(at, x, w)
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
        add_product(at, w, new)
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
                        add_product(alpha[s, j], x[r], new)
                        add_product(beta[s, j], here, new)
                        add_product(gamma[s, j], there, new)
                        for i in range(n):
                            x[r, i] = new[i]
                        walked += size
            for i in range(n):
                states[r, k, i] = x[r, i]

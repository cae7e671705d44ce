"""Diagonal plus low-rank systems: a step in O(n r)."""

from __future__ import annotations

import numpy as np

from statespace.arrays import Array
from statespace.cpu.compile import compiled
from statespace.cpu.products import add_product


@compiled
def low_rank_steps(
    a: Array, pt: Array, qt: Array, bt: Array, ct: Array, dt: Array,
    which: Array, u: Array, x: Array, y: Array, states: Array,
) -> None:  # fmt: skip
    """Run x_{k+1} = a x_k − P (Qᴴ x_k) + B u_k, y_k = C x_k + D u_k; x is updated, y and states are filled.

    pt (systems, r, n) is P transposed, qt Q conjugated and transposed. With one input, one output, rank 1 and 64 states
    a step takes 0.38 µs in complex and 0.30 in real arithmetic, the loops over dense matrices 2.7 and 0.36; with 256
    states 1.3 and 1.0 against 42 and 5.5, with 8 states 0.10 against 0.10 and 0.03.
    """
    out, v, w = np.empty(y.shape[2], x.dtype), np.empty(u.shape[2], x.dtype), np.empty(qt.shape[1], x.dtype)
    first = u.shape[1] - states.shape[1]
    for r in range(u.shape[0]):
        s, now = which[r], x[r]
        p, q, b, c, d = pt[s], qt[s], bt[s], ct[s], dt[s]
        for k in range(u.shape[1]):
            for j in range(u.shape[2]):
                v[j] = u[r, k, j]
            if k >= first:
                for i in range(now.shape[0]):
                    states[r, k - first, i] = now[i]
            # y_k = C x_k + D u_k
            out[:] = 0
            add_product(c, now, out)
            add_product(d, v, out)
            for i in range(out.shape[0]):
                y[r, k, i] = out[i]
            # w = −Qᴴ x_k
            w[:] = 0
            for j in range(w.shape[0]):
                total = w[j]
                for i in range(now.shape[0]):
                    total -= q[j, i] * now[i]
                w[j] = total
            # x_{k+1} = a x_k + P w + B u_k
            for i in range(now.shape[0]):
                now[i] *= a[s, i]
            add_product(p, w, now)
            add_product(b, v, now)

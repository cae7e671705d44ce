"""Cascades: one section after the other at each sample, each a 2×2 state space."""

from __future__ import annotations

from statespace.arrays import Array
from statespace.cpu.compile import compiled


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

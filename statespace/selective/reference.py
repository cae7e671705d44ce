"""The selective scan in a few lines of NumPy, against which every engine is held."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array
from statespace.selective.arguments import as_rule


def reference(
    u: Array, delta: Array, A: Array, B: Array, C: Array, D: Array, *, method: Any = "mamba", x0: Any = 0, v0: Any = 0,
    reset: Any = None,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """One sequence: u, delta (L, d), A (d, n), B and C (L, d, n), D (d,); y without pairs, and the last x and v."""
    rule = as_rule(method)
    x, v = x0 + np.zeros(A.shape), v0 + np.zeros(A.shape)
    y = []
    for k, step in enumerate(delta):
        if reset is not None and reset[k]:
            x, v = np.zeros(A.shape), np.zeros(A.shape)
        f, now = rule.factors(A, step[:, None]), B[k] * u[k][:, None]
        x, v = f.alpha * x + f.beta * v + f.gamma * now, now
        y.append((C[k] * x).sum(-1) + D * u[k])
    return np.array(y).reshape(u.shape), x, v

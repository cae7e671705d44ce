"""Products of a small matrix and a vector, real or complex."""

from __future__ import annotations

from statespace.arrays import Array
from statespace.cpu.compile import compiled


@compiled
def add_product(mt: Array, v: Array, out: Array) -> None:
    """Add M v to out; M arrives transposed."""
    for j in range(mt.shape[0]):
        vj = v[j]
        for i in range(mt.shape[1]):
            out[i] += mt[j, i] * vj

"""What all loops over lanes share: states that move between lanes and blocks."""

from __future__ import annotations

from statespace.arrays import Array
from statespace.cpu.compile import compiled


@compiled
def carry(power: Array, which: Array, v: Array, x: Array) -> None:
    """x[:, j + 1] = A^S x[:, j] + v[:, j]: the start of each block from that of the one before.

    power (systems, n, n) is A^S, v (rows, blocks, n) what each block makes from zero; x (rows, blocks + 1, n) begins
    with the state before the first block and is filled.
    """
    for r in range(v.shape[0]):
        a = power[which[r]]
        for j in range(v.shape[1]):
            for i in range(v.shape[2]):
                total = v[r, j, i]
                for k in range(v.shape[2]):
                    total += a[i, k] * x[r, j, k]
                x[r, j + 1, i] = total

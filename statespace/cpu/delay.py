"""Delay lines: an FIR filter as n products a sample, the state the last n inputs."""

from __future__ import annotations

from statespace.arrays import Array
from statespace.cpu.compile import compiled


@compiled
def delay_steps(taps: Array, which: Array, padded: Array, y: Array) -> None:
    """y_k = Σ_j taps[j] u_{k−j}; padded (rows, n + L) begins with the state, oldest input first."""
    n = taps.shape[1] - 1
    for r in range(y.shape[0]):
        s = which[r]
        for k in range(y.shape[1]):
            total = padded[r, k + n] * taps[s, 0]
            for j in range(1, n + 1):
                total += taps[s, j] * padded[r, k + n - j]
            y[r, k] = total

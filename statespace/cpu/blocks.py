"""What a Mamba block does between its matrix products: the short convolution, gates, and one step of its scan.

A row is one sample of one sequence. Rows are worked on in a buffer of full vectors, which stays in the cache; its last
lanes, beyond the channels, are never written out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array
from statespace.cpu.compile import compiled, inlined
from statespace.cpu.discretize import load_vector
from statespace.cpu.functions import LOG2_E, exponential, logistic, not_too_low, softplus
from statespace.cpu.simd import add, fma, lanes_of, mul, number, store
from statespace.cpu.tiles import aligned


@compiled
def vectors_of(count: int, like: Array) -> Array:
    """Room for so many numbers in full vectors, zero."""
    lanes = lanes_of(like)
    return aligned(-(-count // lanes) * lanes, like)


@inlined
def _silu(x: Any) -> Any:
    # x/(1 + e^−x)
    x = not_too_low(x)
    return mul(x, logistic(x))


@compiled
def _gates(buffer: Array) -> None:
    for i in range(buffer.size // lanes_of(buffer)):
        store(buffer, i * lanes_of(buffer), _silu(load_vector(buffer, i)))


@compiled
def _weigh(total: Array, weights: Array, x: Array) -> None:
    for c in range(weights.size):
        total[c] += weights[c] * x[c]


@compiled
def convolve_rows(
    first: int, last: int, span: int, x: Array, begin: int, state: Array, taps: Array, bias: Array, y: Array,
    gated: bool,
) -> None:  # fmt: skip
    """Convolve every channel with taps of its own, y (rows, L, c); units are pieces of ``span`` samples, row after row.

    The signal is x[:, :, begin:begin + c], the k − 1 samples before it are state (rows, k − 1, c); taps (k, c).
    """
    k, count, channels = len(taps), y.shape[1], y.shape[2]
    pieces = -(-count // span)
    total = vectors_of(channels, y)
    for unit in range(first, last):
        r = unit // pieces
        start = unit % pieces * span
        for t in range(start, min(start + span, count)):
            # y_t = bias + Σ_j taps[j] x_{t − k + 1 + j}, and y ← y/(1 + e^−y)
            total[:channels] = bias
            for j in range(k):
                s = t - k + 1 + j
                if s < 0:
                    _weigh(total, taps[j], state[r, s + k - 1])
                else:
                    _weigh(total, taps[j], x[r, s, begin : begin + channels])
            if gated:
                _gates(total)
            y[r, t] = total[:channels]


@compiled
def convolve_steps(
    first: int, last: int, x: Array, begin: int, state: Array, taps: Array, bias: Array, y: Array, after: Array
) -> None:  # fmt: skip
    """One sample of `convolve_rows`, gated, x (rows, w) and y (rows, c), which leaves its last inputs in ``after``."""
    k, channels = taps.shape
    total = vectors_of(channels, y)
    for r in range(first, last):
        now = x[r, begin : begin + channels]
        total[:channels] = bias
        for j in range(k - 1):
            _weigh(total, taps[j], state[r, j])
        _weigh(total, taps[k - 1], now)
        _gates(total)
        y[r] = total[:channels]
        for j in range(k - 2):
            after[r, j] = state[r, j + 1]
        if k > 1:
            after[r, k - 2] = now


@compiled
def normalize_rows(
    first: int, last: int, x: Array, weight: Array, epsilon: float, groups: int, y: Array
) -> None:  # fmt: skip
    """Write w x/√(mean x² + ε) of rows (rows, c) to y, the mean over each of so many groups of channels."""
    count = x.shape[1] // groups
    part, squares = vectors_of(count, y), vectors_of(1, y)
    for r in range(first, last):
        for begin in range(0, groups * count, count):
            part[:count] = x[r, begin : begin + count]
            total = number(load_vector(part, 0), 0.0)
            for i in range(part.size // lanes_of(part)):
                total = fma(load_vector(part, i), load_vector(part, i), total)
            store(squares, 0, total)
            scale = y.dtype.type(1 / np.sqrt(squares.sum() / count + epsilon))
            for c in range(count):
                y[r, begin + c] = part[c] * scale * weight[begin + c]


@compiled
def gate_rows(first: int, last: int, y: Array, z: Array, begin: int) -> None:
    """Multiply y (rows, c) by the gate z/(1 + e^−z) of z[:, begin:begin + c]."""
    channels = y.shape[1]
    gate = vectors_of(channels, y)
    for r in range(first, last):
        gate[:channels] = z[r, begin : begin + channels]
        _gates(gate)
        _multiply(y[r], gate)


@compiled
def _multiply(y: Array, gate: Array) -> None:
    for c in range(y.size):
        y[c] *= gate[c]


@compiled
def selective_steps(
    first: int, last: int, u: Array, delta: Array, xz: Array, levels: Array, begin: int, a: Array, direct: Array,
    bias: Array, before: Array, x: Array, y: Array,
) -> None:  # fmt: skip
    """Advance the states of a Mamba-1 block by one sample, x from ``before`` (rows, n, d), and write y (rows, d).

    a is (n, d), B and C are levels[:, begin:begin + n] and the n columns after, the gate z the last d columns of xz.
    """
    n, d = a.shape
    dt, gate, alpha, drive = vectors_of(d, y), vectors_of(d, y), vectors_of(d, y), vectors_of(d, y)
    for r in range(first, last):
        for c in range(d):
            dt[c] = delta[r, c] + bias[c]
        gate[:d] = xz[r, d:]
        for i in range(dt.size // lanes_of(dt)):
            store(dt, i * lanes_of(dt), softplus(load_vector(dt, i)))
        _gates(gate)
        # x_k = e^{ΔA} x_{k−1} + Δ B u        y = (C x_k + D u) z/(1 + e^−z)
        for c in range(d):
            drive[c] = dt[c] * u[r, c]
            y[r, c] = direct[c] * u[r, c]
        for i in range(n):
            _decays(alpha, dt, a[i])
            _advance(before[r, i], x[r, i], alpha, drive, levels[r, begin + i], levels[r, begin + n + i], y[r])
        _multiply(y[r], gate)


@compiled
def _decays(alpha: Array, dt: Array, a: Array) -> None:
    for c in range(a.size):
        alpha[c] = dt[c] * a[c]
    for i in range(alpha.size // lanes_of(alpha)):
        s, f = exponential(mul(load_vector(alpha, i), number(load_vector(alpha, i), LOG2_E)))
        store(alpha, i * lanes_of(alpha), add(s, f))


@compiled
def _advance(before: Array, x: Array, alpha: Array, drive: Array, b: float, c: float, y: Array) -> None:
    for i in range(x.size):
        x[i] = alpha[i] * before[i] + drive[i] * b
        y[i] += c * x[i]

"""Sums of powers of poles: the kernel of a diagonal system as one matrix product for each system.

K_l = Σ_n w_n λ_n^l with l = jM + i is (w_n λ_n^{jM}) times (λ_n^i): J block starts by M steps, both tables of
powers right to the last digit, whatever the angle (`cpu.powers`). No array of modes × samples is ever made.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from statespace.arrays import Array, library_of, on_device

_GROUP = 2**18  # complex numbers in the tables of the systems that are done together: 4 MB


def fill_power_sums(poles: Array, weights: Array, sums: Array, *, pairs: bool = False) -> None:
    """Fill sums (systems, r, length) with K_l = Σ_n w_n λ_n^l of poles (systems, n) and weights (systems, r, n).

    With ``pairs`` the sum is 2·Re(Σ …). 0⁰ = 1: a pole at 0 is a mode that is gone after one sample.
    """
    systems, rows, length = sums.shape
    if not sums.size:
        return
    step = 2 ** math.ceil(math.log2(length) / 2)
    blocks = -(-length // step)
    group = max(1, _GROUP // (poles.shape[-1] * (step + blocks * (1 + rows)) or 1))
    for first in range(0, systems, group):
        part = slice(first, first + group)
        left, right = _factors(poles[part], weights[part], step, blocks, pairs=pairs)
        if on_device(sums):
            _fill_on_device(left, right, sums[part])
            continue
        for k in range(len(left)):
            sums[first + k] = (left[k] @ right[k]).reshape(rows, -1)[:, :length]


def _fill_on_device(left: Array, right: Array, sums: Any) -> None:
    """The same products where sums (systems, r, length) live on a device: tables from the host, all systems at once."""
    xp, (systems, rows, length) = library_of(sums), sums.shape
    products = xp.matmul(*(xp.asarray(np.ascontiguousarray(table)) for table in (left, right)))
    sums[...] = products.reshape(systems, rows, -1)[..., :length]


def _factors(poles: Array, weights: Array, step: int, blocks: int, *, pairs: bool) -> tuple[Array, Array]:
    """(w λ^{jM}) as (systems, r·J, n) and λ^i as (systems, n, M); real ones of twice the modes for pairs."""
    inner, start = power_table(in_two_doubles(poles), step)
    outer, _ = power_table(start, blocks)
    left = (weights[..., None] * outer[:, None]).swapaxes(-1, -2)  # (systems, r, J, n)
    left = left.reshape(len(poles), -1, poles.shape[-1])
    if pairs:  # 2·Re(a b) = 2 Re a Re b − 2 Im a Im b
        return np.concatenate([2 * left.real, -2 * left.imag], axis=-1), np.concatenate([inner.real, inner.imag], -2)
    if poles.dtype.kind == weights.dtype.kind == "f":
        return left.real, inner.real
    return left, inner


def in_two_doubles(poles: Array) -> Array:
    """(re, 0, im, 0) of each pole, (..., 4)."""
    zero = np.zeros(poles.shape)
    return np.stack([poles.real, zero, poles.imag, zero], axis=-1)


def power_table(base: Array, count: int) -> tuple[Array, Array]:
    """λ⁰ … λ^{count−1} along a new last axis, (..., count), and λ^count, of λ in two doubles, (..., 4)."""
    from statespace.cpu import powers

    last = np.array(base, dtype=np.float64).reshape(-1, 4)
    table = np.empty((len(last), count), np.complex128)
    powers(last, table)
    return table.reshape(*base.shape[:-1], count), last.reshape(base.shape)


def power(poles: Array, exponent: int) -> Array:
    """λ^exponent, rounded once; real where the poles are."""
    _, last = power_table(in_two_doubles(poles), exponent)
    value = last[..., 0] + 1j * last[..., 2]
    return value if poles.dtype.kind == "c" else value.real

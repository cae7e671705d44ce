"""Angles that add up over time, and the pairs of B and C that they turn: the complex states of Mamba-3, in reals.

θ_t = θ_{t−1} + φ_t mod 2π        (b_{2i}, b_{2i+1}) → (b_{2i} cos θ − b_{2i+1} sin θ, b_{2i} sin θ + b_{2i+1} cos θ)

Turning B and C instead of the state is the same: C·B sees only differences of angles (A. Lahoti et al., "Mamba-3",
2026, section 3.2; J. Su et al., "RoFormer", 2021). Sums are double and reduced every block, so that they stay small.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from statespace.arrays import Array, library_of

BLOCK = 64  # samples that are summed before the sum is reduced
_TURN = 2.0 * np.pi
# 2π in two parts, the first of 24 bits: a number of turns times it is exact. In one double a million turns lose 1e-9.
_TURN_HIGH = float(np.float32(_TURN))
_TURN_LOW = (_TURN - _TURN_HIGH) + 2.4492935982947064e-16  # what 2π has more than _TURN


def cumulate(angles: Array, start: Array, reset: Array | None) -> Array:
    """θ (..., L, h, s) from the angle of each step and θ before the first, which resets put back to 0."""
    length = angles.shape[-3]
    shapes = [angles.shape[:-3], start.shape[:-2]] + ([] if reset is None else [reset.shape[:-1]])
    xp = library_of(angles)
    theta = xp.empty((*np.broadcast_shapes(*shapes), *angles.shape[-3:]))
    before = start
    # θ_i = Σ_{j ≤ i, same sequence} φ_j, + θ_before in the sequence that was running
    for part, heard, runs in _blocks(length, reset, xp):
        sums = heard @ _flat(_reduced(angles[..., part, :, :]))
        own = _reduced(sums).reshape(*sums.shape[:-1], *angles.shape[-2:])
        theta[..., part, :, :] = _reduced(own + runs[..., None, None] * before[..., None, :, :])
        before = theta[..., part.stop - 1, :, :]
    return theta


def cumulate_back(grad: Array, reset: Array | None) -> tuple[Array, Array]:
    """The gradients of the angles and of θ before the first, from that of θ."""
    xp = library_of(grad)
    back = xp.empty_like(grad)
    after = xp.zeros((*grad.shape[:-3], *grad.shape[-2:]))
    # φ̄_j = Σ_{i ≥ j, same sequence} θ̄_i
    for part, heard, runs in reversed(list(_blocks(grad.shape[-3], reset, xp))):
        seen = xp.array(grad[..., part, :, :])
        seen[..., -1, :, :] += after
        sums = heard.swapaxes(-1, -2) @ _flat(seen)
        back[..., part, :, :] = sums.reshape(seen.shape)
        after = (runs[..., None, None] * seen).sum(axis=-3)
    return back, after


def _blocks(length: int, reset: Array | None, xp: Any) -> Iterator[tuple[slice, Array, Array]]:
    """Slices of time, which sample of one is heard at which, and at which what ran before it goes on, as 0 and 1."""
    for k in range(0, length, BLOCK):
        part = slice(k, min(k + BLOCK, length))
        q = part.stop - k
        if reset is None:
            yield part, xp.tri(q), xp.ones(q)
            continue
        begun = xp.cumsum(reset[..., part], axis=-1)
        yield part, xp.tri(q) * (begun[..., :, None] == begun[..., None, :]), (begun == 0).astype(np.float64)


def _flat(angles: Array) -> Array:
    return angles.reshape(*angles.shape[:-2], angles.shape[-2] * angles.shape[-1])


def _reduced(theta: Array) -> Array:
    """Modulo 2π, between −π and π."""
    turns = library_of(theta).rint(theta / _TURN)
    return theta - turns * _TURN_HIGH - turns * _TURN_LOW


def rotate(b: Array, theta: Array) -> Array:
    """Turn the pairs of b (..., L or 1, g, n) by θ (..., L, h, s): (..., L, h, n)."""
    b = _each_head(b, theta.shape[-2])
    s = theta.shape[-1]
    shape = (*np.broadcast_shapes(b.shape[:-1], theta.shape[:-1]), b.shape[-1])
    xp = library_of(b)
    cosine, sine = xp.cos(theta).astype(b.dtype), xp.sin(theta).astype(b.dtype)
    even, odd = b[..., 0 : 2 * s : 2], b[..., 1 : 2 * s : 2]
    turned = xp.empty(shape, b.dtype)
    turned[..., 0 : 2 * s : 2] = even * cosine - odd * sine
    turned[..., 1 : 2 * s : 2] = even * sine + odd * cosine
    turned[..., 2 * s :] = b[..., 2 * s :]
    return turned


def rotate_back(turned: Array, grad: Array, theta: Array, g: int) -> tuple[Array, Array]:
    """The gradients of b, (..., L, g, n), and of θ, from what `rotate` gave and its gradient."""
    s = theta.shape[-1]
    by_angle = grad[..., 1 : 2 * s : 2] * turned[..., 0 : 2 * s : 2]
    by_angle = by_angle - grad[..., 0 : 2 * s : 2] * turned[..., 1 : 2 * s : 2]
    back = rotate(grad, -theta)
    *outer, h, n = back.shape
    return back.reshape(*outer, g, h // g, n).sum(axis=-2), by_angle


def _each_head(b: Array, h: int) -> Array:
    g = b.shape[-2]
    return b if g == h else library_of(b).repeat(b, h // g, axis=-2)

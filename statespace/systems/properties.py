"""What follows from a system's matrices: its dense realization, transfer matrix and zeros."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from statespace.arrays import Array
from statespace.structure import Cascade, Diagonal, knows_poles
from statespace.structure.matrices import invariant_zeros, is_singular, transfer_at_pole

if TYPE_CHECKING:
    from statespace.systems.types import _System


def realization(system: _System) -> tuple[Array, Array, Array, Array]:
    """Four plain arrays of the same system, a real one where conjugate pairs are stored once."""
    a = np.asarray(system.A)
    if not system.stores_pairs:
        return a, system.B, system.C, system.D
    b = np.stack([system.B.real, system.B.imag], axis=-2)  # (..., n, 2, m)
    c = 2.0 * np.stack([system.C.real, -system.C.imag], axis=-1)  # 2·Re(C x), (..., p, n, 2)
    n = system.state_size
    b = b.reshape(*b.shape[:-3], 2 * n, b.shape[-1])
    return a, b, c.reshape(*c.shape[:-2], 2 * n), system.D


def transfer(system: _System, s: Array) -> Array:
    """C (s − A)⁻¹ B + D, (..., p, m), for s whose axes broadcast with the batch axes."""
    if isinstance(system.A, Cascade):
        return system.A.transfer(s)[..., None, None]
    a, b, c = system.A, system.B, system.C
    if system.stores_pairs:  # both members of each pair, so that s may be complex
        b, c = np.concatenate([b, b.conj()], axis=-2), np.concatenate([c, c.conj()], axis=-1)
        a = Diagonal(a.poles)
    try:
        with np.errstate(invalid="ignore", over="ignore"):
            h = c @ a.resolvent(s, b) + system.D
    except np.linalg.LinAlgError:
        h = np.full((*np.broadcast_shapes(s.shape, system.batch_shape), *system.D.shape[-2:]), np.nan + 0j)
    return h if np.isfinite(h).all() else _at_poles(h, system, s)


def _at_poles(h: Array, system: _System, s: Array) -> Array:
    """Evaluate one by one the points that are poles, where a matrix cannot be inverted."""
    parts = realization(system)
    h = np.array(np.broadcast_to(h, np.broadcast_shapes(h.shape[:-2], system.batch_shape) + h.shape[-2:]))
    batch = h.shape[:-2]
    points = np.broadcast_to(s, batch)
    a, b, c, d = (np.broadcast_to(part, batch + part.shape[-2:]) for part in parts)
    for i in np.ndindex(batch):
        if not np.isfinite(h[i]).all():
            m = points[i] * np.eye(a.shape[-1]) - a[i]
            try:
                h[i] = c[i] @ np.linalg.solve(m, b[i]) + d[i]
            except np.linalg.LinAlgError:
                h[i] = transfer_at_pole(m, b[i], c[i]) + d[i]
    return h


def dc_gain(system: _System, point: float) -> Array:
    """Transfer matrix at zero frequency, also where rounding hides that the matrix is singular there."""
    h = np.array(transfer(system, np.full((1,) * len(system.batch_shape), point, complex)))
    if not knows_poles(system.A):
        a, b, c, d = (np.broadcast_to(m, h.shape[:-2] + m.shape[-2:]) for m in realization(system))
        matrices = point * np.eye(a.shape[-1]) - a
        singular = is_singular(matrices)
        for i in np.ndindex(singular.shape):
            h[i] = transfer_at_pole(matrices[i], b[i], c[i]) + d[i] if singular[i] else h[i]
    return h


def zeros(system: _System) -> Array:
    """Finite zeros of one system; those of a batch filled up with inf to the same number."""
    if isinstance(system.A, Cascade):
        z = system.A.zeros
        return z[np.isfinite(z)] if z.ndim == 1 else np.sort(z, axis=-1)
    batch = system.batch_shape
    a, b, c, d = (np.broadcast_to(m, batch + m.shape[-2:]) for m in realization(system))
    each = [invariant_zeros(a[i], b[i], c[i], d[i]) for i in np.ndindex(batch)]
    most = max((len(z) for z in each), default=0)
    filled = [np.concatenate([z, np.full(most - len(z), complex(np.inf))]) for z in each]
    return np.array(filled, complex).reshape(*batch, most)

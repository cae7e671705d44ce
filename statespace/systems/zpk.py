"""Zeros, poles and gain of any single-input single-output system, and its sections."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from statespace.arrays import PROMISED, Array, warn_of_loss
from statespace.structure import Cascade
from statespace.structure.cascade import in_sections
from statespace.structure.pairing import axis_points, cascade_of, is_clear
from statespace.systems.properties import transfer, zeros

if TYPE_CHECKING:
    from statespace.systems.types import _System

_GOOD = 1e-13  # of the peak: what zeros of a well-conditioned matrix reproduce


def zpk(system: _System, what: str) -> tuple[Array, Array, Array]:
    """Zeros (..., nz), poles (..., n) and gain (...); warns, as ``what``, where they miss the response.

    A batch needs as many finite zeros in every system.
    """
    batch, z, p = system.batch_shape, zeros(system), system.poles
    if not np.isfinite(z).all():
        counts = sorted(set(np.isfinite(z).sum(-1).ravel().tolist()))
        raise ValueError(
            f"the systems of this batch have different numbers of zeros, {counts}; convert them one at a time"
        )
    z = np.broadcast_to(z, (*batch, z.shape[-1]))
    if isinstance(system.A, Cascade):
        k = system.A.gain
    elif system.n_states == 0:
        k = system.D[..., 0, 0]
    else:
        z, k = _computed(system, z, p, what)
    return z, p, np.broadcast_to(k if system.is_complex else k.real, batch)


def cascade_form(system: _System, what: str) -> Cascade | None:
    """Sections of the system; None for one without states."""
    if isinstance(system.A, Cascade) or system.n_states == 0:
        return system.A if system.n_states else None
    return cascade_of(*zpk(system, what), discrete=hasattr(system, "dt"))


def _computed(system: _System, z: Array, p: Array, what: str) -> tuple[Array, Array]:
    """Zeros and gain, of each system those that reproduce its response best: of the pencil or of a fit."""
    points = _points(system, z, p)  # (..., points)
    h = np.moveaxis(transfer(system, np.moveaxis(points, -1, 0))[..., 0, 0], 0, -1)
    found = []
    for i in np.ndindex(p.shape[:-1]):
        # Eigenvalues of a dense matrix miss a double integrator by 1e-8.
        known = np.isfinite(h[i]) & is_clear(points[i], p[i], discrete=hasattr(system, "dt"), margin=1e-6)
        s, value = points[i][known], h[i][known]
        found.append(_best(s, value, z[i], p[i], _degree(system, z), real=not system.is_complex))
    worst = max((error for *_, error in found), default=0.0)
    if worst > PROMISED:
        warn_of_loss(
            f"{what}: poles and zeros computed from this system's matrices reproduce its response to {worst:.0e} "
            "of its peak only; build it from poles and zeros (from_zpk), which are kept"
        )
    z = np.array([zeros for zeros, *_ in found]).reshape(*p.shape[:-1], -1)
    return z, np.array([gain for _, gain, _ in found]).reshape(p.shape[:-1])


def _degree(system: _System, z: Array) -> int:
    """Of the numerator to fit: the pencil of one system may have lost zeros; those of a batch must agree."""
    if system.batch_shape:
        return z.shape[-1]
    return system.n_states - int(not np.any(system.D))


def _best(s: Array, h: Array, z: Array, p: Array, degree: int, *, real: bool) -> tuple[Array, complex, float]:
    """Zeros, gain and error of one system."""
    k, error = _gain(s, h, z, p)
    if error > _GOOD:
        fitted = _fitted(s, h, p, degree, real=real)
        gain, smaller = _gain(s, h, fitted, p)
        if len(fitted) == degree and smaller < error:
            return fitted, gain, smaller
    return z, k, error


def _points(system: _System, z: Array, p: Array) -> Array:
    """Points of the frequency axis, near the poles and all along it, (..., points)."""
    batch, n = p.shape[:-1], p.shape[-1]
    z = np.concatenate([z, np.full((*batch, n - z.shape[-1]), complex(np.inf))], axis=-1)
    near = axis_points(in_sections(p, np.inf), in_sections(z, np.inf), discrete=hasattr(system, "dt"))
    angles = np.linspace(-np.pi, np.pi, 4 * n + 2)[1:-1]
    along = np.exp(1j * angles) if hasattr(system, "dt") else 1j * _scale(p)[..., None] * np.tan(angles / 2)
    return np.concatenate([near.reshape(*batch, -1), np.broadcast_to(along, (*batch, 4 * n))], axis=-1)


def _scale(p: Array) -> Array:
    """Geometric mean of the poles that are not 0."""
    size = np.where(p == 0, 1.0, np.abs(p))
    return np.asarray(np.exp(np.log(size).sum(-1) / np.maximum((p != 0).sum(-1), 1)))


def _gain(s: Array, h: Array, z: Array, p: Array) -> tuple[complex, float]:
    """The k that fits k Π(s − z)/Π(s − p) to h by least squares, and its error relative to the peak of h."""
    g = np.ones(s.shape, complex)
    for j in range(len(p)):  # one zero with one pole: the products alone could overflow
        g *= (s - z[j] if j < len(z) else 1.0) / (s - p[j])
    size, peak = np.abs(g).max(initial=0.0), np.abs(h).max(initial=0.0)
    if size == 0 or peak == 0:
        return 0.0, 0.0
    k = np.vdot(g / size, h) / np.vdot(g / size, g / size).real / size
    return k, float(np.abs(k * g - h).max() / peak)


def _fitted(s: Array, h: Array, p: Array, degree: int, *, real: bool) -> Array:
    """Zeros of the polynomial N of a degree for which N(s)/Π(s − p) fits h best.

    Of a filter of high order in block-triangular form the pencil, which is known in its norm only, has zeros that miss
    the response by 2e-7 (order 20 by zoh, ten samples a period); N fits it to 1e-14. For narrow band-passes the pencil
    is better.
    """
    scale = _scale(p)
    x, roots = s / scale, p / scale
    columns = x[:, None] ** np.arange(degree + 1) / (x[:, None] - roots).prod(axis=-1, keepdims=True)
    if real:
        columns, h = np.concatenate([columns.real, columns.imag]), np.concatenate([h.real, h.imag])
    length = np.linalg.norm(columns, axis=0)
    coefficients = np.linalg.lstsq(columns / length, h, rcond=1e-16)[0] / length
    return np.asarray(np.roots(coefficients[::-1]) * scale, complex)

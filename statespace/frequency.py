"""Floor 3: the frequency response, always from the resolvent, never through polynomials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from statespace.arrays import Array, as_numbers
from statespace.systems import ContinuousSystem, DiscreteSystem
from statespace.systems.properties import transfer

_AT_A_TIME = 2**21  # complex numbers in the matrices of one batch of frequencies: 32 MB


@dataclass(frozen=True, eq=False)
class FrequencyResponse:
    """Transfer matrix along the frequency axis. Unpacks as ``omega, H = response``.

    Attributes
    ----------
    omega : ndarray, (F,)
        Angular frequency in rad per unit of time.
    H : ndarray, (..., F, p, m)
        Complex response; (F,) for one system with one input and one output.
    system : ContinuousSystem or DiscreteSystem
        The system it belongs to.

    Examples
    --------
    >>> import statespace as ss
    >>> omega, H = ss.frequency_response(ss.from_zpk([], [-1.0], 1.0), [0.0, 1.0])
    >>> H
    array([1. +0.j , 0.5-0.5j])
    """

    omega: Array
    H: Array
    system: Any

    def __iter__(self) -> Iterator[Array]:
        return iter((self.omega, self.H))

    def __repr__(self) -> str:
        return f"<FrequencyResponse: H {self.H.shape}, ω in rad/{self.system.time_unit}>"


def frequency_response(system: ContinuousSystem | DiscreteSystem, omega: Any = None) -> FrequencyResponse:
    """Evaluate H(jω) of a continuous or H(e^{jωΔ}) of a discrete system.

    Parameters
    ----------
    system : ContinuousSystem or DiscreteSystem
    omega : array_like, (F,), optional
        Angular frequencies in rad per unit of time; 500 of them around the poles and zeros when omitted,
        up to Nyquist for a discrete system. In Hz: omega = 2π f.

    Returns
    -------
    FrequencyResponse
        ``omega, H = response``. On a pole H is inf.

    Raises
    ------
    ValueError
        omega is not one row of finite real numbers.
    TypeError
        The first argument is not a system.

    References
    ----------
    A. J. Laub, "Efficient multivariable frequency response computations", IEEE Trans. Autom. Control 26
    (1981), section II.

    Examples
    --------
    >>> import statespace as ss
    >>> spring = ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]])
    >>> abs(ss.frequency_response(spring, [0.0, 2.0]).H).round(3)
    array([0.25, 1.25])
    """
    if not isinstance(system, (ContinuousSystem, DiscreteSystem)):
        raise TypeError(f"frequency_response needs a ContinuousSystem or DiscreteSystem, got {type(system).__name__}")
    w = _default_omega(system) if omega is None else _checked(omega)
    return FrequencyResponse(w, _along(system, w), system)


def _along(system: Any, w: Array, right: float = 0.0) -> Array:
    """H at the frequencies w, or to the right of the frequency axis by a part of them."""
    column = w.reshape(-1, *(1,) * len(system.batch_shape))
    s = 1j * column + right * np.abs(column)
    if isinstance(system, DiscreteSystem):
        s = np.exp(1j * column * system.dt + right * np.minimum(np.abs(column) * system.dt, np.pi))
    each = max(1, _AT_A_TIME // max(1, system.n_states**2 * int(np.prod(system.batch_shape))))
    parts = [transfer(system, s[i : i + each]) for i in range(0, max(len(s), 1), each)]
    h = np.concatenate([np.broadcast_to(x, (len(x), *system.batch_shape, *x.shape[-2:])) for x in parts])
    h = np.moveaxis(h, 0, len(system.batch_shape)).astype(complex)
    return h[..., 0, 0] if system.is_siso else h


def unwrapped_phase(response: FrequencyResponse) -> Array:
    """Angle of H in radians, of the shape of H, without jumps along increasing frequency; nan where H is 0 or infinite.

    At a pole or zero on the frequency axis it jumps by half a turn, and rounding alone would decide which way. They are
    passed on the right, as those are whose damping goes to 0: −180° at a pole, +180° at a zero of one input and output.
    """
    axis = 0 if response.H.ndim == 1 else -3
    path = np.union1d(response.omega, _around_undamped(response))
    beside = np.moveaxis(_along(response.system, path, right=1e-7), axis, -1)
    h, at = np.moveaxis(response.H, axis, -1), np.searchsorted(path, response.omega)
    phase = np.full(h.shape, np.nan)
    for i in np.ndindex(h.shape[:-1]):
        turned, passed = np.zeros(path.shape), np.isfinite(beside[i]) & (beside[i] != 0)
        turned[passed] = np.unwrap(np.angle(beside[i][passed]))
        known = np.isfinite(h[i]) & (h[i] != 0) & passed[at]
        angle = np.angle(h[i][known])
        phase[(*i, known)] = angle + 2 * np.pi * np.round((turned[at][known] - angle) / (2 * np.pi))
    return np.moveaxis(phase, -1, axis)


def _around_undamped(response: FrequencyResponse) -> Array:
    """Frequencies so close around each pole and zero on the axis that the angle beside it can be followed."""
    system, omega = response.system, response.omega
    roots = np.concatenate([system.poles.ravel(), system.zeros.ravel() if system.is_siso else np.zeros(0)])
    if isinstance(system, DiscreteSystem):
        roots = np.unique(np.log(roots[roots != 0]) / np.ravel(system.dt)[:, None])
    roots = roots[np.isfinite(roots) & (np.abs(roots.real) <= 1e-6 * np.abs(roots))]
    apart = np.concatenate([[0.0], np.geomspace(1e-8, 1e-2, 25)])
    around = np.outer(roots.imag, np.concatenate([1 - apart, 1 + apart])).ravel()
    inside = (around > omega.min(initial=np.inf)) & (around < omega.max(initial=-np.inf))
    return np.asarray(around[inside])


def _checked(omega: Any) -> Array:
    w = np.atleast_1d(as_numbers(omega, "omega"))
    if w.ndim != 1 or w.dtype.kind == "c" or not np.isfinite(w).all():
        raise ValueError(f"omega must be one row of finite real numbers, got shape {w.shape} and dtype {w.dtype}")
    return w.astype(np.float64)


def _default_omega(system: ContinuousSystem | DiscreteSystem) -> Array:
    """Two decades around the finite, non-zero poles and zeros, and the resonances themselves."""
    roots = np.concatenate([system.poles.ravel(), system.zeros.ravel()])
    if isinstance(system, DiscreteSystem):
        step = float(np.max(system.dt))
        roots = roots[np.isfinite(roots) & (np.abs(roots) > 1e-3)]
        roots = np.log(roots + 0j) / step
        top = np.pi / step
    else:
        top = np.inf
    sizes = np.abs(roots)[np.isfinite(roots) & (np.abs(roots) > 0)]
    sizes = sizes[sizes < top] if np.any(sizes < top) else np.array([min(top, 1.0)])
    low, high = sizes.min() / 100, min(sizes.max() * 100, top)
    peaks = np.abs(roots.imag[np.isfinite(roots)])
    grid = np.geomspace(low, high, 500)
    return np.unique(np.concatenate([grid, peaks[(peaks > low) & (peaks < high)]]))

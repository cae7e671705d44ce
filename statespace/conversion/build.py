"""From poles and zeros, coefficients or biquads to a system.

Everything becomes a `Cascade`: sections of one or two poles, each scaled to unit peak gain, never a
companion form. The poles that come in are the poles that stay.
"""

from __future__ import annotations

from typing import Any, overload

import numpy as np

from statespace.arrays import PROMISED, Array, as_coefficients, as_step, shorten, warn_of_loss
from statespace.conversion.polynomials import (
    as_polynomial,
    improper,
    roots_of,
    section_roots,
    warn_of_coefficients,
    without_leading_zeros,
)
from statespace.structure import Cascade, DelayLine
from statespace.structure.pairing import amplification, cascade_of, ordered_sections, scaled_sections
from statespace.systems import ContinuousSystem, DiscreteSystem, series


class _Required:
    """Stands for an argument that must be written out."""

    def __repr__(self) -> str:
        return "<required>"


_REQUIRED: Any = _Required()
_LONGER = 16  # coefficients that b may have more than a and still be made of sections
_MANY = 10  # sections, of which fewer cannot lose much


@overload
def from_zpk(z: Any, p: Any, k: Any, *, dt: None = None, fs: None = None, time_unit: str = "s") -> ContinuousSystem: ...
@overload
def from_zpk(z: Any, p: Any, k: Any, *, dt: Any, fs: None = None, time_unit: str = "s") -> DiscreteSystem: ...
@overload
def from_zpk(z: Any, p: Any, k: Any, *, dt: None = None, fs: Any, time_unit: str = "s") -> DiscreteSystem: ...
def from_zpk(
    z: Any, p: Any, k: Any, *, dt: Any = None, fs: Any = None, time_unit: str = "s"
) -> ContinuousSystem | DiscreteSystem:
    """Build a system from zeros, poles and gain: k Π(s − z)/Π(s − p).

    Parameters
    ----------
    z, p : array_like, (..., nz) and (..., np)
        Zeros and poles, in rad per unit of time (continuous) or in the z-plane (discrete). When every
        complex one has its conjugate, to 1e-10, the system is real and the pair made exact. Batch axes lead.
    k : float or array_like, (...)
        Gain.
    dt, fs : float, optional
        Step or sampling rate of a discrete system; continuous without either.
    time_unit : str
        Name of the unit of time.

    Returns
    -------
    ContinuousSystem or DiscreteSystem
        A Cascade, one input, one output; sections ordered from the best to the least damped.
        Without poles: a static gain, which has no states.

    Raises
    ------
    ValueError
        More zeros than poles (improper), or a value is not finite.

    Warns
    -----
    AccuracyWarning
        Running the sections loses more than 1e-10 of the peak, as with dozens of zeros far from all poles.

    References
    ----------
    A. V. Oppenheim, R. W. Schafer, *Discrete-Time Signal Processing*, 3rd ed., section 6.3.

    Examples
    --------
    >>> import statespace as ss
    >>> lowpass = ss.from_zpk([], [-3 + 4j, -3 - 4j], 25.0)
    >>> lowpass.n_states, float(lowpass.dc_gain[0, 0])
    (2, 1.0)
    """
    zeros, poles, gain = as_coefficients(z, "z"), as_coefficients(p, "p"), as_coefficients(k, "k")
    if zeros.ndim < 1 or poles.ndim < 1:
        raise ValueError(
            f"z and p must have an axis, (..., nz) and (..., np), got {zeros.shape=}, {poles.shape=}; "
            "the order is zeros, poles, gain"
        )
    if gain.size == 0 or 0 in zeros.shape[:-1] + poles.shape[:-1]:
        raise ValueError(f"k must be a number, or one for each system of a batch, got {gain.shape=}, {zeros.shape=}")
    if zeros.shape[-1] > poles.shape[-1]:
        raise ValueError(improper(zeros.shape[-1], poles.shape[-1]))
    step = None if dt is None and fs is None else as_step(dt, fs, what="from_zpk")
    try:
        batch = np.broadcast_shapes(zeros.shape[:-1], poles.shape[:-1], gain.shape)
    except ValueError:
        shapes = f"z {zeros.shape[:-1]}, p {poles.shape[:-1]}, k {gain.shape}"
        raise ValueError(f"the batch axes do not broadcast, got {shapes}") from None
    zeros, poles = (np.broadcast_to(x, (*batch, x.shape[-1])).astype(complex) for x in (zeros, poles))
    gain = np.broadcast_to(gain, batch)
    cascade = cascade_of(zeros, poles, gain, discrete=step is not None) if poles.shape[-1] else None
    return _system(cascade, gain, step, time_unit)


@overload
def from_tf(num: Any, den: Any, *, dt: None = None, fs: None = None, time_unit: str = "s") -> ContinuousSystem: ...
@overload
def from_tf(num: Any, den: Any, *, dt: Any, fs: None = None, time_unit: str = "s") -> DiscreteSystem: ...
@overload
def from_tf(num: Any, den: Any, *, dt: None = None, fs: Any, time_unit: str = "s") -> DiscreteSystem: ...
def from_tf(
    num: Any, den: Any, *, dt: Any = None, fs: Any = None, time_unit: str = "s"
) -> ContinuousSystem | DiscreteSystem:
    """Build a system from a transfer function num/den in descending powers of s (or z).

    The polynomials are factored in scaled time and become a Cascade. Their roots are known only as well
    as the coefficients determine them; where poles and zeros are at hand, use `from_zpk`.

    Parameters
    ----------
    num, den : array_like, 1-D
        Coefficients, highest power first.
    dt, fs : float, optional
        Step or sampling rate of a discrete system; continuous without either.
    time_unit : str
        Name of the unit of time.

    Returns
    -------
    ContinuousSystem or DiscreteSystem

    Raises
    ------
    ValueError
        The transfer function is improper, den starts with 0 or is empty, or a value is not finite.

    Warns
    -----
    AccuracyWarning
        The coefficients do not fix the response to 1e-10 of its peak.

    References
    ----------
    T. Kailath, *Linear Systems*, Prentice-Hall 1980, section 2.1.

    Examples
    --------
    >>> import statespace as ss
    >>> ss.from_tf([1.0], [1.0, 0.4, 4.0]).poles.round(3)
    array([-0.2+1.99j, -0.2-1.99j])
    """
    step = None if dt is None and fs is None else as_step(dt, fs, what="from_tf")
    b, a = as_polynomial(num, "num"), as_polynomial(den, "den")
    if a[0] == 0:
        raise ValueError(f"den must start with its highest power, got a leading zero in {shorten(den)}; remove it")
    b = without_leading_zeros(b)
    if len(b) > len(a):
        raise ValueError(improper(len(b) - 1, len(a) - 1))
    gain = b[0] / a[0] if b.size else 0.0
    system: Any = from_zpk(roots_of(b), roots_of(a), gain, dt=step, time_unit=time_unit)
    warn_of_coefficients(b, a, system.A, discrete=step is not None, what="from_tf")
    return system


def from_ba(b: Any, a: Any, *, dt: Any = None, fs: Any = None, time_unit: str = "s") -> DiscreteSystem:
    """Build a digital filter from coefficients in powers of z⁻¹, as ``scipy.signal.lfilter`` takes them.

    Parameters
    ----------
    b, a : array_like, 1-D
        Numerator and denominator: a[0] y[k] = b[0] u[k] + b[1] u[k−1] + … − a[1] y[k−1] − …
    dt, fs : float
        Step or sampling rate; exactly one.
    time_unit : str
        Name of the unit of time.

    Returns
    -------
    DiscreteSystem
        A Cascade; without poles (FIR) a DelayLine with the taps as they are. Where b has over 16 coefficients more
        than a: the taps first and then the poles, as one dense system, since sections of so many zeros and so few
        poles would lose 1e-9 at 40 coefficients and everything at 100.

    Raises
    ------
    ValueError
        a starts with 0, a value is not finite, or dt and fs are given together or neither.

    Warns
    -----
    AccuracyWarning
        The coefficients do not fix the response to 1e-10 of its peak.

    References
    ----------
    A. V. Oppenheim, R. W. Schafer, *Discrete-Time Signal Processing*, 3rd ed., section 6.3.

    Examples
    --------
    >>> import statespace as ss
    >>> mean = ss.from_ba([0.25, 0.5, 0.25], [1.0], dt=1.0)
    >>> ss.impulse_response(mean, 4).y
    array([0.25, 0.5 , 0.25, 0.  ])
    """
    step = as_step(dt, fs, what="from_ba")
    num, den = as_polynomial(b, "b"), as_polynomial(a, "a")
    if den[0] == 0:
        raise ValueError(f"a[0] must not be 0, it multiplies y[k]; got a={shorten(a)}")
    num, den = (np.trim_zeros(x, "b") for x in (num, den))
    if len(den) == 1:
        return _fir(num / den[0], step, time_unit)
    if len(num) > len(den) + _LONGER:
        return series(_fir(num, step, time_unit), from_ba([1.0], den, dt=step, time_unit=time_unit))
    size = max(len(num), len(den))  # times z^(size − 1) both are polynomials in z
    num, den = (np.append(x, np.zeros(size - len(x))) for x in (num, den))
    lead = without_leading_zeros(num)
    gain = lead[0] / den[0] if lead.size else 0.0
    system = from_zpk(roots_of(lead), roots_of(den), gain, dt=step, time_unit=time_unit)
    warn_of_coefficients(lead, den, system.A, discrete=True, what="from_ba")
    return system


@overload
def from_sos(sos: Any, *, dt: None, fs: None = None, time_unit: str = "s") -> ContinuousSystem: ...
@overload
def from_sos(sos: Any, *, dt: Any, fs: None = None, time_unit: str = "s") -> DiscreteSystem: ...
@overload
def from_sos(sos: Any, *, fs: Any, time_unit: str = "s") -> DiscreteSystem: ...
def from_sos(
    sos: Any, *, dt: Any = _REQUIRED, fs: Any = None, time_unit: str = "s"
) -> ContinuousSystem | DiscreteSystem:
    """Build a filter from second-order sections, rows [b0, b1, b2, a0, a1, a2].

    Parameters
    ----------
    sos : array_like, (sections, 6)
        As ``scipy.signal.butter(..., output="sos")`` returns them.
    dt, fs : float
        Step or sampling rate. ``dt=None``, written out, means continuous time: the rows are then in
        descending powers of s.
    time_unit : str
        Name of the unit of time.

    Returns
    -------
    ContinuousSystem or DiscreteSystem
        A Cascade of the same sections in the same order; first-order ones are joined in twos at the end.

    Raises
    ------
    ValueError
        Neither dt nor fs is given, the shape is not (sections, 6), or a0 is 0 in discrete time.

    References
    ----------
    A. V. Oppenheim, R. W. Schafer, *Discrete-Time Signal Processing*, 3rd ed., section 6.3.2.

    Examples
    --------
    >>> import statespace as ss
    >>> smooth = ss.from_sos([[0.1, 0.0, 0.0, 1.0, -0.9, 0.0]], fs=10.0)
    >>> smooth.poles, smooth.dt
    (array([0.9+0.j]), 0.1)
    """
    if dt is _REQUIRED and fs is None:
        raise ValueError("from_sos needs dt= or fs=: sections are digital elsewhere; for analog ones write dt=None")
    analog = dt is None and fs is None
    step = None if analog else as_step(None if dt is _REQUIRED else dt, fs, what="from_sos")
    rows = as_coefficients(sos, "sos")
    if rows.ndim != 2 or rows.shape[1] != 6:
        raise ValueError(f"sos must have shape (sections, 6), got {rows.shape}")
    if not analog and np.any(rows[:, 3] == 0):
        raise ValueError("sos[:, 3] (a0) must not be 0 in discrete time, it multiplies y[k]")
    sections = [section_roots(row[:3], row[3:]) for row in rows]
    poles, zeros = ordered_sections([(p, z) for p, z, _ in sections])
    gain = np.asarray(np.prod([g for _, _, g in sections], initial=1.0))
    cascade = scaled_sections(poles, zeros, gain, discrete=not analog) if poles.size else None
    return _system(cascade, gain, step, time_unit)


# --------------------------------------------------------------- from sections to a system


def _system(cascade: Cascade | None, gain: Array, step: Any, time_unit: str) -> Any:
    """A system of a Cascade; without one a static gain, which has no states."""
    if cascade is None:
        empty = np.zeros((*gain.shape, 0, 1)), np.zeros((*gain.shape, 1, 0)), gain[..., None, None]
        matrices: tuple[Any, ...] = (np.zeros((*gain.shape, 0, 0)), *empty)
    else:
        matrices = (cascade,)
        if cascade.n_sections >= _MANY:
            _warn_of_sections(cascade, discrete=step is not None)
    if step is None:
        return ContinuousSystem(*matrices, time_unit=time_unit)
    return DiscreteSystem(*matrices, dt=step, time_unit=time_unit)


def _warn_of_sections(cascade: Cascade, *, discrete: bool) -> None:
    """Warn where what the first sections pass the next ones stop, so that the answer is raised out of rounding."""
    lost = float(np.finfo(float).eps * np.max(amplification(cascade, discrete=discrete)))
    if lost > PROMISED:
        warn_of_loss(
            f"running these {cascade.n_sections} sections loses about {lost:.0e} of the peak: some stop what others "
            "pass. Taps belong into from_ba; zeros far from all poles into a system of their own, before the poles"
        )


def _fir(taps: Array, step: Array, time_unit: str) -> DiscreteSystem:
    """y[k] = Σ taps[j] u[k − j]: a delay line, the taps untouched."""
    n = len(taps) - 1
    if n < 1:
        gain = taps if n == 0 else np.zeros(1)
        return DiscreteSystem(
            np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((1, 0)), gain[None], dt=step, time_unit=time_unit
        )
    b = np.zeros((n, 1))
    b[0] = 1.0
    return DiscreteSystem(DelayLine(n), b, taps[None, 1:], taps[None, :1], dt=step, time_unit=time_unit)

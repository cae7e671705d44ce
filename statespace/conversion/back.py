"""From a system back to zeros and poles, sections, and coefficients."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from statespace.arrays import Array
from statespace.conversion.polynomials import warn_of_rounding
from statespace.structure import Cascade, DelayLine
from statespace.structure.cascade import in_sections
from statespace.systems import ContinuousSystem, DiscreteSystem
from statespace.systems.zpk import cascade_form, zpk

System: TypeAlias = ContinuousSystem | DiscreteSystem


def to_zpk(system: System) -> tuple[Array, Array, Array]:
    """Return zeros, poles and gain: H = k Π(s − z)/Π(s − p).

    Parameters
    ----------
    system : ContinuousSystem or DiscreteSystem
        One input, one output. A batch must have as many zeros in every system.

    Returns
    -------
    z, p : ndarray, (..., nz) and (..., n)
        Zeros and poles, complex, in s or z. Those a system was built from come back bit for bit.
    k : float or ndarray, (...)
        Gain; complex for a complex system.

    Raises
    ------
    TypeError
        The argument is not a system.
    ValueError
        The system has several inputs or outputs, or the systems of a batch differ in their number of zeros.

    Warns
    -----
    AccuracyWarning
        The zeros had to be computed from matrices, and zeros, poles and gain reproduce the response to more than
        1e-10 of its peak only.

    References
    ----------
    A. Emami-Naeini, P. Van Dooren, "Computation of zeros of linear multivariable systems", Automatica 18 (1982),
    section 3.

    Examples
    --------
    >>> import statespace as ss
    >>> z, p, k = ss.to_zpk(ss.ContinuousSystem([[0, 1], [-2, -3]], [[0], [1]], [[1, 1]]))
    >>> z.real.round(12), p.real.round(12), float(k.round(12))
    (array([-1.]), array([-1., -2.]), 1.0)
    """
    _check(system, "to_zpk")
    z, p, k = zpk(system, "to_zpk")
    return z, p, k[()]


def to_sos(system: System) -> Array:
    """Return second-order sections, rows [b0, b1, b2, a0, a1, a2].

    Pairing and order are those of `Cascade`: a pole pair with the zeros nearest to it, the best damped section first;
    a system built from sections gives the same sections. Every section but the last has a peak gain of 1 on the
    frequency axis, and the last carries what is left.

    Parameters
    ----------
    system : ContinuousSystem or DiscreteSystem
        One input, one output, real.

    Returns
    -------
    ndarray, (..., sections, 6)
        In discrete time as ``scipy.signal.sosfilt`` takes them, a0 = 1; in continuous time in descending powers of s,
        as ``from_sos(sos, dt=None)`` takes them. A static gain is one row.

    Raises
    ------
    TypeError, ValueError
        As `to_zpk`; also for a complex system, whose sections are not real.

    Warns
    -----
    AccuracyWarning
        As `to_zpk`, or the coefficients fix the response to more than 1e-10 of its peak only.

    References
    ----------
    A. V. Oppenheim, R. W. Schafer, *Discrete-Time Signal Processing*, 3rd ed., section 6.3.2.

    Examples
    --------
    >>> import statespace as ss
    >>> ss.to_sos(ss.from_zpk([-1.0], [0.5 + 0.5j, 0.5 - 0.5j], 0.25, dt=1.0))
    array([[ 0.  ,  0.25,  0.25,  1.  , -1.  ,  0.5 ]])
    """
    _check(system, "to_sos")
    _refuse_complex(system, "to_sos")
    cascade = cascade_form(system, "to_sos")
    if cascade is None:
        row = np.array([1.0, 0, 0, 1.0, 0, 0] if _is_discrete(system) else [0, 0, 1.0, 0, 0, 1.0])
        row = np.broadcast_to(row, (*system.batch_shape, 1, 6)).copy()
        row[..., :3] *= system.D
        return row
    numerators, denominators = (x.astype(np.float64) for x in _sections(cascade))
    for i in np.ndindex(cascade.batch_shape):
        one = Cascade(cascade.known_poles[i], cascade.zeros[i], cascade.gains[i])
        warn_of_rounding(numerators[i], denominators[i], one, discrete=_is_discrete(system), what="to_sos")
    return _as_rows(numerators, denominators, discrete=_is_discrete(system))


def to_tf(system: System) -> tuple[Array, Array]:
    """Return the transfer function num/den in descending powers of s (or z).

    Parameters
    ----------
    system : ContinuousSystem or DiscreteSystem
        One input, one output, no batch.

    Returns
    -------
    num, den : ndarray, 1-D
        Coefficients, highest power first, den[0] = 1. They are rounded once from extended precision; beyond order 6
        or so that alone can spoil a filter, see the warning.

    Raises
    ------
    TypeError, ValueError
        As `to_zpk`; also for a batch.

    Warns
    -----
    AccuracyWarning
        Coefficients in double precision fix the response to more than 1e-10 of its peak only, and how much.

    References
    ----------
    T. Kailath, *Linear Systems*, Prentice-Hall 1980, section 2.1; N. J. Higham, *Accuracy and Stability of Numerical
    Algorithms*, 2nd ed., section 5.1 (the condition of a polynomial's value).

    Examples
    --------
    >>> import statespace as ss
    >>> num, den = ss.to_tf(ss.from_zpk([-1.0], [-2.0, -3.0], 4.0))
    >>> num, den
    (array([4., 4.]), array([1., 5., 6.]))
    """
    return _coefficients(system, "to_tf")


def to_ba(system: DiscreteSystem) -> tuple[Array, Array]:
    """Return coefficients in powers of z⁻¹, as ``scipy.signal.lfilter`` takes them.

    Parameters
    ----------
    system : DiscreteSystem
        One input, one output, no batch.

    Returns
    -------
    b, a : ndarray, 1-D
        a[0] = 1; leading zeros of b are delays. The taps of an FIR filter come back as they were, with a = [1].

    Raises
    ------
    TypeError, ValueError
        As `to_tf`; also for a continuous system.

    Warns
    -----
    AccuracyWarning
        As `to_tf`.

    References
    ----------
    A. V. Oppenheim, R. W. Schafer, *Discrete-Time Signal Processing*, 3rd ed., section 6.3.

    Examples
    --------
    >>> import statespace as ss
    >>> ss.to_ba(ss.from_zpk([], [0.5], 0.5, dt=1.0))
    (array([0. , 0.5]), array([ 1. , -0.5]))
    """
    if isinstance(system, ContinuousSystem):
        raise TypeError("to_ba needs a DiscreteSystem, its powers are of z⁻¹; discretize first, or write to_tf")
    _check(system, "to_ba", batch=False)
    if isinstance(system.A, DelayLine) and np.array_equal(system.B[:, 0], np.eye(system.n_states)[0]):
        return np.concatenate([system.D[0], system.C[0]]), np.ones(1)
    num, den = _coefficients(system, "to_ba")
    b = np.concatenate([np.zeros(len(den) - len(num)), num])
    return np.trim_zeros(b, "b") if b.any() else np.zeros(1), np.trim_zeros(den, "b")


# --------------------------------------------------------------- checks


def _is_discrete(system: System) -> bool:
    return isinstance(system, DiscreteSystem)


def _check(system: Any, verb: str, *, batch: bool = True) -> None:
    if not isinstance(system, (ContinuousSystem, DiscreteSystem)):
        raise TypeError(f"{verb} needs a ContinuousSystem or DiscreteSystem, got {type(system).__name__}")
    if not system.n_inputs == system.n_outputs == 1:
        raise ValueError(
            f"{verb} needs one input and one output, this system has {system.n_inputs} inputs and "
            f"{system.n_outputs} outputs; take one channel, system[i, j]"
        )
    if system.batch_shape and not batch:
        raise ValueError(f"{verb} needs one system, got a batch {system.batch_shape}; convert them one at a time")


def _refuse_complex(system: System, verb: str) -> None:
    if system.is_complex:
        alone = next((r for r in map(_without_partner, (system.poles, system.zeros)) if r is not None), None)
        which = f"{alone:.6g} has no conjugate partner" if alone is not None else "its coefficients are complex"
        raise ValueError(f"{verb} needs a real system: {which}; for a complex one write to_zpk or to_tf")


def _without_partner(roots: Array) -> complex | None:
    """A root whose conjugate is not there to 1e-10, or None."""
    roots = roots[np.isfinite(roots)].ravel()
    distance = np.abs(roots[:, None].conj() - roots).min(axis=-1, initial=np.inf)
    alone = distance > 1e-10 * np.abs(roots)
    return complex(roots[alone][0]) if alone.any() else None


# --------------------------------------------------------------- sections and coefficients


def _sections(cascade: Cascade) -> tuple[Array, Array]:
    """Polynomials of each section in descending powers, (..., sections, 3); in extended precision."""
    p, z = in_sections(cascade.known_poles, np.inf), in_sections(cascade.zeros, np.inf)
    gain = cascade.gains[..., None]
    numerators, denominators = gain * _quadratics(z), _quadratics(p)
    if cascade.is_complex:
        return numerators, denominators
    return numerators.real, denominators.real


def _quadratics(roots: Array) -> Array:
    """(s − r1)(s − r2), a root at infinity being no factor; (..., 2) to (..., 3)."""
    r1, r2 = (np.where(np.isinf(r), 0.0, r).astype(np.clongdouble) for r in (roots[..., 0], roots[..., 1]))
    here1, here2 = (np.isfinite(r).astype(np.clongdouble) for r in (roots[..., 0], roots[..., 1]))
    # (here1 s + c1)(here2 s + c2) with c = −r, or 1 where there is no root
    c1, c2 = np.where(here1 == 1, -r1, 1.0), np.where(here2 == 1, -r2, 1.0)
    return np.stack([here1 * here2, here1 * c2 + here2 * c1, c1 * c2], axis=-1)


def _as_rows(numerators: Array, denominators: Array, *, discrete: bool) -> Array:
    """Six doubles a section; in discrete time a first-order section is moved to powers 0 and −1 of z."""
    rows = np.concatenate([numerators, denominators], axis=-1)
    if discrete:
        single = rows[..., 3] == 0
        rows[single] = np.roll(rows[single].reshape(-1, 2, 3), -1, axis=-1).reshape(-1, 6)
    return rows


def _coefficients(system: System, verb: str) -> tuple[Array, Array]:
    """Sections multiplied out in extended precision and rounded once."""
    _check(system, verb, batch=False)
    cascade = cascade_form(system, verb)
    if cascade is None:
        return np.array(system.D[0]), np.ones(1)
    kind = np.complex128 if cascade.is_complex else np.float64
    with np.errstate(over="ignore", invalid="ignore"):
        num, den = (_product(x).astype(kind) for x in _sections(cascade))
    if not (np.isfinite(num).all() and np.isfinite(den).all()):
        raise ValueError(
            f"{verb}: a coefficient of this system of order {cascade.n_states} is beyond the range of double "
            "precision; take another unit of time, or zeros and poles: to_zpk"
        )
    warn_of_rounding(num[None], den[None], cascade, discrete=_is_discrete(system), what=verb)
    return num, den


def _product(polynomials: Array) -> Array:
    """Multiply the polynomials (sections, 3) of a row; without leading zeros."""
    product = polynomials[0]
    for polynomial in polynomials[1:]:
        product = np.convolve(product, polynomial)
    trimmed = np.trim_zeros(product, "f")
    return trimmed if trimmed.size else product[:1]

"""Modal form: one state, or one pair of states, for each pole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from statespace.arrays import Array, shorten
from statespace.structure import Dense, Diagonal
from statespace.structure.cascade import in_sections
from statespace.structure.matrices import balanced
from statespace.structure.pairing import axis_points
from statespace.systems import ContinuousSystem, DiscreteSystem
from statespace.systems.properties import realization
from statespace.systems.zpk import cascade_form

S = TypeVar("S", ContinuousSystem, DiscreteSystem)


def modal(system: S, *, max_condition: float = 1e6) -> S:
    """Decouple the modes: x = T ξ makes A diagonal, or block diagonal where real and complex poles mix.

    Parameters
    ----------
    system : ContinuousSystem or DiscreteSystem
        Any structure, any batch.
    max_condition : float
        How much rounding may be amplified: 1e6 keeps ten digits. It bounds the condition number of the
        eigenvectors (unit length, of the balanced matrix); for a Cascade, and for what it becomes under a method built
        on e^z, whose poles are known, the largest residue over the peak of the response. A response that hangs on the
        last digits of A, as those of filters of high order typed in as matrices, is known no better in modal form.

    Returns
    -------
    ContinuousSystem or DiscreteSystem
        The same transfer matrix, step and method. Real with real poles: a real Diagonal. Real with complex poles
        only: a Diagonal with ``pairs=True``. Real with both: dense with blocks [[Re λ, −Im λ], [Im λ, Re λ]].
        Complex: a complex Diagonal. One that is diagonal already, or has no states, is returned as it is.

    Raises
    ------
    TypeError
        The argument is not a system.
    ValueError
        max_condition is not a number of at least 1, or the modes cannot be told apart: repeated or nearly repeated
        poles. Such a system has no useful modal form; keep its Cascade or dense form.

    Warns
    -----
    AccuracyWarning
        As `to_zpk`, of a discretized cascade, whose residues come from its poles and zeros.

    References
    ----------
    T. Kailath, *Linear Systems*, Prentice-Hall 1980, section 2.2.1; G. H. Golub, C. F. Van Loan, *Matrix
    Computations*, 4th ed., section 7.2.2 (the condition of eigenvectors).

    Examples
    --------
    >>> import statespace as ss
    >>> ss.modal(ss.ContinuousSystem([[0, 1], [-2, -3]], [[0], [1]], [[1, 0]])).A
    Diagonal([-1.0, -2.0])
    """
    if not isinstance(system, (ContinuousSystem, DiscreteSystem)):
        raise TypeError(f"modal needs a ContinuousSystem or DiscreteSystem, got {type(system).__name__}")
    if not (isinstance(max_condition, (int, float)) and max_condition >= 1):
        raise ValueError(f"max_condition must be a number of at least 1, got {shorten(max_condition)}")
    if isinstance(system.A, Diagonal) or system.n_states == 0:
        return system
    if system.is_siso and getattr(system.A, "known_poles", None) is not None:
        # A cascade, or what became of one: by eigenvectors Bessel 20 by zoh would lose 8e-8 of its response.
        poles, b, c = _residues(system, cascade_form(system, "modal"), max_condition)
    else:
        poles, b, c = _eigenvectors(system, max_condition)
    d = realization(system)[3]
    if system.is_complex:
        return replace(system, A=Diagonal(poles), B=b, C=c, D=d)
    return _real(system, poles, b, c, d)


def _eigenvectors(system: Any, max_condition: float) -> tuple[Array, Array, Array]:
    """Poles, T⁻¹ B and C T with T the eigenvectors, complex."""
    a, b, c, _ = realization(system)
    a, scale = balanced(a)
    poles, t = np.linalg.eig(a.astype(complex) if system.is_complex else a)
    _refuse(np.linalg.cond(t), max_condition, "the condition number of the eigenvectors")
    modes = np.linalg.solve(t.astype(complex), b / scale[..., :, None])
    return poles.astype(complex), modes, (c * scale[..., None, :]) @ t


def _residues(system: Any, cascade: Any, max_condition: float) -> tuple[Array, Array, Array]:
    """Poles, ones and residues: H = D + Σ r_i/(s − p_i), from poles and zeros without any matrix."""
    p, z, k = cascade.known_poles, cascade.zeros, cascade.gain
    difference = p[..., :, None] - p[..., None, :]
    own = np.eye(p.shape[-1], dtype=bool)
    absent = np.isinf(z)[..., None, :]
    to_zeros = np.where(absent, 1.0, p[..., :, None] - np.where(absent, 0.0, z[..., None, :]))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = to_zeros / np.where(own, 1.0, difference)
        residues = k[..., None] * ratio.prod(-1)
    points = axis_points(in_sections(p, np.inf), in_sections(z, np.inf), discrete=isinstance(system, DiscreteSystem))
    points = np.moveaxis(points.reshape(*p.shape[:-1], -1), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.abs(residues / (points[..., None] - p)).sum(-1)
    h = np.abs(cascade.transfer(points))
    known = np.isfinite(h) & (np.isfinite(terms) | ~np.isfinite(residues).all(-1))
    peak = np.where(known, h, 0.0).max(axis=0)
    condition = np.where(known, terms, 0.0).max(axis=0) / np.where(peak > 0, peak, 1.0)
    _refuse(condition, max_condition, "the sum of |residue/(s − pole)| over the peak gain")
    return p, np.ones((*p.shape, 1), complex), residues[..., None, :]


def _refuse(condition: Array, limit: float, what: str) -> None:
    worst = float(np.max(np.nan_to_num(condition, nan=np.inf)))
    if not worst <= limit:
        raise ValueError(
            f"modal: the modes cannot be told apart, {what} is {worst:.1e}, above max_condition={shorten(limit)} "
            "(repeated or nearly repeated poles); keep the system as it is, or allow the loss with max_condition="
        )


def _real(system: S, poles: Array, b: Array, c: Array, d: Array) -> S:
    """A real diagonal, stored pairs, or blocks where both kinds of poles are there."""
    is_pair = poles.imag != 0
    if not is_pair.any():
        return replace(system, A=Diagonal(poles.real), B=b.real, C=c.real, D=d)
    if is_pair.all():
        return replace(system, A=Diagonal(poles[..., ::2], pairs=True), B=b[..., ::2, :], C=c[..., ::2], D=d)
    first = is_pair & (np.cumsum(is_pair, axis=-1) % 2 == 1)
    second = is_pair & ~first
    # ξ of the first of each pair as (Re ξ, Im ξ): y = 2 Re c Re ξ − 2 Im c Im ξ
    b = np.where(second[..., None], np.roll(b, 1, axis=-2).imag, b.real)
    double = np.where(first[..., None, :], 2.0 * c.real, c.real)
    c = np.where(second[..., None, :], -2.0 * np.roll(c, 1, axis=-1).imag, double)
    turn = np.where(first, poles.imag, 0.0)[..., None] * np.eye(poles.shape[-1], k=1)
    a = poles.real[..., None] * np.eye(poles.shape[-1]) - turn + turn.swapaxes(-1, -2)
    return replace(system, A=Dense(a, poles), B=b, C=c, D=d)

"""The way back: undiscretize, and rediscretize to another step."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import PROMISED, Array, as_step, warn_of_loss
from statespace.discretization.algebra import MATRICES
from statespace.discretization.names import Method, Rational, Rule, as_method
from statespace.discretization.rules import ExponentialTrapezoidal, Impulse, MatchedPoles
from statespace.discretization.sections import is_substitution, restored
from statespace.discretization.verbs import discretize, scale_rows
from statespace.structure import Cascade, Dense, Diagonal
from statespace.structure.matrices import is_block_triangular, is_singular, solve
from statespace.systems import ContinuousSystem, DiscreteSystem

_EPS = float(np.finfo(float).eps)
# Inside this range A, B and D come back as promised; beyond it a warning says what is lost.
_SLOWEST, _FASTEST = 1e-5 * (1 - 1e-9), 17 * (1 + 1e-9)  # of |λ dt| and |Re λ dt|, the latter for dense matrices


def undiscretize(system: DiscreteSystem, method: Method | str | None = None) -> ContinuousSystem:
    """Find the continuous system that a discrete one was made from.

    Every method has an inverse, `MatchedPoles` excepted. Those built on e^z take the principal logarithm: of all
    continuous systems with the same samples the one whose poles have |Im λ| < π/dt.

    Parameters
    ----------
    system : DiscreteSystem
        Any structure, any batch.
    method : str or method object, optional
        As for `discretize`; the method that the system remembers when omitted.

    Returns
    -------
    ContinuousSystem
        A Cascade stays a cascade under the substitutions (bilinear, Euler, GeneralizedBilinear), a Diagonal stays
        diagonal; otherwise dense. A, B and D are right to 1e-10 of their size while the largest |λ dt| is at least
        1e-5 and, in a dense matrix that mixes its modes, no |Re λ dt| is above 17; impulse, exp_trapezoidal and the
        current taps, which divide by e^(λ dt), have B and D right to eps·e^|Re λ dt|. Matrices far from normal, such
        as a rotated Jordan block coupled by hundreds over one step, lose more.

    Raises
    ------
    TypeError
        The system is not discrete.
    ValueError
        The method is unknown or has no inverse, or this system has none: a pole at 0 (methods built on e^z, and
        current taps), a pole on the negative real axis (methods built on e^z), or a pole at −(1 − w)/w (rational
        methods, for Tustin −1), where no continuous system leads.

    Warns
    -----
    AccuracyWarning
        Outside of that range, near the branch cut, or near a pole without an inverse: how much may be lost.

    References
    ----------
    N. J. Higham, *Functions of Matrices*, SIAM 2008, section 11.1 (the principal logarithm); G. F. Franklin,
    J. D. Powell, M. Workman, *Digital Control of Dynamic Systems*, 3rd ed., section 4.3.

    Examples
    --------
    >>> import statespace as ss
    >>> spring = ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]])
    >>> back = ss.undiscretize(ss.discretize(spring, 0.1, "foh"))
    >>> bool(abs(back.A.matrix - spring.A.matrix).max() < 1e-14)
    True
    """
    _check(system, "undiscretize")
    rule = _method_of(system, method, "undiscretize")
    step = np.asarray(system.dt)
    substitution = is_substitution(rule)
    _refuse(system, rule, substitution)
    _warn(system, rule, step)
    if isinstance(system.A, Cascade) and substitution:
        return ContinuousSystem(restored(system.A, step, rule), time_unit=system.time_unit)
    return _restored(system, rule, step)


def rediscretize(
    system: DiscreteSystem, dt: Any = None, method: Method | str | None = None, *, fs: Any = None
) -> DiscreteSystem:
    """Discretize again with another step: undiscretize, then discretize, by one method.

    Parameters
    ----------
    system : DiscreteSystem
        Any structure, any batch.
    dt : float or array_like, (...)
        The new step.
    method : str or method object, optional
        Used both ways; the method that the system remembers when omitted.
    fs : float or array_like
        Samples per unit of time, instead of dt.

    Returns
    -------
    DiscreteSystem
        What discretizing the original with the new step gives.

    Raises
    ------
    TypeError, ValueError
        As `undiscretize` and `discretize`.

    Warns
    -----
    AccuracyWarning
        As `undiscretize` and `discretize`.

    References
    ----------
    N. J. Higham, *Functions of Matrices*, SIAM 2008, section 11.1.

    Examples
    --------
    >>> import statespace as ss
    >>> lag = ss.from_zpk([], [-1.0], 1.0)
    >>> slow = ss.rediscretize(ss.discretize(lag, 0.1, "bilinear"), 0.5)
    >>> slow.dt, slow.poles.round(12)
    (0.5, array([0.6+0.j]))
    """
    _check(system, "rediscretize")
    rule = _method_of(system, method, "rediscretize")
    step = as_step(dt, fs, what="rediscretize")
    return discretize(undiscretize(system, rule), step, rule)


def _check(system: Any, verb: str) -> None:
    if isinstance(system, ContinuousSystem):
        raise TypeError(f"{verb} needs a DiscreteSystem, this one is continuous already")
    if not isinstance(system, DiscreteSystem):
        raise TypeError(f"{verb} needs a DiscreteSystem, got {type(system).__name__}")


def _method_of(system: DiscreteSystem, method: Any, verb: str) -> Rule:
    if method is None and system.method is None:
        raise ValueError(f"{verb}: the system does not know the method that made it; name it: method='zoh' or another")
    rule = as_method(system.method if method is None else method)
    if isinstance(rule, MatchedPoles):
        raise ValueError(
            f"{verb}: MatchedPoles has no inverse, a zero at −1 may come from −1 or from infinity; "
            "keep the continuous system, or name another method such as 'zoh'"
        )
    return rule


def _restored(system: DiscreteSystem, rule: Rule, step: Array) -> ContinuousSystem:
    """A from α, and with α, β, γ, δ of that A: B = δ⁻¹ B_d, D = D_d − C γ B."""
    if isinstance(system.A, Diagonal):
        structure: Any = Diagonal(rule.generator(system.A.diagonal, step[..., None]), system.A.pairs)
        f = rule.factors(structure.diagonal, step[..., None])
        b = system.B / f.delta[..., None]
        through = system.C @ scale_rows(f.gamma, b)
    else:
        a = rule.generator(np.asarray(system.A), step[..., None, None], MATRICES)
        structure = Dense(a, _known_poles(system, rule, step))
        f = rule.factors(a, step[..., None, None], MATRICES)
        b = solve(f.delta, system.B)
        through = system.C @ f.gamma @ b
    if system.stores_pairs:
        through = 2.0 * through.real  # both members of each pair
    return ContinuousSystem(structure, b, system.C, system.D - through, time_unit=system.time_unit)


def _known_poles(system: DiscreteSystem, rule: Rule, step: Array) -> Array | None:
    if isinstance(system.A, Dense) and system.A.known_poles is None:
        return None
    return rule.generator(system.poles, step[..., None])


# --------------------------------------------------------------- what has no inverse


def _refuse(system: DiscreteSystem, rule: Rule, substitution: bool) -> None:
    """Raise where no continuous system leads to this one under the rule."""
    if not substitution and _reaches(system, 0.0):
        raise ValueError(
            "undiscretize: the system has a pole at 0 (its A is singular to rounding), where no continuous system "
            f"leads under {rule!r}: a mode that is gone after one step cannot be found again"
        )
    if isinstance(rule, Rational):
        far = -(1 - rule.w) / rule.w if rule.w else np.inf
        if np.isfinite(far) and _reaches(system, far):
            raise ValueError(
                f"undiscretize: the system has a pole at −(1 − w)/w = {far:.6g}, where {rule!r}, with w={rule.w:g}, "
                "sends only poles at infinity; another method may have an inverse"
            )
        return
    poles = system.poles
    negative = (poles.real < 0) & (np.abs(poles.imag) <= 4 * _EPS * np.abs(poles))
    if negative.any():
        pole = poles[negative][0].real
        raise ValueError(
            f"undiscretize: the system has a pole at {pole:.6g}, on the negative real axis, where the "
            f"logarithm that undoes {rule!r} is not real; a rational method such as 'bilinear' may have an inverse"
        )


def _reaches(system: DiscreteSystem, point: float) -> bool:
    """Whether a pole lies at a point, to rounding; one by one where the matrix does not mix them."""
    if _is_mixed(system):
        return bool(np.any(is_singular(point * np.eye(system.n_states) - system.A.matrix)))
    return bool(np.any(np.abs(system.poles - point) <= 4 * _EPS * abs(point)))


def _is_mixed(system: DiscreteSystem) -> bool:
    """Whether rounding mixes the modes: in a dense matrix, unless it is the block-triangular one of a cascade."""
    return isinstance(system.A, Dense) and not is_block_triangular(system.A.matrix)


# --------------------------------------------------------------- what is lost


def _warn(system: DiscreteSystem, rule: Rule, step: Array) -> None:
    """Warn outside the promised range, with an estimate of what is lost there relative to the size of A."""
    if system.n_states == 0:
        return
    with np.errstate(divide="ignore"):
        z = rule.generator(system.poles, step[..., None]) * step[..., None]
    size = np.abs(z).max(axis=-1)
    if isinstance(rule, Rational):
        amplified = _rational_loss(rule, z, system.poles)
        outside = _EPS * amplified > PROMISED * size
    else:
        amplified, outside = _logarithm_loss(system, rule, z)
        outside = outside | (size < _SLOWEST)
    loss = np.minimum(_EPS * amplified / np.where(size > 0, size, np.inf), 1.0)
    if np.any(outside & (size > 0)):
        warn_of_loss(
            f"undiscretize: the rounding of the discrete system leaves up to {float(loss.max()):.0e} of the continuous "
            f"one unknown; over one step its poles move by |λ dt| from {np.abs(z).min():.2g} to {size.max():.2g}, "
            f"decays reach e^{z.real.min():.3g}"
        )


def _rational_loss(rule: Any, z: Array, alpha: Array) -> Array:
    """Rounding of α moves z by eps |1 − wz|²; current taps divide by α too."""
    bend = (np.abs(1 - rule.w * z) ** 2).max(axis=-1)
    return bend if is_substitution(rule) else np.maximum(bend, np.abs(z).max(-1) / np.abs(alpha).min(-1))


def _logarithm_loss(system: DiscreteSystem, rule: Any, z: Array) -> tuple[Array, Array]:
    """Amplification, and whether it is outside the range.

    Near the branch cut a turn of eps in A_d is one of eps/(π − |Im z|) in its logarithm. Where modes mix, rounding of
    A_d is e^|Re z| of what a fast one left in it; rules that divide by e^z bring that into B and D of a cascade too.
    """
    if isinstance(system.A, Diagonal):
        return np.ones(z.shape[:-1]), np.zeros(z.shape[:-1], bool)
    divides = isinstance(rule, Impulse | ExponentialTrapezoidal) or getattr(rule, "tap", "") == "current"
    decay = np.abs(z.real).max(axis=-1) if _is_mixed(system) or divides else np.zeros(z.shape[:-1])
    gap = np.pi - np.abs(z.imag).max(axis=-1)
    return np.maximum(np.exp(np.minimum(decay, 700)), np.pi / gap), (decay > _FASTEST) | (PROMISED * gap < _EPS)

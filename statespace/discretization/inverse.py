"""The way back: undiscretize, and rediscretize to another step."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from statespace.arrays import PROMISED, Array, as_step, warn_of_loss
from statespace.discretization.algebra import MATRICES
from statespace.discretization.low_rank import apply, undone
from statespace.discretization.names import Method, Rational, Rule, as_method
from statespace.discretization.rules import ExponentialTrapezoidal, Impulse, MatchedPoles, ZeroOrderHold
from statespace.discretization.sections import is_substitution, restored
from statespace.discretization.verbs import discretize, scale_rows
from statespace.structure import Cascade, Dense, Diagonal, DiagonalPlusLowRank, knows_poles
from statespace.structure.matrices import balancing, is_block_triangular, is_singular, solve
from statespace.systems import ContinuousSystem, DiscreteSystem

_EPS = float(np.finfo(float).eps)
# Roundings by which entries are moved, to see what depends on them: above those of the way back itself, which for ±16
# beside each other are 60 roundings of the smallest entry; and less where that moves everything.
_NUDGES = (1024, 32)
_SLOWEST, _FASTEST = 1e-5 * (1 - 1e-9), 17 * (1 + 1e-9)  # the promised range of |λ dt| and |Re λ dt|


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
        diagonal, a DiagonalPlusLowRank stays one of the same rank; otherwise dense. A, B and D are right to 1e-10 of
        their size while the largest |λ dt| is at least 1e-5 and, for the methods built on e^z and a dense matrix that
        mixes its modes, no |Re λ dt| is above 17; impulse, exp_trapezoidal and s4_zoh, which divide by e^(λ dt), have
        B and D right to eps·e^|Re λ dt|. Where rounding has left less (growing beside decaying modes, Jordan blocks
        with large couplings), a warning says so.

    Raises
    ------
    TypeError
        The system is not discrete.
    ValueError
        The method is unknown or has no inverse, or this system has none: a pole at 0 (methods built on e^z, and
        current taps), a pole on the negative real axis (methods built on e^z), or a pole at −(1 − w)/w (rational
        methods, for Tustin −1), where no continuous system leads. A DiagonalPlusLowRank has none under the methods
        built on e^z, nor where an entry of its diagonal lies at that point.

    Warns
    -----
    AccuracyWarning
        Outside of that range, near the branch cut, near a pole without an inverse, or where roundings tried on the
        matrices move the answer by more: about how much is lost.

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
    _refuse(system, rule)
    with np.errstate(all="ignore"):
        poles, _ = rule.undo(system.poles, step[..., None])
    if isinstance(system.A, Cascade) and is_substitution(rule):
        z = poles * step[..., None]
        _warn(rule, z, _loss(system, rule, z))
        return ContinuousSystem(restored(system.A, step, rule), time_unit=system.time_unit)
    return _restored(system, rule, step, poles)


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


class _Found(NamedTuple):
    """Of the continuous system A, its diagonal or structure, B and D; to compare, its α and the size of D and C γ B."""

    a: Any
    b: Array
    d: Array
    alpha: Any
    terms: Array


def _restored(system: DiscreteSystem, rule: Rule, step: Array, poles: Array) -> ContinuousSystem:
    """Pole by pole of a Diagonal, by matrices otherwise."""
    found = _find(system, rule, step, _part(system), system.B)
    if found is None:
        raise ValueError(
            f"undiscretize: rounding has left nothing that {rule!r} leads to, a matrix on the way back is singular or "
            "overflows; another method may have an inverse"
        )
    loss = _loss(system, rule, poles * step[..., None])
    if _is_mixed(system):
        loss = np.maximum(loss, _tried(system, rule, step, found))
    _warn(rule, poles * step[..., None], loss)
    known = poles if knows_poles(system.A) else None
    if isinstance(system.A, DiagonalPlusLowRank):
        structure: Any = DiagonalPlusLowRank(found.a.diagonal, found.a.P, found.a.Q, known)
    else:
        structure = Diagonal(found.a, system.A.pairs) if isinstance(system.A, Diagonal) else Dense(found.a, known)
    return ContinuousSystem(structure, found.b, system.C, found.d, time_unit=system.time_unit)


def _part(system: DiscreteSystem) -> Any:
    """What the way back starts from: the diagonal, the structure of low rank, or the dense matrix."""
    if isinstance(system.A, DiagonalPlusLowRank):
        return system.A
    return system.A.diagonal if isinstance(system.A, Diagonal) else np.asarray(system.A)


def _find(system: DiscreteSystem, rule: Rule, step: Array, a_d: Any, b_d: Array) -> _Found | None:
    """A from α, and with the factors of that A: B = δ⁻¹ B_d, D = D_d − C γ B."""
    try:
        with np.errstate(all="ignore"):
            if isinstance(system.A, Diagonal):
                a, f = rule.undo(a_d, step[..., None])
                b = b_d / f.delta[..., None]
                shift = scale_rows(f.gamma, b)
            elif isinstance(system.A, DiagonalPlusLowRank):
                generator, f = undone(a_d, step, rule)
                b = apply(f.delta.inverse(), b_d)
                a, shift = generator.structure(), apply(f.gamma, b)
            else:
                a, f = rule.undo(a_d, step[..., None, None], MATRICES)
                b = solve(f.delta, b_d)
                shift = f.gamma @ b
    except np.linalg.LinAlgError:
        return None
    through = system.C @ shift
    if system.stores_pairs:
        through = 2.0 * through.real  # both members of each pair
    found = _Found(a, b, system.D - through, f.alpha, _size(system.D) + _size(system.C) * _size(shift))
    numbers = found[1:3] if isinstance(a, DiagonalPlusLowRank) else found  # a structure is finite
    return found if all(np.isfinite(part).all() for part in numbers) else None


# --------------------------------------------------------------- what has no inverse


def _refuse(system: DiscreteSystem, rule: Rule) -> None:
    """Raise where no continuous system leads to this one under the rule."""
    if not is_substitution(rule) and _reaches(system, 0.0):
        raise ValueError(
            "undiscretize: the system has a pole at 0 (its A is singular to rounding), where no continuous system "
            f"leads under {rule!r}: a mode that is gone after one step cannot be found again"
        )
    if isinstance(rule, Rational):
        far = 0.0 - (1 - rule.w) / rule.w if rule.w else np.inf
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
    if _is_mixed(system) and np.any(is_singular(point * np.eye(system.n_states) - np.asarray(system.A))):
        return True
    return bool(np.any(np.abs(system.poles - point) <= 4 * _EPS * abs(point)))


def _is_mixed(system: DiscreteSystem) -> bool:
    """Whether rounding mixes the modes: in a dense matrix, unless it is the block-triangular one of a cascade."""
    if isinstance(system.A, DiagonalPlusLowRank):
        return True
    return isinstance(system.A, Dense) and not is_block_triangular(system.A.matrix)


# --------------------------------------------------------------- what is lost


def _warn(rule: Rule, z: Array, loss: Array) -> None:
    """Warn outside the promised range; z = λ dt are the poles that were found."""
    if z.shape[-1] == 0:
        return
    size, decay = np.abs(z).max(axis=-1), np.abs(z.real).max(axis=-1)
    # Rules that divide by e^z are promised to eps·e^|Re z|, of a few states, as far as |Re z| = 17.
    divided = 10 * _EPS * np.exp(np.minimum(decay, 700)) if _divides(rule) else 0.0
    promised = np.where(decay <= _FASTEST, np.maximum(PROMISED, divided), PROMISED)
    if np.any((loss > promised) | ((size > 0) & (size < _SLOWEST))):
        warn_of_loss(
            f"undiscretize: the rounding of the discrete system leaves up to {float(loss.max()):.0e} of the continuous "
            f"one unknown; over one step its poles move by |λ dt| from {np.abs(z).min():.2g} to {size.max():.2g}, "
            f"decays reach e^{z.real.min():.3g}"
        )


def _divides(rule: Rule) -> bool:
    """Whether a rule built on e^z has e^z as a factor of δ."""
    return isinstance(rule, Impulse | ExponentialTrapezoidal) or rule == ZeroOrderHold(tap="current")


def _loss(system: DiscreteSystem, rule: Rule, z: Array) -> Array:
    """What is lost where modes do not mix, relative to the largest pole: eps times how much a rounding is amplified."""
    size = np.abs(z).max(axis=-1, initial=0.0)
    is_rational = isinstance(rule, Rational)
    amplified = _rational_loss(rule, z, system.poles) if is_rational else _logarithm_loss(system, rule, z)
    return np.minimum(np.where(size > 0, _EPS * amplified / np.where(size > 0, size, 1.0), 0.0), 1.0)


def _rational_loss(rule: Any, z: Array, alpha: Array) -> Array:
    """Rounding of α moves z by eps |1 − wz|²; current taps divide by α too."""
    bend = (np.abs(1 - rule.w * z) ** 2).max(axis=-1, initial=0.0)
    if is_substitution(rule):
        return bend
    return np.maximum(bend, np.abs(z).max(axis=-1, initial=0.0) / np.abs(alpha).min(axis=-1, initial=np.inf))


def _logarithm_loss(system: DiscreteSystem, rule: Any, z: Array) -> Array:
    """Near the branch cut a turn of eps in A_d is one of eps/(π − |Im z|) in its logarithm.

    What has decayed to e^z was rounded beside what has not, in a matrix that mixes them; rules that divide by e^z bring
    that into B and D of a cascade too.
    """
    if isinstance(system.A, Diagonal):
        return np.ones(z.shape[:-1])
    decay = np.abs(z.real).max(axis=-1, initial=0.0)
    if _is_mixed(system):  # what roundings move inside the promised range is tried
        decay = np.where((decay > _FASTEST) & bool(np.tril(system.A.matrix, -1).any()), decay, 0.0)
    elif not _divides(rule):
        decay = np.zeros(z.shape[:-1])
    gap = np.pi - np.abs(z.imag).max(axis=-1, initial=0.0)
    return np.maximum(np.exp(np.minimum(decay, 700)), np.pi / gap)


def _tried(system: DiscreteSystem, rule: Rule, step: Array, found: _Found) -> Array:
    """What rounding leaves unknown where modes mix: of A, B and D, relative to their sizes, the worst of the three.

    It is tried out: what moves when the entries of A_d and B_d move by some roundings. A fast mode beside slow ones, a
    growing beside a decaying one, a Jordan block are so many cases of it. SciPy's logarithm of a matrix far from normal
    has a larger error of its own, which e^A shows.
    """
    a_d, a = _part(system), np.asarray(found.a)
    units = balancing(a)[..., None]
    ratio = units.swapaxes(-1, -2) / units
    own = np.ones(system.batch_shape)
    if isinstance(system.A, Dense):
        own = np.maximum(own, _over(_size((found.alpha - a_d) * ratio), _size(a_d * ratio)) / (8 * _EPS))
    loss = np.ones(system.batch_shape)
    for roundings in _NUDGES:
        moved = _find(system, rule, step, _nudged(a_d, roundings), _nudged(system.B, roundings))
        if moved is None:
            continue
        of_a = _over(_size((np.asarray(moved.a) - a) * ratio), _size(a * ratio))
        of_b = _over(_size((moved.b - found.b) / units), _size(found.b / units))
        change = np.maximum(np.maximum(of_a, of_b), _over(_size(moved.d - found.d), found.terms))
        loss = np.where((loss == 1) & (change < 0.1), np.minimum(change / roundings * own, 1.0), loss)
        if np.all(loss < 1):
            break
    return loss


def _nudged(m: Any, roundings: int) -> Any:
    """Every entry some roundings off, up or down without a pattern; 0 and 1, as integrators have them, are exact."""
    if isinstance(m, DiagonalPlusLowRank):
        diag = _nudged(m.diagonal[..., None], roundings)[..., 0]
        return DiagonalPlusLowRank(diag, _nudged(m.P, roundings), _nudged(m.Q, roundings))
    k = np.arange(m.shape[-2] * m.shape[-1]).reshape(m.shape[-2:])
    sign = np.where(np.sin(1.0 + 1.7 * k + 0.3 * k**2) > 0, 1.0, -1.0)
    return np.where((m == 0) | (m == 1), m, m * (1 + roundings * _EPS * sign))


def _size(m: Array) -> Array:
    """The largest entry of each matrix."""
    return np.asarray(np.abs(m).max(axis=(-2, -1), initial=0.0))


def _over(change: Array, size: Array) -> Array:
    return np.asarray(change / np.where(size > 0, size, 1.0))

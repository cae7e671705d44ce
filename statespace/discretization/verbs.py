"""The verbs: discretize a system, and map its starting state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Never

import numpy as np

from statespace.arrays import Array, as_coefficients, as_step, shorten
from statespace.discretization.algebra import MATRICES, Factors
from statespace.discretization.low_rank import apply, factors_of
from statespace.discretization.names import Method, Rule, as_method
from statespace.discretization.rules import MatchedPoles
from statespace.discretization.sections import is_substitution, matched, section_states, substituted
from statespace.structure import Cascade, Dense, Diagonal, DiagonalPlusLowRank, knows_poles
from statespace.systems import ContinuousSystem, DiscreteSystem
from statespace.systems.zpk import cascade_form


def discretize(
    system: ContinuousSystem, dt: Any = None, method: Method | str = "zoh", *, fs: Any = None, **misplaced: Never
) -> DiscreteSystem:
    """Turn a continuous system into a discrete one.

    Parameters
    ----------
    system : ContinuousSystem
        Any structure, any batch.
    dt : float or array_like, (...)
        Step of time; broadcasts with the batch axes of the system.
    method : str or method object
        "zoh" (default; shifts signals by half a step), "foh", "bilinear" or "tustin", "impulse", "euler",
        "backward_euler", "exp_trapezoidal", "matched", "mamba", "s4_zoh", "s4_bilinear", or an object such as
        ``Bilinear(prewarp=6.0)`` or ``GeneralizedBilinear(0.3)``.
    fs : float or array_like
        Samples per unit of time, instead of dt.

    Returns
    -------
    DiscreteSystem
        Remembers dt and the method. A Diagonal stays diagonal, a DiagonalPlusLowRank stays one of the same rank.
        A Cascade stays a cascade under the substitutions (bilinear, Euler, GeneralizedBilinear) and becomes a dense
        block-triangular matrix of the same state, with the exact poles, under the others.

    Raises
    ------
    TypeError
        The system is discrete already, or an option of a method is given as a loose keyword.
    ValueError
        dt is not positive, dt and fs are given together or neither, the method is unknown, a prewarp
        frequency is not below Nyquist, a pole (or an entry of the diagonal of a DiagonalPlusLowRank) lies at
        1/(w·dt) of a rational rule, or a DiagonalPlusLowRank is asked for e^(A·dt).

    Warns
    -----
    AccuracyWarning
        A pole lies within 1e-8 relative of 1/(w·dt).

    References
    ----------
    G. F. Franklin, J. D. Powell, M. Workman, *Digital Control of Dynamic Systems*, 3rd ed., chapters 4 and 6.

    Examples
    --------
    >>> import statespace as ss
    >>> spring = ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]])
    >>> digital = ss.discretize(spring, 0.1, "foh")
    >>> digital.dt, digital.method
    (0.1, FirstOrderHold())
    """
    if misplaced:
        raise TypeError(_misplaced(misplaced))
    if isinstance(system, DiscreteSystem):
        raise TypeError(
            f"the system is discrete already (dt={system.dt}); it cannot be discretized twice; "
            "for another step write statespace.rediscretize(system, dt)"
        )
    if not isinstance(system, ContinuousSystem):
        raise TypeError(
            f"discretize needs a ContinuousSystem, got {type(system).__name__}; "
            "build one with from_zpk, from_tf or ContinuousSystem(A, B, C, D), or take it with as_system"
        )
    rule = as_method(method)
    step = as_step(dt, fs, what="discretize")
    return _discretized(system, step, rule)


def _discretized(system: ContinuousSystem, step: Array, rule: Method) -> DiscreteSystem:
    if isinstance(rule, MatchedPoles):
        return _matched(system, step, rule)
    if isinstance(system.A, Cascade) and is_substitution(rule):
        cascade = substituted(system.A, step, rule)
        return DiscreteSystem(cascade, dt=step, method=rule, time_unit=system.time_unit)
    return with_shift(system, step, rule)[0]


def _matched(system: ContinuousSystem, step: Array, rule: MatchedPoles) -> DiscreteSystem:
    if not system.n_inputs == system.n_outputs == 1:
        raise ValueError(
            f"MatchedPoles maps the poles and zeros of one channel, this system has {system.n_inputs} inputs and "
            f"{system.n_outputs} outputs; take one, system[i, j], or another method"
        )
    cascade = cascade_form(system, "MatchedPoles")
    parts = tuple(system) if cascade is None else (matched(cascade, step),)
    return DiscreteSystem(*parts, dt=step, method=rule, time_unit=system.time_unit)


def with_shift(system: ContinuousSystem, step: Array, rule: Rule) -> tuple[DiscreteSystem, Array]:
    """The discrete system in the coordinates w = x − γ B u, and γ B."""
    f, product = _factors(system, step, rule)
    if isinstance(system.A, Diagonal):
        structure: Any = Diagonal(f.alpha, system.A.pairs)
    elif isinstance(system.A, DiagonalPlusLowRank):
        structure = f.alpha.structure(_mapped_poles(system, step, rule))
    else:
        structure = Dense(f.alpha, _mapped_poles(system, step, rule))
    shift = product(f.gamma, system.B)
    through = system.C @ shift
    if system.stores_pairs:
        through = 2.0 * through.real  # both members of each pair
    matrices = (structure, product(f.delta, system.B), system.C, system.D + through)
    return DiscreteSystem(*matrices, dt=step, method=rule, time_unit=system.time_unit), shift


def _factors(system: ContinuousSystem, step: Array, rule: Rule) -> tuple[Factors, Callable[[Any, Array], Array]]:
    """Factors for the structure of a system, and how they multiply its B."""
    if isinstance(system.A, DiagonalPlusLowRank):
        return factors_of(system.A, step, rule), apply
    diagonal = isinstance(system.A, Diagonal)
    with np.errstate(over="ignore", invalid="ignore"):
        if diagonal:
            f = rule.factors(system.A.diagonal, step[..., None])
        else:
            f = rule.factors(np.asarray(system.A), step[..., None, None], MATRICES)
    if not all(np.isfinite(factor).all() for factor in f):
        growth = float(np.max(system.poles.real * step[..., None]))
        raise ValueError(
            f"discretize overflows: over one step the fastest pole grows by exp({growth:.4g}); take a smaller dt"
        )
    return f, (scale_rows if diagonal else np.matmul)


def scale_rows(factor: Array, b: Array) -> Array:
    return factor[..., None] * b


def _mapped_poles(system: ContinuousSystem, step: Array, rule: Rule) -> Array | None:
    """α of the poles, where they are known better than the matrix tells."""
    if not knows_poles(system.A):
        return None
    return rule.factors(system.A.poles, step[..., None]).alpha


def initial_state(
    system: ContinuousSystem,
    dt: Any = None,
    method: Method | str = "zoh",
    x0: Any = None,
    u0: Any = None,
    *,
    fs: Any = None,
) -> Array:
    """State of the discretized system that belongs to a physical state: w_0 = x(0) − γ B u(0).

    Rules with a current tap (foh, bilinear, backward Euler, impulse, …) shift the state by the input.
    Without this map they are only of order 1, whatever their name says. `simulate` applies it.

    Parameters
    ----------
    system : ContinuousSystem
        The system before discretization.
    dt : float or array_like, (...)
        Step of time.
    method : str or method object
        As given to `discretize`.
    x0 : array_like, (..., state_size), optional
        Physical state x(0); zero when omitted.
    u0 : array_like, (..., m), optional
        Input at time 0; zero when omitted.
    fs : float or array_like
        Samples per unit of time, instead of dt.

    Returns
    -------
    ndarray, (..., state_size)
        The state w_0 to start the discrete system from. For a cascade under a substitution it
        is mapped section by section into the discrete sections' own coordinates.

    Raises
    ------
    ValueError
        x0 or u0 does not have the size of the state or input.
    TypeError
        The system is not continuous.

    References
    ----------
    K. J. Åström, B. Wittenmark, *Computer-Controlled Systems*, 3rd ed., section 2.3 (the foh state).

    Examples
    --------
    >>> import statespace as ss
    >>> lag = ss.ContinuousSystem([[-1.0]], [[1.0]], [[1.0]])
    >>> ss.initial_state(lag, 0.5, "bilinear", x0=[1.0], u0=[2.0])
    array([0.6])
    """
    if not isinstance(system, ContinuousSystem):
        raise TypeError(f"initial_state needs the ContinuousSystem before discretization, got {type(system).__name__}")
    step, rule = as_step(dt, fs, what="initial_state"), as_method(method)
    if isinstance(rule, MatchedPoles):
        raise ValueError("MatchedPoles keeps no map from the continuous state to the discrete one; take another method")
    x = _vector(x0, system.state_size, "x0")
    u = _vector(u0, system.n_inputs, "u0")
    if isinstance(system.A, Cascade) and is_substitution(rule):
        return section_states(system, step, rule, x, u)
    _, shift = with_shift(system, step, rule)
    return x - (shift @ u[..., None])[..., 0]


def _vector(value: Any, size: int, name: str) -> Array:
    if value is None:
        return np.zeros(size)
    array = np.atleast_1d(as_coefficients(value, name))
    if array.shape[-1] != size:
        raise ValueError(f"{name} must have shape (..., {size}), got {array.shape}")
    return array


def _misplaced(options: dict[str, Any]) -> str:
    """What to write for an option of a method that was given as a loose keyword."""
    name, value = next(iter(options.items()))
    bilinear, gbt = "Bilinear(prewarp={})", "GeneralizedBilinear({})"
    known = {"prewarp": bilinear, "prewarp_frequency": bilinear, "w_prewarp": bilinear, "alpha": gbt, "w": gbt}
    known["tap"] = "ZeroOrderHold(tap={})"
    if name in known:
        return f"{name} belongs to the method: write method=statespace.{known[name].format(shorten(value))}"
    return f"discretize got an unexpected keyword {name}={shorten(value)}; it takes dt or fs, and method"

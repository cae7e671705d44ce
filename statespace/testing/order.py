"""How fast a discretization converges, measured against an exact answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array, as_step, shorten
from statespace.simulation import simulate
from statespace.systems import ContinuousSystem, DiscreteSystem
from statespace.testing.bounds import output_bound
from statespace.testing.callables import as_discretization
from statespace.testing.report import pasted

_SAMPLES = 64  # at the coarsest step
_HALVINGS = 7  # while the order that is claimed has not come out
_LEEWAY = 0.15  # of the order: at Δ·max|λ| = 0.05 the next term of the error is a twentieth of the first


def assert_discretization_order(
    method: Any, order: float, system: ContinuousSystem | None = None, *, dt: float | None = None
) -> float:
    """Assert that the error of a discretization falls at least as Δ^order for a smooth input.

    The answer to u_j = 1 − cos(ω_j t) is compared with the exact one at Δ, Δ/2, Δ/4 and so on to
    Δ/128, until it has shown the order twice in a row. This input starts at 0 with its
    slope, so that a rule which shifts the state is not held to a starting state that it was not told. The exact answer
    comes from one matrix exponential of the system together with the oscillators that make u.

    Parameters
    ----------
    method : callable (system, dt) -> DiscreteSystem, or str, or method object
        What is measured. A function of matrices is wrapped by `from_matrices`.
    order : float
        Claimed order: 1 for zoh, 2 for foh and Tustin's rule.
    system : ContinuousSystem, optional
        What it is measured on, of any structure, without a batch; a damped mass on a spring when omitted.
    dt : float, optional
        The coarsest step; a tenth of a radian of the fastest pole when omitted. Beyond that the error need not show its
        order.

    Returns
    -------
    float
        The order between the last two steps that were tried; infinite where an error is rounding.

    Raises
    ------
    AssertionError
        The error falls more slowly, by more than 0.15 of an order: all errors, and the lines to paste.
    TypeError
        The system is not continuous, or the discretization does not return a DiscreteSystem.
    ValueError
        The order or dt is not positive, or the system has a batch.

    References
    ----------
    E. Hairer, S. P. Nørsett, G. Wanner, *Solving Ordinary Differential Equations I*, 2nd ed., section II.3.

    Examples
    --------
    >>> import statespace as ss
    >>> round(ss.testing.assert_discretization_order("foh", 2), 1)
    2.0
    >>> ss.testing.assert_discretization_order("zoh", 2)
    Traceback (most recent call last):
    ...
    AssertionError: order 2 does not hold: measured is 1.0...
    """
    if not (isinstance(order, (int, float)) and not isinstance(order, bool) and 0 < order < np.inf):
        raise ValueError(f"order must be a positive number, got {shorten(order)}")
    system = _checked(system)
    given = _coarsest(system) if dt is None else as_step(dt, what="assert_discretization_order")
    if np.ndim(given):
        raise ValueError(f"dt must be one step, the coarsest, got {shorten(dt)}")
    step, discretization = float(given), as_discretization(method)
    rates = _rates(system, step)
    errors: list[float] = []
    for halvings in range(_HALVINGS + 1):
        digital = _digital(discretization, system, step / 2**halvings)
        error, rounding = _error(system, digital, step / 2**halvings, _SAMPLES * 2**halvings, rates)
        if error <= rounding:
            return float("inf")
        errors.append(error)
        orders = np.log2(np.divide(errors[:-1], errors[1:]))
        if halvings > 1 and np.all(orders[-2:] >= order - _LEEWAY):  # one alone may be an error that crosses 0
            return float(orders[-1])
    found = ", ".join(f"{e:.2e} at dt={step / 2**k:.4g}" for k, e in enumerate(errors))
    context = pasted({"system": system, "dt": step})
    raise AssertionError(f"order {order:g} does not hold: measured is {orders[-1]:.2f}\n  errors {found}\n{context}")


def _checked(system: Any) -> ContinuousSystem:
    if system is None:
        return ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]])
    if not isinstance(system, ContinuousSystem):
        raise TypeError(f"system must be a ContinuousSystem, got {type(system).__name__}")
    if system.batch_shape:
        raise ValueError(
            f"system must be a single one, got the batch axes {system.batch_shape}; measure them one by one"
        )
    return system


def _coarsest(system: ContinuousSystem) -> float:
    """A tenth of a radian of the fastest pole."""
    fastest = float(np.abs(system.poles).max(initial=0.0))
    return 0.1 / fastest if fastest else 0.1


def _rates(system: ContinuousSystem, step: float) -> Array:
    """ω_j of the inputs: some turns of each over the run."""
    return 1.0 / (10 * step * (1.0 + 0.5 * np.arange(system.n_inputs)))


def _digital(discretization: Any, system: ContinuousSystem, step: float) -> DiscreteSystem:
    digital = discretization(system, step)
    if not isinstance(digital, DiscreteSystem):
        raise TypeError(
            f"a discretization must return a DiscreteSystem, got {type(digital).__name__}; "
            "wrap a function of matrices by statespace.testing.from_matrices"
        )
    return digital


def _error(
    system: ContinuousSystem, digital: DiscreteSystem, step: float, samples: int, rates: Array
) -> tuple[float, float]:
    """Error of the output that is worst beside its rounding, and that rounding, each relative to its largest value."""
    t = step * np.arange(samples)
    u = 1.0 - np.cos(t[:, None] * rates)
    y, exact = simulate(digital, u, form="recurrent").y, _exact(system, u, step, rates)
    size = np.abs(exact).max(axis=0, initial=0.0)  # each output by its own
    size = np.where(size > 0, size, 1.0)
    angle = float(np.linalg.norm(np.asarray(system.A))) * step
    # The oscillators of the exact answer turn by a rounded angle at each step.
    rounding = output_bound(digital, u, angle=max(1.0, angle), input_eps=samples * float(np.finfo(float).eps))
    error, rounding = np.abs(y - exact).max(axis=0, initial=0.0) / size, rounding / size
    worst = int(np.argmax(error / np.maximum(rounding, 1e-300))) if len(error) else None
    return (0.0, 0.0) if worst is None else (float(error[worst]), float(rounding[worst]))


def _exact(system: ContinuousSystem, u: Array, step: float, rates: Array) -> Array:
    """Outputs at the samples: x' = A x + B (1 − c) together with c' = −ω s, s' = ω c, by one e^{ΔA}."""
    from scipy.linalg import expm

    a, b, c, d = system
    n, m = b.shape
    whole = np.zeros((n + 3 * m, n + 3 * m), dtype=np.result_type(a, b, float))
    one, cosine, sine = (slice(n + k * m, n + (k + 1) * m) for k in range(3))
    whole[:n, :n], whole[:n, one], whole[:n, cosine] = a, b, -b
    whole[cosine, sine], whole[sine, cosine] = -np.diag(rates), np.diag(rates)
    advance = expm(step * whole)
    state = np.concatenate([np.zeros(n), np.ones(m), np.ones(m), np.zeros(m)]).astype(whole.dtype)
    y = []
    for u_k in u:
        y.append(c @ state[:n] + d @ u_k)
        state = advance @ state
    return np.array(y)

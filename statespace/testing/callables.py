"""What is held against a law: a system, or any function with a documented signature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from statespace.arrays import Array, as_host_signal, refuse_nonfinite, shorten
from statespace.conversion import as_system
from statespace.simulation import simulate
from statespace.systems import ContinuousSystem, DiscreteSystem
from statespace.testing.report import pasted

Runnable: TypeAlias = DiscreteSystem | Callable[[Array], Any]
Discretization: TypeAlias = Callable[[ContinuousSystem, float], DiscreteSystem]


def from_matrices(function: Callable[..., Any]) -> Discretization:
    """Make a discretization of systems from one of plain matrices, your own or another library's.

    Parameters
    ----------
    function : callable (A, B, C, D, dt) -> (A_d, B_d, C_d, D_d, ...)
        Takes four arrays and a number. What it returns after the fourth matrix is ignored; a system of scipy.signal or
        python-control is read as well.

    Returns
    -------
    callable (system, dt) -> DiscreteSystem
        What `assert_discretization_order` takes; its results are what `assert_equivalent` takes.

    Raises
    ------
    TypeError
        ``function`` cannot be called. When the discretization is called: the system is not continuous.
    AssertionError
        When the discretization is called: what came back is no system, such as three matrices, or NaN.

    References
    ----------
    T. Kailath, *Linear Systems*, Prentice-Hall 1980, section 2.1 (the four matrices).

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> euler = ss.testing.from_matrices(lambda A, B, C, D, dt: (np.eye(len(A)) + dt * A, dt * B, C, D))
    >>> euler(ss.ContinuousSystem([[-1.0]], [[1.0]], [[1.0]]), 0.5)
    DiscreteSystem([[0.5]], [[0.5]], [[1.0]], [[0.0]], dt=0.5)
    """
    if not callable(function):
        raise TypeError(f"from_matrices needs a function (A, B, C, D, dt), got {shorten(function)}")

    def discretize_matrices(system: ContinuousSystem, dt: float) -> DiscreteSystem:
        if not isinstance(system, ContinuousSystem):
            raise TypeError(f"a discretization needs a ContinuousSystem, got {type(system).__name__}")
        return _read(function(*system, dt), system, dt)

    return discretize_matrices


def _read(answer: Any, system: ContinuousSystem, dt: float) -> DiscreteSystem:
    """The system that came back; the code under test is wrong where it is none."""
    lines = pasted({"system": system, "dt": dt})
    if isinstance(answer, DiscreteSystem):
        return answer
    if not isinstance(answer, (tuple, list)):
        answer = tuple(as_system(answer))
    if len(answer) < 4:
        raise AssertionError(f"the function must return (A, B, C, D), got {len(answer)} values\n{lines}")
    try:
        return DiscreteSystem(*answer[:4], dt=dt)
    except ValueError as error:
        raise AssertionError(f"the function returned no system: {error}\n{lines}") from None


def as_discretization(method: Any) -> Discretization:
    """A callable (system, dt), or a method by name or object."""
    from statespace.discretization import discretize

    if callable(method):
        return method
    return lambda system, dt: discretize(system, dt, method)


# --------------------------------------------------------------- running


def as_run(function: Runnable, name: str) -> Callable[[Array], Array]:
    """From a system, or a function u -> y, to a function whose answers are (..., L, p)."""
    if isinstance(function, DiscreteSystem):
        return lambda u: simulate(function, u, form="recurrent").y.reshape(_shape_of_answer(function, u))
    refuse_continuous(function, name)
    if not callable(function):
        raise TypeError(f"{name} must be a DiscreteSystem or a function u -> y, got {shorten(function)}")
    return lambda u: with_outputs(function(u.copy()), u, name)


def refuse_continuous(value: Any, name: str) -> None:
    """Raise for a system without samples."""
    if isinstance(value, ContinuousSystem):
        raise TypeError(
            f"{name} is a ContinuousSystem, which has no samples; give statespace.discretize(system, dt, method)"
        )


def _shape_of_answer(system: DiscreteSystem, u: Array) -> tuple[int, ...]:
    batch = np.broadcast_shapes(system.batch_shape, with_inputs(u).shape[:-2])
    return (*batch, with_inputs(u).shape[-2], system.n_outputs)


def with_inputs(u: Array) -> Array:
    """(L,) is one input, (L, 1)."""
    return u[:, None] if u.ndim == 1 else u


def with_outputs(y: Any, u: Array, name: str) -> Array:
    """An answer as (..., L, p); N samples in, N samples out."""
    array = np.array(y)  # a copy: the function may use its memory again
    if array.dtype.kind not in "biufc":
        raise TypeError(f"{name} must return an array of numbers, got {shorten(y)}")
    array = array[:, None] if array.ndim == 1 and u.ndim == 1 else array
    wanted, length = ("(L,) or (L, p)", len(u)) if u.ndim == 1 else ("(..., L, p)", u.shape[-2])
    if array.ndim < 2 or array.shape[-2] != length:
        raise AssertionError(
            f"{name} returned an array of shape {np.shape(y)} for u.shape={u.shape}: wanted {wanted} with L={length}, "
            f"as many samples out as in\n{pasted({'u': u})}"
        )
    if not np.isfinite(array).all():
        sample = int(np.argmin(np.isfinite(array).all(axis=(*range(array.ndim - 2), -1))))
        raise AssertionError(
            f"{name} returned NaN or infinity from sample {sample} on for a finite u\n{pasted({'u': u})}"
        )
    return array


def rounding_of(function: Any, *answers: Array) -> float:
    """Eps of what a function answers in, over that of a double; a system of ours keeps its state in double."""
    if isinstance(function, DiscreteSystem):
        return 1.0
    return max(float(np.finfo(y.dtype).eps if y.dtype.kind in "fc" else 0.0) for y in answers) / float(
        np.finfo(float).eps
    )


# --------------------------------------------------------------- arguments


def as_input(u: Any, name: str = "u", like: DiscreteSystem | None = None) -> Array:
    """A finite signal, (L,) for one input or (..., L, m)."""
    array = as_host_signal(u, name)
    refuse_nonfinite(array, name)
    if array.ndim == 0:
        raise ValueError(f"{name} must have an axis of time, (L,) or (..., L, m), got a single number {shorten(u)}")
    inputs = with_inputs(array).shape[-1]
    if like is not None and inputs != like.n_inputs:
        raise ValueError(f"{name} has {inputs} inputs, the system has {like.n_inputs}; {name}.shape={array.shape}")
    return array


def system_of(system: Any, *functions: Any) -> DiscreteSystem | None:
    """The system that the bound comes from: the one that is given, else the first that is held against the law."""
    if system is not None and not isinstance(system, DiscreteSystem):
        raise TypeError(f"system must be the DiscreteSystem that the function should be, got {shorten(system)}")
    found = [f for f in (system, *functions) if isinstance(f, DiscreteSystem)]
    return found[0] if found else None


def check_slack(slack: Any, angle: Any = 0.0) -> None:
    """Raise unless the two numbers that widen a bound are what they should be."""
    check_positive(slack, "slack", "it multiplies the bound of the error model")
    check_positive(angle, "angle", "it is the norm of ΔA", zero=True)


def check_positive(value: Any, name: str, why: str, *, zero: bool = False) -> None:
    """Raise unless an option is a positive real number."""
    real = isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, np.complexfloating))
    if not (real and (value >= 0 if zero else value > 0) and value < np.inf):
        kind = "a number, 0 or more" if zero else "a positive number"
        raise ValueError(f"{name} must be {kind}, got {shorten(value)}; {why}")

"""What makes a system linear and time-invariant."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array, shorten
from statespace.systems import DiscreteSystem
from statespace.testing.bounds import coarse_bound, memory, output_bound
from statespace.testing.callables import Runnable, as_input, as_run, check_slack, rounding_of, system_of, with_inputs
from statespace.testing.margin import Margin, compare
from statespace.testing.report import pasted


def assert_linear(
    function: Runnable,
    u: Any,
    v: Any,
    *,
    a: complex | None = None,
    b: complex | None = None,
    system: DiscreteSystem | None = None,
    angle: float = 0.0,
    slack: float = 1.0,
) -> Margin:
    """Assert superposition: f(a u + b v) = a f(u) + b f(v).

    Parameters
    ----------
    function : DiscreteSystem, or callable u -> y
        A function is given a signal as it stands, (L,) or (..., L, m), and returns (L,), (L, p) or (..., L, p), from
        rest.
    u, v : array_like, (L,) or (..., L, m)
        Two signals of one shape.
    a, b : float or complex, optional
        Two numbers; 2 and −3 when omitted, and 2 + j and −3j of complex signals.
    system : DiscreteSystem, optional
        What a function should be, for the bound. Without it the bound is 8·eps·L of the largest of each answer.
    angle : float
        ‖ΔA‖ where the function discretizes by itself, so that its coefficients are known to eps·‖ΔA‖.
    slack : float
        Factor on the bound.

    Returns
    -------
    Margin
        The error that came closest to its bound.

    Raises
    ------
    AssertionError
        It does not hold: output, sample, both values, the bound, and the lines to paste.
    TypeError
        The function cannot be called, or is a continuous system.
    ValueError
        The signals do not fit each other or the system, or a or b is not finite.

    References
    ----------
    A. V. Oppenheim, R. W. Schafer, *Discrete-Time Signal Processing*, 3rd ed., section 2.2.2.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> ss.testing.assert_linear(np.cumsum, np.ones(5), np.arange(5.0)).error
    0.0
    >>> ss.testing.assert_linear(np.abs, np.ones(2), np.ones(2))
    Traceback (most recent call last):
    ...
    AssertionError: linearity does not hold for output 0 at sample 0:
      f(a·u + b·v)     1.0
      a·f(u) + b·f(v)  -1.0
      they differ by 2, allowed is 2.13e-14
    ...
    """
    check_slack(slack, angle)
    run, like = as_run(function, "function"), system_of(system, function)
    first, second = as_input(u, "u", like), as_input(v, "v", like)
    is_complex = "c" in (first.dtype.kind, second.dtype.kind)
    a = ((2.0 + 1j) if is_complex else 2.0) if a is None else a
    b = (-3j if is_complex else -3.0) if b is None else b
    _check_numbers(a, b)
    if first.shape != second.shape:
        raise ValueError(f"u and v must have one shape, got u.shape={first.shape} and v.shape={second.shape}")
    mixed = a * first + b * second
    parts = run(first), run(second), run(mixed)
    if not parts[0].shape == parts[1].shape == parts[2].shape:
        shapes = ", ".join(str(y.shape) for y in parts)
        lines = pasted({"u": first, "v": second, "a": a, "b": b})
        raise AssertionError(f"f must answer signals of one shape alike, got {shapes}\n{lines}")
    sides = {"f(a·u + b·v)": parts[2], "a·f(u) + b·f(v)": a * parts[0] + b * parts[1]}
    weights = (abs(a), abs(b), 1.0)
    past: Any = first.shape[0] if first.ndim == 1 else first.shape[-2]
    if like is None:
        bound = coarse_bound(*(w * y for w, y in zip(weights, parts, strict=True)))
    else:
        past = memory(like, past)
        bound = _superposed_bound(like, weights, (first, second, mixed), angle) * rounding_of(function, *parts)
    return compare("linearity", sides, slack * bound, past, system=like, u=first, v=second, a=a, b=b)


def _superposed_bound(
    system: DiscreteSystem, weights: tuple[float, ...], signals: tuple[Array, ...], angle: float
) -> Array:
    """Three runs round once each, half of what two answers may differ by, and a·u + b·v in the precision of u and v."""
    eps = float(np.finfo(signals[2].dtype).eps)
    bounds = [
        w * output_bound(system, with_inputs(s), angle=angle, input_eps=eps)
        for w, s in zip(weights, signals, strict=True)
    ]
    return np.asarray(sum(bounds) / 2)


def _check_numbers(a: Any, b: Any) -> None:
    for name, value in (("a", a), ("b", b)):
        if not (isinstance(value, (int, float, complex, np.number)) and np.isfinite(complex(value))):
            raise ValueError(f"{name} must be a finite number, got {shorten(value)}")


def assert_time_invariant(
    function: Runnable,
    u: Any,
    delay: int = 1,
    *,
    system: DiscreteSystem | None = None,
    angle: float = 0.0,
    exact: bool = False,
    slack: float = 1.0,
) -> Margin:
    """Assert that a delayed signal gives the delayed answer, and nothing before it.

    Parameters
    ----------
    function : DiscreteSystem, or callable u -> y
        A function is given a signal as it stands, (L,) or (..., L, m), and returns (L,), (L, p) or (..., L, p), from
        rest. It is called with u, and with u after ``delay`` zeros.
    u : array_like, (L,) or (..., L, m)
        A signal.
    delay : int
        Samples, from 0.
    system : DiscreteSystem, optional
        What a function should be, for the bound. Without it the bound is 8·eps·L of the largest of each answer.
    angle : float
        ‖ΔA‖ where the function discretizes by itself, so that its coefficients are known to eps·‖ΔA‖.
    exact : bool
        Ask for the same bits, as every recurrence gives them.
    slack : float
        Factor on the bound.

    Returns
    -------
    Margin
        The error that came closest to its bound.

    Raises
    ------
    AssertionError
        It does not hold: output, sample, both values, the bound, and the lines to paste. Samples count from the zeros.
    TypeError
        The function cannot be called, or is a continuous system.
    ValueError
        The signal does not fit the system, or the delay is not a number of samples.

    References
    ----------
    A. V. Oppenheim, R. W. Schafer, *Discrete-Time Signal Processing*, 3rd ed., section 2.2.3.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> ss.testing.assert_time_invariant(np.cumsum, np.ones(5), 3, exact=True)
    Margin(error=0.0, bound=0.0, memory=8.0)
    """
    check_slack(slack, angle)
    if not isinstance(delay, (int, np.integer)) or isinstance(delay, bool) or delay < 0:
        raise ValueError(f"delay must be a number of samples, 0 or more, got {shorten(delay)}")
    run, like = as_run(function, "function"), system_of(system, function)
    early = as_input(u, "u", like)
    late = _delayed(early, delay, 0 if early.ndim == 1 else early.ndim - 2)
    answer, soon = run(late), run(early)
    sides = {"f(delayed u)": answer, "delayed f(u)": _delayed(soon, delay, soon.ndim - 2)}
    length = answer.shape[-2]
    past = memory(like, length) if like else length
    bound: Any = 0.0
    if not exact and like is None:
        bound = slack * coarse_bound(answer)
    elif not exact and like is not None:
        bound = slack * output_bound(like, with_inputs(late), angle=angle) * rounding_of(function, answer)
    return compare("time invariance", sides, bound, past, system=like, u=early, delay=int(delay))


def _delayed(signal: Array, delay: int, axis: int) -> Array:
    shape = list(signal.shape)
    shape[axis] = delay
    return np.concatenate([np.zeros(shape, signal.dtype), signal], axis=axis)

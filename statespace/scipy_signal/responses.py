"""Systems as scipy.signal takes them: discretization, simulation, responses.

The output of a filter given by poles or coefficients comes from its cascade, which keeps its poles; states, where they
are asked for or given, are those of SciPy's companion form.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array, as_step, check_choice, shorten
from statespace.conversion import as_system, to_tf, to_zpk
from statespace.discretization import (
    BackwardEuler,
    Bilinear,
    FirstOrderHold,
    ForwardEuler,
    GeneralizedBilinear,
    Impulse,
    ZeroOrderHold,
    discretize,
)
from statespace.frequency import FrequencyResponse, frequency_response, unwrapped_phase
from statespace.scipy_signal.models import (
    Model,
    columns,
    default_times,
    joined,
    read_count,
    read_fraction,
    read_input,
    read_model,
    read_stamps,
    read_state,
    read_times,
)
from statespace.simulation import Response, simulate

_RULES: dict[str, Any] = {
    "gbt": GeneralizedBilinear,
    "bilinear": lambda alpha: Bilinear(),
    "tustin": lambda alpha: Bilinear(),
    "euler": lambda alpha: ForwardEuler(),
    "forward_diff": lambda alpha: ForwardEuler(),
    "backward_diff": lambda alpha: BackwardEuler(),
    "zoh": lambda alpha: ZeroOrderHold(),
    "foh": lambda alpha: FirstOrderHold(),
    "impulse": lambda alpha: Impulse(),
}


def cont2discrete(system: Any, dt: Any, method: str = "zoh", alpha: float | None = None) -> Any:
    """Discretize a system, as ``scipy.signal.cont2discrete``.

    Parameters
    ----------
    system : tuple or scipy.signal.lti
        (num, den), (z, p, k) or (A, B, C, D).
    dt : float
        Step of time.
    method : str
        "gbt", "bilinear" or "tustin", "euler" or "forward_diff", "backward_diff", "zoh", "foh", "impulse".
    alpha : float, optional
        Weight of "gbt", from 0 to 1.

    Returns
    -------
    tuple or scipy.signal.dlti
        As the system was given, with dt at the end. Matrices are in SciPy's coordinates; poles and zeros do not go
        through a companion matrix.

    Raises
    ------
    ValueError
        The method is unknown, "gbt" has no alpha or "impulse" has a feedthrough, or as `statespace.discretize`.

    Warns
    -----
    AccuracyWarning
        The coefficients of the answer do not determine it well.

    Examples
    --------
    >>> from statespace.scipy_signal import cont2discrete
    >>> z, p, k, dt = cont2discrete(([], [-2.0], 2.0), 1.0, "bilinear")
    >>> z.tolist(), p.tolist(), k
    ([-1.0], [0.0], 0.5)
    """
    model, delta = read_model(system, "cont2discrete"), as_step(dt, what="cont2discrete")
    if delta.size != 1:
        raise ValueError(
            f"cont2discrete takes one dt, got {shorten(dt)}; statespace.discretize takes one for each system"
        )
    delta, dt = delta.reshape(()), np.asarray(dt).item()
    check_choice(method, tuple(_RULES), "method")
    if method == "gbt" and alpha is None:
        raise ValueError("method='gbt' needs alpha=, its weight from 0 to 1")
    if method == "impulse" and np.any(model.own.D):
        raise ValueError("method='impulse' needs a system without feedthrough, whose response would hold an impulse")
    answer = (_fraction, _zpk, _matrices)[len(model.parts) - 2](model, delta, _RULES[method](alpha))
    if hasattr(system, "to_discrete"):
        from scipy.signal import dlti  # its objects come in, so they go out

        return dlti(*(read_fraction(*answer) if len(answer) == 2 else answer), dt=dt)
    return *answer, dt


def lsim(system: Any, U: Any, T: Any, X0: Any = None, interp: bool = True) -> tuple[Array, Array, Array]:
    """Simulate a continuous system, as ``scipy.signal.lsim``.

    Parameters
    ----------
    system : tuple or scipy.signal.lti
        (num, den), (z, p, k) or (A, B, C, D).
    U : array_like, (L,) or (L, m), or 0 or None
        Input.
    T : array_like, (L,)
        Times in equal steps, from 0 or later; before the first there is no input.
    X0 : array_like, (n,), optional
        State at time 0, in SciPy's coordinates.
    interp : bool
        Whether the input is joined by lines, or held.

    Returns
    -------
    T : ndarray, (L,)
        The times.
    yout : ndarray, (L,) or (L, p)
        Output.
    xout : ndarray, (L,) or (L, n)
        States, in SciPy's coordinates.

    Raises
    ------
    ValueError
        A shape does not fit, T is uneven (`statespace.simulate` takes it) or starts below 0.
    AttributeError
        The system is discrete.

    Examples
    --------
    >>> import numpy as np
    >>> from statespace.scipy_signal import lsim
    >>> t, y, x = lsim(([1.0], [1.0, 1.0]), [1.0, 1.0, 1.0], [0.0, 1.0, 2.0])
    >>> y.round(4)
    array([0.    , 0.6321, 0.8647])
    """
    model = read_model(system, "lsim")
    t = read_times(T)
    u = read_input(U, len(t), model.own.n_inputs)
    hold = "foh" if interp else "zoh"
    ran = _from_zero(model.states, u, t, read_state(X0, model.states), hold)
    y = ran.y if X0 is not None or model.is_matrices else _from_zero(model.own, u, t, None, hold).y
    assert ran.x is not None
    return t, y.squeeze(), ran.x.squeeze()


def step(system: Any, X0: Any = None, T: Any = None, N: int | None = None) -> tuple[Array, Array]:
    """Respond to a unit step, as ``scipy.signal.step``.

    Parameters
    ----------
    system : tuple or scipy.signal.lti
        (num, den), (z, p, k) or (A, B, C, D), one input.
    X0 : array_like, (n,), optional
        State at time 0, in SciPy's coordinates.
    T : array_like, (L,), optional
        Times in equal steps, from 0 or later; the step comes at the first.
    N : int, optional
        Without T, how many times up to seven of the slowest time constants; 100 when omitted.

    Returns
    -------
    T : ndarray, (L,)
        The times.
    yout : ndarray, (L,) or (L, p)
        Output.

    Raises
    ------
    ValueError, AttributeError
        As `lsim`.

    Examples
    --------
    >>> from statespace.scipy_signal import step
    >>> step(([1.0], [1.0, 1.0]), T=[0.0, 1.0])[1].round(4)
    array([0.    , 0.6321])
    """
    model = read_model(system, "step")
    t = read_times(default_times(model.own, N) if T is None else T)
    _refuse_several_inputs(model.own, "step")
    one = model.own if X0 is None else model.states
    return t, _from_zero(one, np.ones((len(t), 1)), t, read_state(X0, one), "zoh").y.squeeze()


def impulse(system: Any, X0: Any = None, T: Any = None, N: int | None = None) -> tuple[Array, Array]:
    """Respond to an impulse at time 0, as ``scipy.signal.impulse``.

    Parameters
    ----------
    system : tuple or scipy.signal.lti
        (num, den), (z, p, k) or (A, B, C, D), one input. A feedthrough, which would be an impulse in the output,
        is left out.
    X0 : array_like, (n,), optional
        State just before, in SciPy's coordinates.
    T : array_like, (L,), optional
        Times in equal steps, from 0 or later.
    N : int, optional
        Without T, how many times up to seven of the slowest time constants; 100 when omitted.

    Returns
    -------
    T : ndarray, (L,)
        The times.
    yout : ndarray, (L,) or (L, p)
        Output.

    Raises
    ------
    ValueError, AttributeError
        As `lsim`.

    Examples
    --------
    >>> from statespace.scipy_signal import impulse
    >>> impulse(([1.0], [1.0, 1.0]), T=[0.0, 1.0])[1].round(4)
    array([1.    , 0.3679])
    """
    model = read_model(system, "impulse")
    t = read_times(default_times(model.own, N) if T is None else T)
    _refuse_several_inputs(model.own, "impulse")
    one = model.own if X0 is None else model.states
    before = read_state(X0, one)
    start = one.B[:, 0] if before is None else one.B[:, 0] + before
    y = _from_zero(one, np.zeros((len(t), 1)), t, start, "zoh").y
    return t if T is None else np.asarray(T), y.squeeze()


def dlsim(system: Any, u: Any, t: Any = None, x0: Any = None) -> tuple[Array, ...]:
    """Simulate a discrete system, as ``scipy.signal.dlsim``.

    Complex systems stay complex and the last sample stays there, which is not so in SciPy.

    Parameters
    ----------
    system : tuple or scipy.signal.dlti
        (num, den, dt), (z, p, k, dt) or (A, B, C, D, dt).
    u : array_like, (L,) or (L, m)
        Input.
    t : array_like, (L,), optional
        Times at which the input is given; between them it is joined by lines. The last one says how far the answer
        goes, in steps of dt from 0.
    x0 : array_like, (n,), optional
        State before the first sample, in SciPy's coordinates.

    Returns
    -------
    tout : ndarray, (K,)
        Times k·dt.
    yout : ndarray, (K, p)
        Output.
    xout : ndarray, (K, n)
        States; for a system given as matrices only.

    Raises
    ------
    ValueError
        A shape does not fit.
    AttributeError
        The system is continuous.

    Examples
    --------
    >>> from statespace.scipy_signal import dlsim
    >>> tout, yout = dlsim(([1.0], [1.0, -0.5], 0.1), [1.0, 0.0, 0.0])
    >>> yout
    array([[0. ],
           [1. ],
           [0.5]])
    """
    model = read_model(system, "dlsim", discrete=True)
    dt = model.own.dt
    given = columns(u, "u")
    times = None if t is None else read_stamps(t, len(given))
    # A multiple of dt in binary may fall short of itself by a rounding.
    length = len(given) if times is None else int(times[-1] / dt * (1 + 8 * np.finfo(float).eps)) + 1
    tout = dt * np.arange(length)
    driving = read_input(given if times is None else joined(times, given, tout), length, model.own.n_inputs)
    if not model.is_matrices and x0 is None:
        return tout, simulate(model.own, driving).y
    ran = simulate(model.states, driving, x0=read_state(x0, model.states), states=True)
    assert ran.x is not None
    return (tout, ran.y, ran.x) if model.is_matrices else (tout, ran.y)


def freqresp(system: Any, w: Any = None, n: int = 10000) -> tuple[Array, Array]:
    """Evaluate the frequency response of a continuous system, as ``scipy.signal.freqresp``.

    Parameters
    ----------
    system : tuple or scipy.signal.lti
        (num, den), (z, p, k) or (A, B, C, D), one input and one output.
    w : array_like or int, optional
        Angular frequencies, or how many.
    n : int
        Without w, how many, over decades around the poles and zeros.

    Returns
    -------
    w : ndarray, (F,)
        Angular frequencies.
    H : ndarray, (F,)
        Complex response; inf on a pole.

    Raises
    ------
    ValueError
        The system has several inputs or outputs, or w is not finite.
    AttributeError
        The system is discrete.

    Examples
    --------
    >>> from statespace.scipy_signal import freqresp
    >>> w, H = freqresp(([1.0], [1.0, 1.0]), [0.0, 1.0])
    >>> H
    array([1. +0.j , 0.5-0.5j])
    """
    response = _frequency_response(system, w, n, "freqresp")
    return response.omega, response.H


def bode(system: Any, w: Any = None, n: int = 100) -> tuple[Array, Array, Array]:
    """Evaluate magnitude and phase of a continuous system, as ``scipy.signal.bode``.

    Parameters
    ----------
    system : tuple or scipy.signal.lti
        (num, den), (z, p, k) or (A, B, C, D), one input and one output.
    w : array_like or int, optional
        Angular frequencies, or how many.
    n : int
        Without w, how many, over decades around the poles and zeros.

    Returns
    -------
    w, mag, phase : ndarray, (F,)
        Angular frequencies, magnitude in dB, and phase in degrees without jumps.

    Raises
    ------
    ValueError, AttributeError
        As `freqresp`.

    Examples
    --------
    >>> from statespace.scipy_signal import bode
    >>> w, mag, phase = bode(([1.0], [1.0, 1.0]), [1.0, 100.0])
    >>> mag.round(2), phase.round(1)
    (array([ -3.01, -40.  ]), array([-45. , -89.4]))
    """
    response = _frequency_response(system, w, n, "bode")
    with np.errstate(divide="ignore"):  # a zero is at −inf dB
        magnitude = 20.0 * np.log10(np.abs(response.H))
    phase = unwrapped_phase(response)
    return response.omega, magnitude, np.rad2deg(np.where(np.isnan(phase), np.angle(response.H), phase))


# --------------------------------------------------------------- what they share


def _frequency_response(system: Any, w: Any, n: int, name: str) -> FrequencyResponse:
    own = read_model(system, name).own
    if not own.is_siso:
        raise ValueError(
            f"{name} needs one input and one output, the system has {own.n_inputs} and {own.n_outputs}; "
            "statespace.frequency_response takes them all"
        )
    count = read_count(n, "n") if w is None else read_count(w, "w")
    if w is None and count is None:
        raise ValueError(f"n must be a number of frequencies, got {shorten(n)}")
    if count is not None:
        from scipy.signal import findfreqs  # which decades is SciPy's to say

        w = findfreqs(own.zeros, own.poles, count, kind="zp")
    return frequency_response(own, w)


def _from_zero(system: Any, u: Array, t: Array, x0: Array | None, hold: str) -> Response:
    """Run from a state at time 0, with an input from the first stamp on."""
    if x0 is not None and t[0] > 0:
        x0 = simulate(system, np.zeros((2, system.n_inputs)), t=[0.0, t[0]], x0=x0).final_state
    return simulate(system, u, t=t, x0=x0, hold=hold, states=True)


def _refuse_several_inputs(system: Any, name: str) -> None:
    if system.n_inputs != 1:
        raise ValueError(
            f"{name} needs one input, the system has {system.n_inputs}; statespace.{name}_response takes them all"
        )


def _matrices(model: Model, delta: Array, rule: Any) -> tuple[Any, ...]:
    """SciPy gives one factor (1 − w Δ A)⁻¹ of a rational rule to B and one to C; here B has both."""
    a, b, c, d = (np.array(m) for m in discretize(model.own, delta, rule))
    spread = np.eye(len(a)) - getattr(rule, "w", 0.0) * delta * model.parts[0]
    return a, spread @ b, np.linalg.solve(spread.T, c.T).T, d


def _zpk(model: Model, delta: Array, rule: Any) -> tuple[Any, ...]:
    z, p, k = to_zpk(discretize(model.own, delta, rule))
    return *(r if r.imag.any() else r.real for r in (z, p)), k.item()


def _fraction(model: Model, delta: Array, rule: Any) -> tuple[Any, ...]:
    """A row of the numerator for each output, as long as the denominator, which they share."""
    num, den = model.parts
    rows: list[Any] = [as_system((row, den)) for row in num]
    each = [to_tf(discretize(row, delta, rule)) for row in rows]
    return np.stack([np.pad(n, (len(d) - len(n), 0)) for n, d in each]), each[0][1]

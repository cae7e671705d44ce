"""filter and steady_state: a single-input single-output system along one axis of any array."""

from __future__ import annotations

from typing import Any, overload

import numpy as np

from statespace.arrays import Array, as_coefficients, as_signal, library_of, on_device, shorten, warn_of_loss
from statespace.scan import as_state, run
from statespace.simulation.channels import check_channelwise, misaligned, time_axis, time_back, time_last
from statespace.simulation.choice import run_once
from statespace.structure import knows_poles
from statespace.structure.matrices import is_singular
from statespace.systems import ContinuousSystem, DiscreteSystem


@overload
def filter(system: DiscreteSystem, x: Any, *, axis: int | None = None, state: None = None) -> Array: ...
@overload
def filter(system: DiscreteSystem, x: Any, *, axis: int | None = None, state: Any) -> tuple[Array, Array]: ...
def filter(
    system: DiscreteSystem, x: Any, *, axis: int | None = None, state: Any = None
) -> Array | tuple[Array, Array]:
    """Run a single-input single-output system along one axis of an array, every other axis a channel.

    Parameters
    ----------
    system : DiscreteSystem
        One input, one output. A batch of systems aligns with the other axes of x: 256 systems filter
        (batch, L, 256) along axis 1.
    x : array_like
        Signal of any shape.
    axis : int
        Axis of time; may be left out for a 1-D signal only.
    state : None, "zero", "steady" or array_like, (..., state_size)
        None: start from zero and return y alone. "zero": start from zero, "steady": start as if the first
        sample had lasted for ever, or start from a state, whose leading axes are those of x without
        time; all three return the state after the last sample too.

    Returns
    -------
    y : ndarray
        As x; a batch of systems that x has no axis for leads. A long signal without ``state`` is cut into blocks
        that run at once, to rounding the same; with a state samples run one after the other, and any split gives the
        same bits.
    state : ndarray, (..., state_size)
        Only where ``state`` is given: hand it to the next call to go on, bit for bit.

    Raises
    ------
    TypeError
        The system is continuous, or the state does not live where x does.
    ValueError
        The system is not single-input single-output, axis is missing, or shapes do not fit.

    Notes
    -----
    NaN propagates from its sample on, never backwards, and never into another channel.

    In blocks, what a signal left is gone when it has fallen to 1e-21 of its peak; sample by sample it goes on to
    1e-308. A long float32 signal of few channels runs in single precision where no pole of a cascade lies beyond 0.99
    and its states round quietly: y is then right to 1.5e-5 of the largest x times the peak gain, for signals from
    1e-25 to 1e30; `explain` says so. With a ``state`` all is double inside.

    A CuPy array is filtered on its device, in double inside, to CuPy arrays. A long one without ``state`` is cut into
    blocks there as well; whether it is finite is then looked at first, which waits for the device.

    References
    ----------
    A. V. Oppenheim, R. W. Schafer, *Discrete-Time Signal Processing*, 3rd ed., section 6.3.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> smooth = ss.from_ba([0.5], [1.0, -0.5], dt=1.0)
    >>> ss.filter(smooth, np.ones(4))
    array([0.5   , 0.75  , 0.875 , 0.9375])
    >>> y, state = ss.filter(smooth, np.ones((4, 2)), axis=0, state="steady")
    >>> y[:, 0]
    array([1., 1., 1., 1.])
    """
    check_channelwise(system, "filter")
    signal = as_signal(x, "x")
    axis = time_axis(axis, signal)
    lanes = time_last(signal, axis)[..., None]
    start = starting_state(system, lanes, state)
    try:
        result = run(system, lanes, start) if state is not None else run_once(system, lanes)
    except ValueError as error:
        raise misaligned("filter", error, signal, axis) from None
    y = time_back(result.y[..., 0], axis)
    return y if state is None else (y, result.final)


def starting_state(system: DiscreteSystem, lanes: Array, state: Any) -> Array | None:
    """The state to start from, from a word or an array, for a signal (..., L, m)."""
    if state is None or (isinstance(state, str) and state == "zero"):
        return None
    if isinstance(state, str):
        if state != "steady":
            raise ValueError(f"state must be 'zero', 'steady' or an array, got {state!r}")
        if lanes.shape[-2] == 0:
            raise ValueError("state='steady' needs a first sample, got an empty signal")
        return steady_state(system, lanes[..., 0, :])
    return as_state(state, system, "state", like=lanes)


def steady_state(system: ContinuousSystem | DiscreteSystem, u0: Any) -> Array:
    """State that a constant input holds still: (I − A) x = B u0, or −A x = B u0 in continuous time.

    Parameters
    ----------
    system : ContinuousSystem or DiscreteSystem
    u0 : float or array_like, (..., m)
        The constant input; a number for a single-input system.

    Returns
    -------
    ndarray, (..., state_size)
        A CuPy array where u0 is one.

    Raises
    ------
    ValueError
        The system integrates a constant (a pole at 0, or at 1 in discrete time), so none exists, or
        u0 does not have m entries.

    Warns
    -----
    AccuracyWarning
        A pole of a discrete system lies within 1e-10 of 1: about ten digits are lost.

    References
    ----------
    F. Gustafsson, "Determining the initial states in forward-backward filtering", IEEE Trans. Signal
    Process. 44 (1996), section II.

    Examples
    --------
    >>> import statespace as ss
    >>> spring = ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]])
    >>> bool(abs(ss.steady_state(spring, 2.0) - [0.5, 0.0]).max() < 1e-15)
    True
    """
    if not isinstance(system, (ContinuousSystem, DiscreteSystem)):
        raise TypeError(f"steady_state needs a system first, got {type(system).__name__}")
    u = as_coefficients(u0, "u0") if not (isinstance(u0, np.ndarray) or on_device(u0)) else as_signal(u0, "u0")
    u = u.reshape(u.shape or (1,))
    if u.shape[-1] != system.n_inputs:
        raise ValueError(f"u0 must have shape (..., m={system.n_inputs}), got {u.shape} from {shorten(u0)}")
    point = system._dc_point
    distance = np.abs(system.poles - point) / np.maximum(np.abs(system.poles), 1.0 if point else 1e-300)
    if np.any(distance == 0) or _hides_integrator(system, point):
        raise ValueError(f"the system has a pole at {point:g}: it integrates a constant input and has no steady state")
    if np.any(distance < 1e-10) and point:
        warn_of_loss(f"a pole lies within 1e-10 of {point:g}: the steady state has few correct digits")
    try:
        batch = np.broadcast_shapes(system.batch_shape, u.shape[:-1])
    except ValueError:
        raise ValueError(
            f"the batch axes do not broadcast: the system has {system.batch_shape}, u0 has {u.shape[:-1]}"
        ) from None
    if on_device(u):
        return _steady_on_device(system, u, point, batch)
    real = not (system.is_complex or system.stores_pairs or u.dtype.kind == "c" or system.B.dtype.kind == "c")
    x = system.A.resolvent(np.full(batch, point, complex), system.B @ u[..., None])
    return x[..., 0].real if real else x[..., 0]


def _steady_on_device(system: Any, u: Any, point: float, batch: tuple[int, ...]) -> Any:
    """The same where u0 lives on a device: (I − A)⁻¹ B from the host, times u0."""
    xp = library_of(u)
    gain = system.A.resolvent(np.full(system.batch_shape, point, complex), system.B)  # (..., n, m)
    real = not (system.is_complex or system.stores_pairs or system.B.dtype.kind == "c")
    gain = xp.asarray(np.ascontiguousarray(gain.real if real else gain))
    u = xp.broadcast_to(u, (*batch, u.shape[-1]))
    return xp.matmul(gain, u.astype(np.result_type(u.dtype, np.float64))[..., None])[..., 0]


def _hides_integrator(system: Any, point: float) -> bool:
    """Whether a matrix of unknown poles has one here to rounding, where eigenvalues miss it by 1e-16."""
    if knows_poles(system.A):
        return False
    return bool(np.any(is_singular(point * np.eye(system.n_states) - np.asarray(system.A))))

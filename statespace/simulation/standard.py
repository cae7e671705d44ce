"""impulse_response and step_response: what a system does to the two standard inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array, as_step, shorten
from statespace.discretization import discretize
from statespace.simulation.grids import as_stamps
from statespace.simulation.response import Response
from statespace.simulation.run import simulate
from statespace.systems import ContinuousSystem, DiscreteSystem


def impulse_response(
    system: ContinuousSystem | DiscreteSystem,
    length: int | None = None,
    *,
    t: Any = None,
    dt: Any = None,
    fs: Any = None,
) -> Response:
    """Response to an impulse on each input, from rest.

    Discrete: the unit-sample response h[0] = D, h[k] = C A^{k−1} B, without any factor dt: the kernel.
    Continuous: h(t) = C e^{At} B, exact at any stamps; a feedthrough D would be an impulse at 0 and is not
    in it.

    Parameters
    ----------
    system : ContinuousSystem or DiscreteSystem
    length : int, optional
        Number of samples; chosen from the poles when omitted.
    t : array_like, (L,), optional
        Stamps, for a continuous system. They count from the impulse; the first is usually 0.
    dt, fs : float, optional
        Step or rate of a uniform grid, for a continuous system.

    Returns
    -------
    Response
        y of shape (..., L, p, m), output by input; (L,) for one system with one input and one output.

    Raises
    ------
    ValueError
        The grid does not increase or starts before 0, length is not positive, or the options conflict.

    References
    ----------
    T. Kailath, *Linear Systems*, Prentice-Hall 1980, section 2.3.

    Examples
    --------
    >>> import statespace as ss
    >>> ss.impulse_response(ss.DiscreteSystem([[0.5]], [[1.0]], [[1.0]], [[3.0]], dt=1.0), 4).y
    array([3.  , 1.  , 0.5 , 0.25])
    """
    return _response(system, length, t, dt, fs, impulse=True)


def step_response(
    system: ContinuousSystem | DiscreteSystem,
    length: int | None = None,
    *,
    t: Any = None,
    dt: Any = None,
    fs: Any = None,
) -> Response:
    """Response to a unit step on each input, from rest.

    Parameters
    ----------
    system : ContinuousSystem or DiscreteSystem
    length : int, optional
        Number of samples; chosen from the poles when omitted.
    t : array_like, (L,), optional
        Stamps, for a continuous system. They count from the step; the first is usually 0.
    dt, fs : float, optional
        Step or rate of a uniform grid, for a continuous system.

    Returns
    -------
    Response
        y of shape (..., L, p, m), output by input; (L,) for one system with one input and one output.

    Raises
    ------
    ValueError
        As `impulse_response`.

    References
    ----------
    T. Kailath, *Linear Systems*, Prentice-Hall 1980, section 2.3.

    Examples
    --------
    >>> import statespace as ss
    >>> lag = ss.from_zpk([], [-1.0], 1.0)
    >>> ss.step_response(lag, t=[0.0, 1.0, 3.0]).y.round(4)
    array([0.    , 0.6321, 0.9502])
    """
    return _response(system, length, t, dt, fs, impulse=False)


def _response(system: Any, length: Any, t: Any, dt: Any, fs: Any, *, impulse: bool) -> Response:
    if not isinstance(system, (ContinuousSystem, DiscreteSystem)):
        raise TypeError(f"a response needs a ContinuousSystem or DiscreteSystem, got {type(system).__name__}")
    if length is not None and (not isinstance(length, (int, np.integer)) or isinstance(length, bool) or length < 1):
        raise ValueError(f"length must be a positive number of samples, got {shorten(length)}; stamps are t=")
    if isinstance(system, DiscreteSystem):
        if not (t is None and dt is None and fs is None):
            raise ValueError(f"a discrete system has its own dt={system.dt}; give length= alone")
        return _discrete(system, int(length or _samples(system)), impulse=impulse)
    return _continuous(system, _grid(system, length, t, dt, fs), impulse=impulse)


def _discrete(system: DiscreteSystem, length: int, *, impulse: bool) -> Response:
    u = np.zeros((length, 1)) if impulse else np.ones((length, 1))
    u[0] = 1.0
    runs = [simulate(system[:, j], u) for j in range(system.n_inputs)]
    return _collect(system, runs)


def _continuous(system: ContinuousSystem, grid: dict[str, Any], *, impulse: bool) -> Response:
    """Impulse: from x(0) = B without input. Step: a held input of 1."""
    size = grid.pop("length")
    if not impulse:
        return _collect(system, [simulate(system[:, j], np.ones((size, 1)), **grid) for j in range(system.n_inputs)])
    no_input = np.zeros((size, 1))
    runs = [simulate(system[:, j], no_input, x0=system.B[..., j], **grid) for j in range(system.n_inputs)]
    return _collect(system, runs)


def _collect(system: Any, runs: list[Response]) -> Response:
    """One response with an axis of inputs, (..., L, p, m)."""
    if not runs:
        raise ValueError("the system has no inputs, so there is no response to one")
    y: Array = np.stack([r.y for r in runs], axis=-1)
    if system.is_siso:
        y = y[..., 0, 0]
    ran = runs[0].system
    if system.n_inputs > 1:  # each run had one column; the system that ran is all of them
        digital = isinstance(ran, DiscreteSystem) and isinstance(system, ContinuousSystem)
        ran = discretize(system, ran.dt, ran.method) if digital else system
    return Response(runs[0].t, y, None, None, ran)


def _grid(system: ContinuousSystem, length: Any, t: Any, dt: Any, fs: Any) -> dict[str, Any]:
    """t, or dt with a length, from what was given and from the poles."""
    if t is not None:
        if length is not None or dt is not None or fs is not None:
            raise ValueError("give the stamps t= alone, or length= with dt= or fs=")
        stamps, _, _ = as_stamps(t, system.time_unit)
        if len(stamps) and stamps.dtype.kind != "M" and stamps[0] < 0:
            raise ValueError(f"t counts from the impulse or step and cannot be negative, got t[0]={stamps[0]}")
        if len(stamps) and stamps.dtype.kind != "M" and stamps[0] > 0:
            raise ValueError(f"t counts from the impulse or step and must start at 0, got t[0]={stamps[0]}; prepend 0")
        return {"t": stamps, "length": len(stamps)}
    if dt is None and fs is None:
        size = int(length or 501)
        return {"dt": _duration(system) / (size - 1 or 1), "length": size}
    step = as_step(dt, fs, what="the response")
    duration = _duration(system)
    size = int(length or np.clip(np.ceil(duration / float(np.max(step))) + 1, 2, 1_000_000))
    return {"dt": step, "length": size}


def _duration(system: ContinuousSystem) -> float:
    """Seven time constants of the slowest decaying mode, ten periods of what does not decay, e^30 of what grows."""
    poles = system.poles[np.abs(system.poles) > 0]
    if poles.size == 0:
        return 10.0
    decay = -poles.real[-poles.real > 1e-6 * np.abs(poles)]
    growth = poles.real[poles.real > 1e-6 * np.abs(poles)]
    duration = 7.0 / decay.min() if decay.size else 20 * np.pi / np.abs(poles).min()
    return float(min(duration, 30.0 / growth.max())) if growth.size else float(duration)


def _samples(system: DiscreteSystem) -> int:
    """The same in samples, from 32 to 100,000."""
    radius = np.abs(system.poles[np.abs(system.poles) > 0])
    rate = -np.log(np.where(radius < 1, radius, 0.5)) if radius.size else np.ones(1)
    return int(np.clip(np.ceil(7.0 / rate.min()), max(32, min(system.n_states + 1, 100_000)), 100_000))

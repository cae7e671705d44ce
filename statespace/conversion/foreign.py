"""Systems of other libraries: scipy.signal, python-control, plain tuples."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array, shorten
from statespace.conversion.build import from_tf, from_zpk
from statespace.structure import Cascade
from statespace.systems import ContinuousSystem, DiscreteSystem, append, series
from statespace.systems.zpk import zpk


def as_system(value: Any, *, dt: Any = None, fs: Any = None, time_unit: str = "s") -> ContinuousSystem | DiscreteSystem:
    """Take a system from scipy.signal, python-control or a plain tuple.

    Parameters
    ----------
    value : object or tuple
        A system of this library (returned as it is); a ``scipy.signal`` lti or dlti in any of its three forms; a
        ``control`` StateSpace or TransferFunction, MIMO too; or a tuple: (num, den), (z, p, k) or (A, B, C, D).
        Three parts are zeros, poles and gain, as for ``scipy.signal.lti``; of dlsim's (num, den, dt) the step goes
        into ``dt=``.
    dt, fs : float, optional
        Step or sampling rate of a discrete system, for a tuple, or for an object that leaves its own open.
    time_unit : str
        Name of the unit of time.

    Returns
    -------
    ContinuousSystem or DiscreteSystem
        Zeros and poles are kept as a Cascade, coefficients are factored into one, matrices stay as they are. Each
        channel of a transfer matrix gets states of its own. A static gain has no states.

    Raises
    ------
    TypeError
        The object is of no kind that is known, or the parts of a tuple are in the wrong order.
    ValueError
        A tuple does not have 2, 3 or 4 parts, or the step is open or contradicts the one given.

    Warns
    -----
    AccuracyWarning
        As `from_tf`.

    References
    ----------
    T. Kailath, *Linear Systems*, Prentice-Hall 1980, section 2.1.

    Examples
    --------
    >>> import statespace as ss
    >>> ss.as_system(([1.0], [1.0, 0.4, 4.0])).poles.round(3)
    array([-0.2+1.99j, -0.2-1.99j])
    >>> from scipy import signal
    >>> ss.as_system(signal.dlti([0.1], [1.0, -0.9], dt=0.5))
    DiscreteSystem(Cascade([(0.9+0j)], [None], [0.1]), dt=0.5)
    """
    if isinstance(value, (ContinuousSystem, DiscreteSystem)):
        if dt is not None or fs is not None or time_unit not in ("s", value.time_unit):
            raise ValueError(
                f"a {type(value).__name__} is returned as it is; for another step or unit of time use rediscretize, or "
                "build it with them"
            )
        return value
    if isinstance(value, (tuple, list)):
        return _from_parts(tuple(value), {"dt": dt, "fs": fs, "time_unit": time_unit})
    kinds = {kind.__name__ for kind in type(value).__mro__}
    library = type(value).__module__.partition(".")[0]
    if library not in ("scipy", "control") or not kinds & {"StateSpace", "TransferFunction", "ZerosPolesGain"}:
        raise TypeError(
            f"as_system takes systems of scipy.signal and control, and tuples (num, den), (z, p, k), (A, B, C, D); "
            f"got {library}.{type(value).__name__}"
        )
    options = {**_step(value, library, dt, fs), "time_unit": time_unit}
    if "StateSpace" in kinds:
        return _from_matrices((value.A, value.B, value.C, value.D), options)
    if "ZerosPolesGain" in kinds:
        return from_zpk(value.zeros, value.poles, value.gain, **options)
    return _from_tf(value.num, value.den, options)


def _from_parts(parts: tuple[Any, ...], options: dict[str, Any]) -> Any:
    if len(parts) == 4:
        if any(_depth(part) == 0 for part in parts[:3]):
            got = ", ".join(shorten(part, 20) for part in parts)
            raise TypeError(
                f"four parts are the matrices (A, B, C, D), got ({got}); of (z, p, k, dt) the step goes into dt="
            )
        return _from_matrices(parts, options)
    if len(parts) == 3:
        z, p, k = parts
        if _depth(k) != 0 or _depth(z) != 1 or _depth(p) != 1:
            got = ", ".join(shorten(part, 20) for part in parts)
            raise TypeError(
                f"three parts are (z, p, k): zeros, poles, then the gain, a number; got ({got}); of (num, den, dt) the "
                "step goes into dt="
            )
        return from_zpk(z, p, k, **options)
    if len(parts) == 2:
        return _from_tf(*parts, options)
    raise ValueError(
        f"a tuple must be (num, den), (z, p, k) or (A, B, C, D), got {len(parts)} parts; a step goes into dt="
    )


def _from_matrices(matrices: tuple[Any, ...], options: dict[str, Any]) -> Any:
    a, b, c, d = matrices
    if options["dt"] is None and options["fs"] is None:
        return ContinuousSystem(a, b, c, d, time_unit=options["time_unit"])
    return DiscreteSystem(a, b, c, d, **options)


def _step(value: Any, library: str, dt: Any, fs: Any) -> dict[str, Any]:
    """The step that the object has, or the one given where it leaves its own open."""
    own, given = getattr(value, "dt", None), {"dt": dt, "fs": fs}
    unspecified = own is True or (own is None and library == "control")
    continuous = not unspecified and (own is None or own == 0)
    if dt is None and fs is None:
        if unspecified:
            raise ValueError(
                f"the {type(value).__name__} has dt={own}, an unspecified step; give dt= or fs=, or set its own: "
                "dt = 0 for continuous time"
            )
        return {"dt": None if continuous else own, "fs": None}
    if not unspecified:
        raise ValueError(
            f"the {type(value).__name__} is {'continuous' if continuous else f'discrete with dt={own}'}, and dt or fs "
            "is given too; leave it out, or use discretize or rediscretize"
        )
    return given


# --------------------------------------------------------------- transfer matrices


def _from_tf(num: Any, den: Any, options: dict[str, Any]) -> Any:
    """One transfer function; num[i] over one den, as in scipy.signal; or num[i][j]/den[i][j], input j to output i."""
    depth = _depth(num)
    if depth < 2 or len(num) == 0 or len(num[0]) == 0:
        return from_tf(num, den, **options)
    rows = [[n] for n in num] if depth == 2 else num
    if len(rows) == len(rows[0]) == 1:
        return from_tf(rows[0][0], den[0][0] if depth == 3 else den, **options)
    outputs: list[Any] = []
    for i, row in enumerate(rows):
        channels = [from_tf(n, den[i][j] if depth == 3 else den, **options) for j, n in enumerate(row)]
        outputs.append(series(_side_by_side(channels), np.ones((1, len(channels)))))
    fan: Any = np.tile(np.eye(len(rows[0])), (len(rows), 1))  # every row of channels gets all inputs
    return series(fan, _side_by_side(outputs))


def _side_by_side(systems: list[Any]) -> Any:
    return append(*systems) if len(systems) > 1 else systems[0]


def _depth(value: Any) -> int:
    """Levels of nesting, read along the first entries."""
    if isinstance(value, np.ndarray):
        return value.ndim if value.dtype != object or not value.size else value.ndim + _depth(value.flat[0])
    if not isinstance(value, (list, tuple)):
        return 0
    return 1 + (_depth(value[0]) if value else 0)


# --------------------------------------------------------------- to other libraries


def to_scipy(system: ContinuousSystem | DiscreteSystem) -> Any:
    """Return the system as an object of scipy.signal.

    Parameters
    ----------
    system : ContinuousSystem or DiscreteSystem
        No batch.

    Returns
    -------
    scipy.signal.lti or scipy.signal.dlti
        ZerosPolesGain for one channel that is kept as a Cascade or has no states, so that its poles survive;
        StateSpace for anything else. The unit of time and the method are not known there.

    Raises
    ------
    TypeError
        The argument is not a system.
    ValueError
        The system is a batch.

    References
    ----------
    T. Kailath, *Linear Systems*, Prentice-Hall 1980, section 2.1.

    Examples
    --------
    >>> import statespace as ss
    >>> ss.to_scipy(ss.from_zpk([], [-1.0, -2.0], 2.0, time_unit="h")).poles
    array([-2.+0.j, -1.+0.j])
    """
    from scipy import signal

    _check(system, "to_scipy")
    step = {"dt": system.dt} if isinstance(system, DiscreteSystem) else {}
    if isinstance(system.A, Cascade) or (system.n_states == 0 and system.is_siso):
        return signal.ZerosPolesGain(*_plain(zpk(system, "to_scipy")), **step)
    return signal.StateSpace(*system, **step)


def to_control(system: ContinuousSystem | DiscreteSystem) -> Any:
    """Return the system as a StateSpace of python-control.

    Parameters
    ----------
    system : ContinuousSystem or DiscreteSystem
        Real, no batch.

    Returns
    -------
    control.StateSpace
        dt is 0 for continuous time. The unit of time, the method and the structure are not known there.

    Raises
    ------
    ImportError
        python-control is not installed.
    TypeError
        The argument is not a system.
    ValueError
        The system is a batch, or complex.

    References
    ----------
    T. Kailath, *Linear Systems*, Prentice-Hall 1980, section 2.1.

    Examples
    --------
    >>> import statespace as ss
    >>> lag = ss.from_zpk([], [-1.0], 1.0)
    >>> lag.n_states  # ss.to_control(lag) needs python-control: pip install control
    1
    """
    _check(system, "to_control")
    if system.is_complex:
        raise ValueError("python-control knows real systems only, this one is complex")
    try:
        import control
    except ImportError:
        raise ImportError("to_control needs python-control, which is not installed: pip install control") from None
    return control.ss(*system, getattr(system, "dt", 0))


def _check(system: Any, verb: str) -> None:
    if not isinstance(system, (ContinuousSystem, DiscreteSystem)):
        raise TypeError(f"{verb} needs a ContinuousSystem or DiscreteSystem, got {type(system).__name__}")
    if system.batch_shape:
        raise ValueError(f"{verb} needs one system, got a batch {system.batch_shape}; convert them one at a time")


def _plain(parts: tuple[Array, Array, Array]) -> tuple[Array, Array, Any]:
    """Zeros, poles, and the gain as a number."""
    z, p, k = parts
    return z, p, k.item()

"""Digital filters as scipy.signal calls them.

The state of an `lfilter` or of a section is that of the transposed direct form II,

    y = b_0 u + z_1        z_i⁺ = b_i u − a_i y + z_{i+1}

which puts z into the equation of the filter as a second input: A(q) y = B(q) u + z_1 δ_0 + z_2 δ_1 + …
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from statespace.arrays import AccuracyWarning, Array, as_coefficients, as_host_signal, shorten
from statespace.conversion import from_ba, from_sos
from statespace.frequency import frequency_response
from statespace.scipy_signal.models import read_count
from statespace.simulation import filter as run_filter
from statespace.simulation import filtfilt as run_filtfilt
from statespace.simulation.channels import time_axis
from statespace.systems import DiscreteSystem, series


def sosfilt(sos: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """Filter along one axis by second-order sections, as ``scipy.signal.sosfilt``.

    Parameters
    ----------
    sos : array_like, (sections, 6)
        Rows [b0, b1, b2, 1, a1, a2].
    x : array_like
        Signal of any shape.
    axis : int
        Axis of time.
    zi : array_like, optional
        State of every section before the first sample: the shape of x with 2 for time, sections in front.

    Returns
    -------
    y : ndarray
        As x; as precise as the most precise of sos, x and zi, computed in double precision; where all are float32,
        a long signal in single where that is nearer than SciPy (`statespace.filter` says where).
    zf : ndarray
        Only where zi is given: the state after the last sample.

    Raises
    ------
    ValueError
        A shape does not fit, or an a0 is not 1.

    Examples
    --------
    >>> import numpy as np
    >>> from statespace.scipy_signal import sosfilt
    >>> sosfilt([[0.5, 0, 0, 1, -0.5, 0]], np.ones(4))
    array([0.5   , 0.75  , 0.875 , 0.9375])
    >>> y, zf = sosfilt([[0.5, 0, 0, 1, -0.5, 0]], np.ones(4), zi=[[0.5, 0.0]])
    >>> y
    array([1., 1., 1., 1.])
    """
    rows = _sections(sos)
    state = None if zi is None else as_host_signal(zi, "zi")
    signal = _common(x, sos, zi)
    axis = time_axis(axis, signal)
    if state is None:
        return run_filter(from_sos(rows, dt=1.0), signal, axis=axis)
    wanted = (len(rows), *signal.shape[:axis], 2, *signal.shape[axis + 1 :])
    if state.shape != wanted:
        raise ValueError(
            f"Invalid zi shape: x.shape={signal.shape} along axis {axis} with {len(rows)} sections needs {wanted}, "
            f"got {state.shape}"
        )
    parts = [_direct_form(row[:3], row[3:]) for row in rows]
    system = series(parts[0], *parts[1:]) if len(parts) > 1 else parts[0]  # its state: that of each section in turn
    start = np.moveaxis(state, (0, axis + 1), (-2, -1))
    y, end = run_filter(system, signal, axis=axis, state=start.reshape(*start.shape[:-2], -1))
    return y, np.moveaxis(end.reshape(start.shape), (-2, -1), (0, axis + 1)).astype(y.dtype)


def lfilter(b: Any, a: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """Filter along one axis by a rational transfer function, as ``scipy.signal.lfilter``.

    The coefficients are used as they are, never their roots: as accurate as SciPy's, which at high order is
    not much (`sosfilt` is).

    Parameters
    ----------
    b, a : array_like, 1-D
        Numerator and denominator in powers of z⁻¹.
    x : array_like
        Signal of any shape.
    axis : int
        Axis of time.
    zi : array_like, optional
        State before the first sample: the shape of x with max(len(a), len(b)) − 1 for time; other axes of
        length 1 stand for all.

    Returns
    -------
    y : ndarray
        As x; as precise as the most precise of b, a, x and zi, computed in double precision.
    zf : ndarray
        Only where zi is given: the state after the last sample.

    Raises
    ------
    ValueError
        A shape does not fit, or a[0] is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from statespace.scipy_signal import lfilter
    >>> lfilter([0.5], [1.0, -0.5], np.ones(4))
    array([0.5   , 0.75  , 0.875 , 0.9375])
    """
    num, den = _polynomials(b, a)
    signal = _common(x, b, a, zi)
    axis = time_axis(axis, signal)
    lanes = np.moveaxis(signal, axis, -1).astype(np.result_type(signal, np.float64))
    n = max(len(num), len(den)) - 1
    tail = np.zeros((*lanes.shape[:-1], n))
    driven = run_filter(from_ba(num, [1.0], dt=1.0), np.concatenate([lanes, tail], axis=-1), axis=-1)
    if zi is not None:
        driven = driven + np.concatenate([_delays(zi, signal, axis, n), np.zeros(lanes.shape)], axis=-1)
    length = lanes.shape[-1]
    y = run_filter(_direct_form([1.0], den), driven[..., :length], axis=-1)
    answer = np.moveaxis(y, -1, axis).astype(signal.dtype)
    if zi is None:
        return answer
    after = run_filter(from_ba(den, [1.0], dt=1.0), np.concatenate([y, tail], axis=-1), axis=-1)
    zf = (driven - after)[..., length:]  # what the past, without any input to come, adds to the next n samples
    return answer, np.moveaxis(zf, -1, axis).astype(answer.dtype)


def sosfiltfilt(sos: Any, x: Any, axis: int = -1, padtype: str | None = "odd", padlen: int | None = None) -> Array:
    """Filter forward and backward by second-order sections, as ``scipy.signal.sosfiltfilt``.

    Parameters
    ----------
    sos : array_like, (sections, 6)
        Rows [b0, b1, b2, 1, a1, a2].
    x : array_like
        Signal of any shape, finite.
    axis : int
        Axis of time.
    padtype : {"odd", "even", "constant"} or None
        How x is continued at both ends.
    padlen : int, optional
        By how many samples; SciPy's default when omitted.

    Returns
    -------
    ndarray
        As x; as precise as the more precise of sos and x.

    Raises
    ------
    ValueError
        As `statespace.filtfilt`; unlike SciPy's also for NaN in x, which would spread both ways.

    Examples
    --------
    >>> import numpy as np
    >>> from statespace.scipy_signal import sosfiltfilt
    >>> sosfiltfilt([[0.5, 0, 0, 1, -0.5, 0]], np.ones(8)).round(12)
    array([1., 1., 1., 1., 1., 1., 1., 1.])
    """
    rows = _sections(sos)
    order = 2 * len(rows) - int(min((rows[:, 2] == 0).sum(), (rows[:, 5] == 0).sum()))
    edge = _edge(padtype, padlen, 3 * (order + 1))
    return run_filtfilt(from_sos(rows, dt=1.0), _common(x, sos), axis=axis, padtype=padtype, padlen=edge)


def filtfilt(
    b: Any,
    a: Any,
    x: Any,
    axis: int = -1,
    padtype: str | None = "odd",
    padlen: int | None = None,
    method: str = "pad",
    irlen: int | None = None,
) -> Array:
    """Filter forward and backward by a rational transfer function, as ``scipy.signal.filtfilt``.

    Parameters
    ----------
    b, a : array_like, 1-D
        Numerator and denominator in powers of z⁻¹.
    x : array_like
        Signal of any shape, finite.
    axis : int
        Axis of time.
    padtype : {"odd", "even", "constant"} or None
        For "pad": how x is continued at both ends.
    padlen : int, optional
        For "pad": by how many samples; 3·max(len(a), len(b)) when omitted.
    method : {"pad", "gust"}
        Steady states of a continued signal, or Gustafsson's states.
    irlen : int, optional
        For "gust": a length after which the impulse response may be neglected.

    Returns
    -------
    ndarray
        As x; as precise as the most precise of b, a and x. Complex coefficients are conjugated on the way back, so
        that the phase is zero; SciPy's is not.

    Raises
    ------
    ValueError
        As `statespace.filtfilt`; unlike SciPy's also for NaN in x, which would spread both ways.

    Warns
    -----
    AccuracyWarning
        The coefficients do not determine the filter well; `sosfiltfilt` does better.

    Examples
    --------
    >>> import numpy as np
    >>> from statespace.scipy_signal import filtfilt
    >>> filtfilt([0.5], [1.0, -0.5], np.ones(8)).round(12)
    array([1., 1., 1., 1., 1., 1., 1., 1.])
    """
    num, den = _polynomials(b, a)
    if len(num) > len(den) > 1:  # the roots of a long numerator would be worth nothing
        system: Any = series(from_ba(num, [1.0], dt=1.0), from_ba([1.0], den, dt=1.0))
    else:
        system = from_ba(num, den, dt=1.0)
    if method == "gust":
        return run_filtfilt(system, _common(x, b, a), axis=axis, method="gust", irlen=irlen)
    edge = _edge(padtype, padlen, 3 * max(len(num), len(den)))
    return run_filtfilt(system, _common(x, b, a), axis=axis, padtype=padtype, padlen=edge, method=method)


def freqz_sos(sos: Any, worN: Any = 512, whole: bool = False, fs: float = 2 * np.pi) -> tuple[Array, Array]:
    """Evaluate the frequency response of second-order sections, as ``scipy.signal.freqz_sos``.

    Parameters
    ----------
    sos : array_like, (sections, 6)
        Rows [b0, b1, b2, 1, a1, a2].
    worN : int, array_like or None
        How many frequencies from 0 up to the end of the range (512 for None), or the frequencies.
    whole : bool
        Whether the range is all the way round the unit circle instead of half.
    fs : float
        Sampling frequency, which is the unit of the frequencies.

    Returns
    -------
    w : ndarray, (F,)
        Frequencies in the unit of fs.
    h : ndarray, (F,)
        Complex response; inf on a pole.

    Raises
    ------
    ValueError
        A shape does not fit, an a0 is not 1, fs is not a positive number or worN is negative.

    Examples
    --------
    >>> from statespace.scipy_signal import freqz_sos
    >>> w, h = freqz_sos([[1, 1, 0, 1, 0, 0]], worN=[0.0, 25.0], fs=100.0)
    >>> h.round(12)
    array([2.+0.j, 1.-1.j])
    """
    rows = _sections(sos)
    rate = as_coefficients(fs, "fs")
    if rate.ndim or rate.dtype.kind == "c" or not rate > 0:
        raise ValueError(f"Sampling frequency fs must be a single scalar, positive, got {shorten(fs)}")
    count = read_count(512 if worN is None else worN, "worN")
    if count is None:
        given = np.atleast_1d(as_coefficients(worN, "worN").real)
        angle = 2 * np.pi / rate * given
    else:
        angle = np.linspace(0, 2 * np.pi if whole else np.pi, count, endpoint=False)
        given = angle * (rate / (2 * np.pi))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)  # of what running the sections would lose
        system = from_sos(rows, dt=1.0)
    h = frequency_response(system, angle.ravel()).H
    return given, h.reshape(angle.shape)


# --------------------------------------------------------------- arguments


def _sections(sos: Any) -> Array:
    rows = np.atleast_2d(as_coefficients(sos, "sos"))
    if rows.ndim != 2 or rows.shape[1] != 6 or len(rows) == 0:
        raise ValueError(f"sos must have shape (sections, 6), one row at least, got {rows.shape}")
    if not np.all(rows[:, 3] == 1):
        raise ValueError(f"sos[:, 3] should be all ones, got {shorten(rows[:, 3].tolist())}; divide each row by its a0")
    return rows


def _polynomials(b: Any, a: Any) -> tuple[Array, Array]:
    """Numerator and denominator with a[0] = 1."""
    num, den = (np.atleast_1d(as_coefficients(c, name)) for c, name in ((b, "b"), (a, "a")))
    for c, name in ((num, "b"), (den, "a")):
        if c.ndim != 1 or c.size == 0:
            raise ValueError(f"{name} must be one row of coefficients, got shape {c.shape}")
    if den[0] == 0:
        raise ValueError(f"a[0] must not be 0, it multiplies y[k]; got a={shorten(a)}")
    return num / den[0], den / den[0]


def _common(x: Any, *others: Any) -> Array:
    """The signal in the precision of the most precise of the arguments, which is SciPy's rule."""
    signal = as_host_signal(x, "x")
    kinds = (as_host_signal(other, "a coefficient").dtype for other in others if other is not None)
    return signal.astype(np.result_type(signal, *kinds), copy=False)


def _edge(padtype: str | None, padlen: int | None, default: int) -> int | None:
    """The padlen to hand on: SciPy ignores it where nothing is padded."""
    if padtype is None:
        return None
    return default if padlen is None else padlen


# --------------------------------------------------------------- direct forms


def _direct_form(b: Any, a: Any) -> DiscreteSystem:
    """The transposed direct form II, a[0] = 1, whose state is SciPy's."""
    n = max(len(a), len(b)) - 1
    b, a = (np.pad(c, (0, n + 1 - len(c))) for c in (b, a))
    shift = np.eye(n, k=1, dtype=a.dtype)
    if n:
        shift[:, 0] -= a[1:]
    return DiscreteSystem(shift, (b[1:] - a[1:] * b[0])[:, None], np.eye(1, n), [[b[0]]], dt=1.0)


def _delays(zi: Any, signal: Array, axis: int, n: int) -> Array:
    """Check zi and bring it to (..., n)."""
    state = as_host_signal(zi, "zi")
    wanted = (*signal.shape[:axis], n, *signal.shape[axis + 1 :])
    fits = state.ndim == signal.ndim and all(
        have == want or (have == 1 and k != axis)
        for k, (have, want) in enumerate(zip(state.shape, wanted, strict=True))
    )
    if not fits:
        raise ValueError(
            f"zi must have shape {wanted}, x.shape={signal.shape} with max(len(a), len(b)) − 1 = {n} on axis {axis} "
            f"(1 on another axis stands for all), got {state.shape}"
        )
    return np.broadcast_to(np.moveaxis(state, axis, -1), (*np.delete(signal.shape, axis), n))

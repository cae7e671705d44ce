"""simulate: a system over a signal, whatever the grid."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Never, TypeAlias

import numpy as np

from statespace.arrays import (
    Array,
    as_signal,
    as_step,
    check_choice,
    is_finite,
    library_of,
    on_device,
    same_step,
    shorten,
)
from statespace.scan import as_state, broadcast_batch
from statespace.selective import SelectiveSystem
from statespace.simulation.choice import FORMS, form_for
from statespace.simulation.forms import run_form
from statespace.simulation.grids import (
    Grid,
    as_grid,
    check_discrete_stamps,
    intervals,
    irregular,
    stamps_like,
    uniform_stamps,
)
from statespace.simulation.irregular import HOLDS, on_a_grid, run_irregular
from statespace.simulation.response import Response
from statespace.simulation.selective import run_selective
from statespace.systems import ContinuousSystem, DiscreteSystem

_GAPS = ("raise", "drop", "reset")

# What runs a piece of the record: (u, x0, part, states) -> (y, state after it, states or None)
Piece: TypeAlias = Callable[[Array, Any, slice, bool], tuple[Array, Array, Any]]


def simulate(
    system: ContinuousSystem | DiscreteSystem | SelectiveSystem,
    u: Any,
    *misplaced: Never,
    t: Any = None,
    dt: Any = None,
    fs: Any = None,
    x0: Any = None,
    hold: str | None = None,
    form: str = "auto",
    gaps: str = "raise",
    states: bool = False,
) -> Response:
    """Run a system over an input signal.

    A discrete system runs its recurrence. A continuous one is run exactly between the stamps, on any
    increasing grid: the input is held ("zoh") or joined by straight lines ("foh"), nothing else is
    approximated, however stiff the system and however uneven the grid.

    Parameters
    ----------
    system : ContinuousSystem, DiscreteSystem or SelectiveSystem
        A selective one makes its own steps: it takes u, (..., L, d), and x0, and its samples are counted.
    u : array_like, (..., L, m)
        Input, time on axis −2 and channels last; (L,) for one input. Batch axes broadcast with those of
        the system. float32 stays float32 outside; the state is double but where `explain` says otherwise.
    t : array_like, (L,), optional
        Increasing stamps in the system's unit of time, or datetime64. Uniform within the rounding of the
        stamps counts as uniform.
    dt, fs : float or array_like, optional
        Step or rate of a uniform grid, instead of t. Continuous systems take exactly one of t, dt, fs;
        discrete ones know their dt.
    x0 : array_like, (..., state_size), optional
        Starting state, zero when omitted: for a continuous system its physical state x(t[0]), for a
        discrete one the state before the first sample.
    hold : {"zoh", "foh"}, optional
        What a continuous system's input does between the stamps; "zoh" when omitted.
    form : {"auto", "recurrent", "chunked", "convolution"}
        How to run it on a uniform grid; the answer is the same to rounding, the final state too. "recurrent" goes
        sample by sample: any split of u gives the same bits. "chunked" takes blocks of samples by matrix products.
        "convolution" sends u through the kernel by FFT. "auto" is recurrent, or chunked where that costs less
        than half; `explain` says which and why.
    gaps : {"raise", "drop", "reset"}
        What NaN in u means. "raise": an error. "drop": those stamps are left out, of t and y too, and the
        (continuous) system runs over the longer interval. "reset": y is NaN there and the state starts again
        from zero after it. A stamp is missing when any of its values is.
    states : bool
        Also return the states at every stamp.

    Returns
    -------
    Response
        ``t, y = response``; also x, final_state, and the system that ran.

    Raises
    ------
    TypeError
        The system is not a system, an array belongs to a library that is not understood, or x0 does not live where
        u does.
    ValueError
        A shape does not fit, the grid does not increase, u holds NaN, ``hold`` is given for a discrete
        system, t, dt, fs are over- or underspecified, or a form cannot be had: chunked or convolution on an uneven
        grid or with states, convolution of an infinite u or of a system that overflows; or the grid is uneven and u
        lives on a GPU.

    Notes
    -----
    A CuPy array runs on its device: y and states are CuPy arrays, and t is one (dates stay on the host). "recurrent"
    gives the same bits under any split there too; "chunked" agrees to rounding, and "auto" takes it where few rows
    would leave the device idle. Looking for gaps and infinity waits for the device, nothing else does.

    References
    ----------
    C. Van Loan, "Computing integrals involving the matrix exponential", IEEE Trans. Autom. Control 23
    (1978), section 2; initial states as in K. J. Åström, B. Wittenmark, *Computer-Controlled Systems*, section 2.3.

    Examples
    --------
    A mass on a spring, pushed for the first second, watched at uneven times:

    >>> import statespace as ss
    >>> spring = ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]])
    >>> t, y = ss.simulate(spring, [1.0, 0.0, 0.0], t=[0.0, 1.0, 2.5])
    >>> y.round(4)
    array([ 0.    ,  0.3145, -0.2047])
    """
    if misplaced:
        raise TypeError("simulate takes the system and u, the rest by name: write t= (stamps), dt= or fs=, x0=")
    if not isinstance(system, (ContinuousSystem, DiscreteSystem, SelectiveSystem)):
        raise TypeError(
            f"simulate needs a ContinuousSystem or DiscreteSystem first, got {type(system).__name__}; "
            "build one with from_zpk, from_sos or ContinuousSystem(A, B, C, D), or take it with as_system"
        )
    check_choice(gaps, _GAPS, "gaps")
    if isinstance(system, SelectiveSystem):
        options = {"t": t, "dt": dt, "fs": fs, "hold": hold, "form": form, "gaps": gaps, "states": states}
        return run_selective(system, u, x0, options)
    form = _without_states(form, states)
    signal = as_input(u, system)
    state = as_state(x0, system, like=signal)
    batch = broadcast_batch(system, signal, np.zeros(system.state_size) if state is None else state)
    if isinstance(system, DiscreteSystem):
        grid = discrete_grid(system, t, dt, fs, hold, signal)
        ran, piece = system, _recurrence(system, batch, form, signal)
    else:
        grid, signal, gaps = _continuous_grid(system, signal, t, dt, fs, gaps)
        ran, piece = _continuous(system, grid, hold, batch, form, signal)
    y, final, x = _over_gaps(piece, signal, state, gaps, system, states)
    if y.ndim == 2 and y.shape[-1] == 1 and axes_of(u) == 1:
        y = y[:, 0]
    return Response(stamps_like(grid.t, y), y, x, final, ran)


def axes_of(u: Any) -> int:
    """How many axes what was given as a signal has."""
    return u.ndim if on_device(u) else np.ndim(u)


def as_input(u: Any, system: ContinuousSystem | DiscreteSystem) -> Array:
    """The input as (..., L, m)."""
    signal = as_signal(u, "u")
    m = system.n_inputs
    if signal.ndim == 0:
        raise ValueError(f"u must be a signal, (..., L, m={m}) or (L,), got the number {shorten(u)}")
    if signal.ndim == 1:
        if m != 1:
            raise ValueError(
                f"u has one channel, the system has {m} inputs; u.shape={signal.shape}; give (..., L, {m})"
            )
        return signal[:, None]
    if signal.size == 0 and signal.shape[-1] != m:
        raise ValueError(f"u holds nothing and has no {m} channels; u.shape={signal.shape}; give (..., L, {m})")
    if signal.shape[-1] != m:
        turned = "; channels are last: write numpy.swapaxes(u, -1, -2)" if signal.shape[-2] == m else ""
        wide = "; for a single-input system over many channels see statespace.filter" if m == 1 else ""
        raise ValueError(
            f"u has {signal.shape[-1]} channels on its last axis, the system has {m} inputs; "
            f"u.shape={signal.shape}{turned or wide}"
        )
    return signal


def _without_states(form: str, states: bool) -> str:
    """The form asked for; the states at every sample are there in the recurrence only."""
    check_choice(form, FORMS, "form")
    if states and form not in ("auto", "recurrent"):
        raise ValueError(f"states=True needs form='recurrent', which passes through every state, got form={form!r}")
    return "recurrent" if states else form


# --------------------------------------------------------------- discrete


def discrete_grid(system: DiscreteSystem, t: Any, dt: Any, fs: Any, hold: Any, u: Array) -> Grid:
    """Stamps of a discrete system, which has its own step, for a signal (..., L, m)."""
    if hold is not None:
        raise ValueError(
            f"hold={hold!r} belongs to continuous systems; this one is discrete already "
            f"(dt={system.dt}, method={system.method})"
        )
    if dt is not None or fs is not None:
        step = as_step(dt, fs, what="simulate")
        if not same_step(step, system.dt):
            raise ValueError(
                f"the discrete system has its own dt={system.dt}, got {step}; leave it out, or rediscretize"
            )
    step, length = np.asarray(system.dt), u.shape[-2]
    own = uniform_stamps(step, length, library_of(u)) if t is None else check_discrete_stamps(t, system, length)
    return Grid(own, np.asarray(system.dt), None, np.zeros(0))


def _recurrence(system: DiscreteSystem, batch: tuple[int, ...], form: str, signal: Array) -> Piece:
    taken = form_for(system, signal, math.prod(batch), form)

    def piece(u: Array, x0: Any, part: slice, states: bool) -> tuple[Array, Array, Any]:
        keep = part.stop - part.start if states else 0
        y, final, x = run_form(taken, system, u[..., part, :], x0, keep=keep)
        return y, final, x if states else None

    return piece


# --------------------------------------------------------------- continuous


def _continuous_grid(
    system: ContinuousSystem, u: Array, t: Any, dt: Any, fs: Any, gaps: str
) -> tuple[Grid, Array, str]:
    """The grid, with the missing stamps left out where they are to be dropped."""
    grid = as_grid(t, dt, fs, u.shape[-2], system.time_unit, library_of(u))
    if gaps == "drop":
        if grid.t.ndim > 1:
            raise ValueError("gaps='drop' needs one grid for all systems, got a batch of steps")
        present = ~_missing(u)
        if not present.all():
            stamps = library_of(grid.t).asnumpy(grid.t) if on_device(grid.t) else grid.t
            grid, u = irregular(stamps[present], system.time_unit), u[..., present, :]
        gaps = "raise"
    return grid, u, gaps


def _continuous(
    system: ContinuousSystem, grid: Grid, hold: str | None, batch: tuple[int, ...], form: str, signal: Array
) -> tuple[Any, Piece]:
    """What runs a piece of the record, and the system that does it."""
    hold = "zoh" if hold is None else hold
    check_choice(hold, tuple(HOLDS), "hold")
    rule = HOLDS[hold]
    if grid.dt is None:
        refuse_uneven(form, signal)

        def uneven(u: Array, x0: Any, part: slice, states: bool) -> tuple[Array, Array, Any]:
            start = np.zeros(system.state_size) if x0 is None else x0
            steps, slack = intervals(grid, part)
            return run_irregular(system, u[..., part, :], start, steps, slack, rule, states=states)

        return system, uneven

    digital, shift = on_a_grid(system, grid.dt, hold)
    shift = shift.swapaxes(-1, -2)
    rows = math.prod(np.broadcast_shapes(batch, digital.batch_shape))
    taken = form_for(digital, signal, rows, form)
    if on_device(signal):
        shift = library_of(signal).asarray(np.ascontiguousarray(shift))

    def even(u: Array, x0: Any, part: slice, states: bool) -> tuple[Array, Array, Any]:
        return _run_shifted(taken, digital, shift, u[..., part, :], x0, states)

    return digital, even


def refuse_uneven(form: str, signal: Array) -> None:
    """Raise for a form that needs a kernel where there is none, and on a device: on an uneven grid a system varies."""
    if on_device(signal):
        raise ValueError(
            "on an uneven grid a system changes from sample to sample, which runs on the host; "
            "write cupy.asnumpy(u), or give a uniform grid, dt="
        )
    if form not in ("auto", "recurrent"):
        raise ValueError(
            f"form={form!r} needs a system that is the same at every sample, and on an uneven grid none is; "
            "use form='recurrent', or a uniform grid, dt="
        )


def _run_shifted(
    form: str, digital: DiscreteSystem, shift: Array, u: Array, x0: Any, states: bool
) -> tuple[Array, Array, Any]:
    """Run from a physical state to the physical state at the last stamp, w = x − γ B u at both ends."""
    start = library_of(u).zeros(digital.state_size) if x0 is None else x0
    if u.shape[-2] == 0:
        y, final, x = run_form(form, digital, u, start)
        return y, final, x if states else None
    start = start - (u[..., :1, :] @ shift)[..., 0, :]
    y, _, w = run_form(form, digital, u, start, keep=u.shape[-2] if states else 1)
    x = w + u[..., u.shape[-2] - w.shape[-2] :, :] @ shift
    return y, x[..., -1, :], x if states else None


# --------------------------------------------------------------- gaps


def _missing(u: Array) -> Array:
    """(L,) whether any value at a stamp is NaN."""
    if is_finite(u):  # the common case
        return np.zeros(u.shape[-2], bool)
    nan = library_of(u).isnan(u).any(axis=(*range(u.ndim - 2), -1))
    return np.asarray(library_of(nan).asnumpy(nan) if on_device(nan) else nan)


def _over_gaps(piece: Piece, u: Array, x0: Any, gaps: str, system: Any, states: bool) -> tuple[Array, Array, Any]:
    missing = _missing(u)
    whole = slice(0, len(missing))
    if not missing.any():
        return piece(u, x0, whole, states)
    if gaps == "raise":
        advice = "gaps='drop' leaves those stamps out, gaps='reset' starts again from zero after them"
        if isinstance(system, DiscreteSystem):
            advice = (
                "gaps='reset' starts again from zero after them, numpy.interp fills them; "
                "a continuous system can drop them"
            )
        raise ValueError(
            f"u holds NaN at {int(missing.sum())} of {len(missing)} stamps, the first at index "
            f"{int(np.argmax(missing))}; {advice}"
        )
    if gaps == "drop":
        raise ValueError(
            "gaps='drop' needs a continuous system, which can run over the longer interval; use gaps='reset'"
        )
    return _reset(piece, u, x0, missing, states)


def _reset(piece: Piece, u: Array, x0: Any, missing: Array, states: bool) -> tuple[Array, Array, Any]:
    """Run each stretch between the gaps, the first from x0 and the others from zero."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], missing, [True]])))
    y, final, x = piece(u, None if missing[0] else x0, slice(0, 0), states)  # empty: the shapes
    y, x = _all_missing(y, len(missing)), None if x is None else _all_missing(x, len(missing))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        part = slice(int(start), int(stop))
        y[..., part, :], final, trace = piece(u, x0 if start == 0 else None, part, states)
        if x is not None:
            x[..., part, :] = trace
    return y, library_of(final).zeros_like(final) if missing[-1] else final, x


def _all_missing(like: Array, length: int) -> Array:
    return library_of(like).full((*like.shape[:-2], length, like.shape[-1]), np.nan, like.dtype)

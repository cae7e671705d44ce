"""Floor 6: pictures of results and systems. Every function returns its axes and never shows them.

Channels and batches are counted from 0, as they are indexed. Styling is given to each new axes alone: the
user's rcParams are neither read as ours nor changed, and axes that are handed in keep the look they have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from statespace.arrays import Array
from statespace.frequency import FrequencyResponse, unwrapped_phase
from statespace.frequency import frequency_response as _frequency_response
from statespace.simulation import Response
from statespace.simulation import step_response as _step_response
from statespace.systems import ContinuousSystem, DiscreteSystem

# Okabe and Ito's colours, told apart by colour-blind readers too; their yellow is too faint for a line.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_GREY = "#9a9a9a"
_FEW = 100  # up to here samples are drawn as dots, so that one sees what was computed and what was not
__all__ = ["bode", "poles", "response"]

_DEEPEST = 200.0  # dB of a new picture; zeros at Nyquist come out at −300 dB and would flatten the rest
_MOST_NAMED = 10  # a legend longer than this helps nobody
_ANGLES = (2, 5, 15, 45, 90, 180, 360, 720, 1800, 3600)  # degrees between two ticks of a phase
_SYSTEMS = (ContinuousSystem, DiscreteSystem)


def __dir__() -> list[str]:
    return __all__


def response(result: Response | ContinuousSystem | DiscreteSystem, *, ax: Any = None, label: str | None = None) -> Any:
    """Draw outputs over time.

    Up to 100 samples are dots joined by a thin line, more are a line. A complex output is drawn as its
    real part and, dashed, its imaginary part.

    Parameters
    ----------
    result : Response, ContinuousSystem or DiscreteSystem
        What `simulate`, `impulse_response` or `step_response` returned; for a system its step response is drawn.
    ax : matplotlib Axes, or p·m of them, optional
        Where to draw; a new figure when omitted.
    label : str, optional
        Name in the legend.

    Returns
    -------
    Axes, or ndarray of Axes, (p, m)
        One axes, with a line for each output and each member of a batch. The impulse or step response of
        a system with several inputs or outputs has an axes for each output (row) and input (column).

    Raises
    ------
    TypeError
        The first argument is not a result or a system, or ``ax`` does not hold matplotlib axes.
    ValueError
        ``ax`` holds another number of axes than are needed.
    ImportError
        Matplotlib is missing.

    Examples
    --------
    >>> import statespace as ss
    >>> spring = ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]])
    >>> ax = ss.plot.response(ss.step_response(spring))
    >>> ax.get_xlabel()
    'time (s)'
    """
    run = _as_response(result)
    y, by_input = _channels(run)
    p, m = y.shape[-2:]
    axes, new = _axes(ax, (p, m) if by_input else (1, 1), "ax")
    for i, j in np.ndindex(p, m):
        names = [label] if by_input or p == 1 else [label, f"output {i}"]
        _draw_signal(axes[i, j] if by_input else axes[0, 0], run.t, y[..., i, j], names)
    _name_channels(axes, 1, "output" if not by_input or p == m == 1 else None)
    unit = "" if np.asarray(run.t).dtype.kind == "M" else f" ({run.time_unit})"
    _finish(axes, f"time{unit}", new)
    return axes[0, 0] if axes.size == 1 else axes


def bode(
    system: Any, *, omega: Any = None, hz: bool = False, axes: Any = None, label: str | Sequence[str] | None = None
) -> Any:
    """Draw magnitude in dB and phase in degrees over frequency.

    The phase is unwrapped, from its value in [−180°, 180°) at the lowest frequency; within 5° of that border
    an integrator starts at −180° and a differentiator at +180°. It falls by 180° at an undamped pole and rises at an
    undamped zero. Where a response is 0 or infinite the lines
    have a gap; a new picture shows 200 dB at most. The Nyquist frequency of a discrete system is a thin
    vertical line.

    Parameters
    ----------
    system : system, FrequencyResponse, or a list of them
        Several are drawn over each other: they must have the same channels and the same unit of time.
    omega : array_like, (F,), optional
        Angular frequencies in rad per unit of time, also where ``hz`` is true; chosen from the poles when
        omitted. The axis is logarithmic, so those at or below 0 are left out.
    hz : bool
        Label the axis in cycles per unit of time (Hz where the unit is "s") instead of rad.
    axes : 2·p·m matplotlib Axes, optional
        Where to draw; a new figure when omitted.
    label : str or list of str, optional
        Names in the legend, one for each system. Several systems without are named by the method that
        discretized them, or counted.

    Returns
    -------
    ndarray of Axes, (2·p, m)
        A row of magnitudes and a row of phases for each output, a column for each input; (2,) for one
        input and one output: ``magnitude, phase = bode(system)``.

    Raises
    ------
    TypeError
        Something is neither a system nor a FrequencyResponse, or ``axes`` does not hold matplotlib axes.
    ValueError
        The systems do not fit each other, no frequency is above 0, ``omega`` is given for a FrequencyResponse,
        or ``axes`` or ``label`` have another length than is needed.
    ImportError
        Matplotlib is missing.

    Examples
    --------
    >>> import statespace as ss
    >>> lag = ss.from_zpk([], [-1.0], 1.0, time_unit="year")
    >>> magnitude, phase = ss.plot.bode([lag, ss.discretize(lag, 0.5, "foh")])
    >>> magnitude.get_ylabel(), phase.get_xlabel()
    ('magnitude (dB)', 'frequency (rad/year)')
    """
    responses = _as_frequency_responses(system, omega)
    (p, m), unit = _in_common(responses)
    names = _labels(label, responses)
    grid, new = _axes(axes, (2 * p, m), "axes")
    per = 2 * np.pi if hz else 1.0
    for r, name in zip(responses, names, strict=True):
        _draw_bode(grid, r, per, name)
    _mark_nyquist(grid, responses, per)
    _name_channels(grid, 2, None)
    cycles = "Hz" if unit == "s" else f"cycles/{unit}"
    _finish(grid, f"frequency ({cycles if hz else f'rad/{unit}'})", new)
    if new:
        _scale_bode(grid)
    return grid[:, 0] if p == m == 1 else grid


def poles(system: ContinuousSystem | DiscreteSystem, *, ax: Any = None) -> Any:
    """Draw poles as × and finite zeros as ○, with the border of stability.

    A number beside a mark says how many roots lie there: those that are nearer than a thousandth of the
    largest root cannot be told apart in the picture.

    Parameters
    ----------
    system : ContinuousSystem or DiscreteSystem
        Members of a batch have colours of their own.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when omitted.

    Returns
    -------
    Axes
        With the imaginary axis of a continuous system, or the unit circle of a discrete one.

    Raises
    ------
    TypeError
        The argument is not a system, or ``ax`` is not a matplotlib Axes.
    ImportError
        Matplotlib is missing.

    Examples
    --------
    >>> import statespace as ss
    >>> ax = ss.plot.poles(ss.from_zpk([], [-3 + 4j, -3 - 4j], 25.0))
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('real part (1/s)', 'imaginary part (rad/s)')
    """
    if not isinstance(system, _SYSTEMS):
        of = "; write plot.poles(result.system)" if isinstance(system, (Response, FrequencyResponse)) else ""
        raise TypeError(f"poles draws a ContinuousSystem or DiscreteSystem, got {type(system).__name__}{of}")
    grid, new = _axes(ax, (1, 1), "ax", square=True)
    ax = grid[0, 0]
    discrete = isinstance(system, DiscreteSystem)
    _draw_border(ax, discrete)
    n = system.n_states
    z = system.zeros.reshape(*system.batch_shape, system.zeros.shape[-1])
    p = system.poles
    for k, index in enumerate(np.ndindex(system.batch_shape)):
        _draw_roots(ax, p[index][:n], "x", k)
        _draw_roots(ax, z[index], "o", k)
    unit = system.time_unit
    _name_axis(ax, "real part of z" if discrete else f"real part (1/{unit})", "x")
    _name_axis(ax, "imaginary part of z" if discrete else f"imaginary part (rad/{unit})", "y")
    if new:
        ax.set_aspect("equal", adjustable="datalim")
    return ax


# --------------------------------------------------------------- what is to be drawn


def _as_response(result: Any) -> Response:
    if isinstance(result, Response):
        return result
    if isinstance(result, _SYSTEMS):
        return _step_response(result)
    advice = "write plot.response(statespace.simulate(system, u, ...))"
    if isinstance(result, FrequencyResponse):
        advice = "write plot.bode(result)"
    raise TypeError(
        "response draws what simulate, step_response or impulse_response returned, or a system; "
        f"got {type(result).__name__}; {advice}"
    )


def _channels(run: Response) -> tuple[Array, bool]:
    """The output as (..., L, p, m), m = 1 unless it is one for each input, and whether it is.

    Only a response to a standard input has no final state, and that is what tells (L, p, m) from a
    batch of outputs (..., L, p).
    """
    y = np.asarray(run.y)
    if y.ndim == 1:
        return y[:, None, None], False
    by_input = run.final_state is None and y.ndim >= 3 and y.shape[-3] == np.shape(run.t)[-1]
    return (y, True) if by_input else (y[..., None], False)


def _as_frequency_responses(system: Any, omega: Any) -> list[FrequencyResponse]:
    items = list(system) if isinstance(system, (list, tuple)) else [system]
    if not items:
        raise ValueError("bode got an empty list; give at least one system")
    return [_as_frequency_response(item, omega) for item in items]


def _as_frequency_response(item: Any, omega: Any) -> FrequencyResponse:
    if isinstance(item, _SYSTEMS):
        return _frequency_response(item, omega)
    if not isinstance(item, FrequencyResponse):
        advice = "write plot.bode(system), or plot.bode([first, second]) for several"
        if isinstance(item, Response):
            advice = "a Response is drawn by plot.response(result)"
        raise TypeError(f"bode draws systems and FrequencyResponses, got {type(item).__name__}; {advice}")
    if omega is not None:
        raise ValueError("omega belongs to a system, a FrequencyResponse has frequencies of its own; leave omega out")
    return item


def _in_common(responses: list[FrequencyResponse]) -> tuple[tuple[int, int], str]:
    """Outputs and inputs, and the unit of time, that all have."""
    channels = {(r.system.n_outputs, r.system.n_inputs) for r in responses}
    if len(channels) > 1:
        raise ValueError(f"systems in one picture need the same outputs and inputs, got {sorted(channels)}")
    units = {r.system.time_unit for r in responses}
    if len(units) > 1:
        raise ValueError(f"systems in one picture need the same time_unit, got {sorted(units)}")
    if not all(np.any(r.omega > 0) for r in responses):
        raise ValueError("omega holds no frequency above 0, and the axis is logarithmic")
    return channels.pop(), units.pop()


def _labels(label: Any, responses: list[FrequencyResponse]) -> list[str | None]:
    if label is None:
        return [_label(r, k) for k, r in enumerate(responses)] if len(responses) > 1 else [None]
    labels = [label] if isinstance(label, str) else list(label)
    if len(labels) != len(responses):
        raise ValueError(f"label must name each of the {len(responses)} systems, got {len(labels)} labels")
    return labels


def _label(r: FrequencyResponse, k: int) -> str:
    method = r.system.method if isinstance(r.system, DiscreteSystem) else None
    if method is None:
        return f"system {k}"
    given = [(f.name, getattr(method, f.name)) for f in fields(method) if getattr(method, f.name) != f.default]
    options = ", ".join(f"{name}={value!r}" for name, value in given)
    return type(method).__name__ + (f"({options})" if options else "") + _step(r.system)


def _step(system: DiscreteSystem) -> str:
    return f", dt={system.dt:g}" if np.ndim(system.dt) == 0 else ""


# --------------------------------------------------------------- lines


def _draw_signal(ax: Any, t: Any, y: Array, names: list[str | None]) -> None:
    """One line for each member of the batch, (..., L)."""
    few = y.shape[-1] <= _FEW
    style = {"marker": "o", "markersize": 3.5, "linewidth": 0.8} if few else {"linewidth": 1.5}
    stamps = np.broadcast_to(t, y.shape)
    for index, name in _members(y.shape[:-1], names):
        (line,) = ax.plot(stamps[index], y[index].real, label=name, **style)
        if y.dtype.kind == "c":
            of = None if name is None else f"{name}, imaginary"
            ax.plot(stamps[index], y[index].imag, label=of, linestyle="--", color=line.get_color(), **style)


def _draw_bode(grid: Array, r: FrequencyResponse, per: float, label: str | None) -> None:
    order = np.argsort(r.omega, kind="stable")
    order = order[r.omega[order] > 0]
    r = FrequencyResponse(r.omega[order], r.H[order] if r.H.ndim == 1 else r.H[..., order, :, :], r.system)
    h, phase = (x[:, None, None] if x.ndim == 1 else x for x in (r.H, unwrapped_phase(r)))
    frequency = r.omega / per
    for i, j in np.ndindex(h.shape[-2:]):
        for index, name in _members(h.shape[:-3], [label]):
            line = h[index][:, i, j]
            grid[2 * i, j].semilogx(frequency, _decibels(line), label=name, linewidth=1.5)
            grid[2 * i + 1, j].semilogx(frequency, _degrees(phase[index][:, i, j], line, frequency), linewidth=1.5)


def _members(batch: tuple[int, ...], names: list[str | None]) -> Iterator[tuple[tuple[int, ...], str | None]]:
    """Index and legend of each member of a batch; a large batch is not named."""
    many = int(np.prod(batch)) > _MOST_NAMED
    for k, index in enumerate(np.ndindex(batch)):
        member = [] if not batch or many else [f"batch {', '.join(map(str, index))}"]
        words = [word for word in [*names, *member] if word]
        yield index, ", ".join(words) if words and not (many and k) else None


def _decibels(h: Array) -> Array:
    size = np.abs(h)
    known = np.isfinite(size) & (size > 0)
    return np.where(known, 20 * np.log10(np.where(known, size, 1.0)), np.nan)


def _degrees(phase: Array, h: Array, frequency: Array) -> Array:
    """An unwrapped phase, in radians, that starts in [−180°, 180°).

    Near that border rounding, or the lag of a hold, would decide: there what falls at the lowest
    frequencies, an integrator, starts at −180°, and what rises, a differentiator, at +180°.
    """
    known = np.isfinite(phase)
    if not known.any():
        return phase
    slope = _slope(np.abs(h[known]), frequency[known])
    border = np.pi + (1e-8 if abs(slope) < 0.5 else -np.radians(5.0) * np.sign(slope))
    return np.degrees(phase - 2 * np.pi * np.floor((phase[known][0] + border) / (2 * np.pi)))


def _slope(size: Array, frequency: Array) -> float:
    """The power of ω with which a magnitude starts; 0 for a single point."""
    size, frequency = np.log(size[:2]), np.log(frequency[:2])
    return float((size[1] - size[0]) / (frequency[1] - frequency[0])) if np.ptp(frequency) > 0 else 0.0


def _mark_nyquist(grid: Array, responses: list[FrequencyResponse], per: float) -> None:
    steps = {float(dt) for r in responses if isinstance(r.system, DiscreteSystem) for dt in np.ravel(r.system.dt)}
    for ax in grid.flat:
        for dt in sorted(steps):
            ax.axvline(np.pi / dt / per, color=_GREY, linewidth=0.8, linestyle=":", zorder=1)


def _draw_border(ax: Any, discrete: bool) -> None:
    """Draw the unit circle or the imaginary axis, and the axes through the origin."""
    ax.axhline(0.0, color=_GREY, linewidth=0.5, zorder=1)
    ax.axvline(0.0, color=_GREY, linewidth=0.5 if discrete else 1.2, zorder=1)
    if discrete:
        angle = np.linspace(0.0, 2 * np.pi, 361)
        ax.plot(np.cos(angle), np.sin(angle), color=_GREY, linewidth=1.2, zorder=1)


def _draw_roots(ax: Any, roots: Array, marker: str, k: int) -> None:
    roots = roots[np.isfinite(roots)]
    colour = _COLOURS[k % len(_COLOURS)]
    style = {"marker": marker, "markersize": 8, "markerfacecolor": "none", "markeredgewidth": 1.6}
    ax.plot(roots.real, roots.imag, linestyle="none", color=colour, **style)
    for root, count in _repeated(roots):
        beside = {"xytext": (5, 5), "textcoords": "offset points", "color": colour, "fontsize": "small"}
        ax.annotate(str(count), (root.real, root.imag), **beside)


def _repeated(roots: Array) -> list[tuple[complex, int]]:
    """Places where several roots lie, and how many."""
    near = 1e-3 * float(np.abs(roots).max(initial=0.0))
    places: list[tuple[complex, int]] = []
    while roots.size:
        here = np.abs(roots - roots[0]) <= near
        places.append((complex(roots[0]), int(here.sum())))
        roots = roots[~here]
    return [(root, count) for root, count in places if count > 1]


# --------------------------------------------------------------- axes


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot as pyplot
    except ImportError as error:
        raise ImportError("statespace.plot needs matplotlib: python -m pip install matplotlib") from error
    return pyplot


def _axes(axes: Any, shape: tuple[int, int], name: str, square: bool = False) -> tuple[Array, bool]:
    """A grid of axes, those given or new ones, and whether they are new."""
    rows, columns = shape
    if axes is None:
        size = (4.8, 4.8) if square else (2.0 + 4.4 * columns, 1.4 + 2.2 * rows)
        _, grid = _pyplot().subplots(rows, columns, squeeze=False, sharex=True, layout="constrained", figsize=size)
        for ax in grid.flat:
            _clean(ax)
        return grid, True
    grid = np.asarray(axes, dtype=object)
    if not all(hasattr(ax, "plot") and hasattr(ax, "axvline") for ax in grid.flat):
        raise TypeError(
            f"{name} must be matplotlib axes, got {type(axes).__name__}; write figure, {name} = plt.subplots()"
        )
    if grid.size != rows * columns:
        raise ValueError(
            f"{name} must hold {rows * columns} axes, {rows} × {columns}, got {grid.size}; "
            f"write figure, {name} = plt.subplots({rows}, {columns})"
        )
    return grid.reshape(rows, columns), False


def _clean(ax: Any) -> None:
    """A quiet look, for this axes alone."""
    ax.set_prop_cycle(color=_COLOURS)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="#e4e4e4", linewidth=0.6)
    ax.set_axisbelow(True)


def _name_channels(grid: Array, rows_each: int, ylabel: str | None) -> None:
    """Columns are inputs, rows are outputs; a name that is there already stays."""
    rows, columns = grid.shape
    quantities = ["magnitude (dB)", "phase (°)"] if rows_each == 2 else [ylabel or ""]
    several = rows > rows_each or columns > 1
    for i in range(rows):
        words = [f"output {i // rows_each}"] if several else []
        words += [word for word in [quantities[i % rows_each]] if word]
        _name_axis(grid[i, 0], "\n".join(words), "y")
    for j in range(columns if several else 0):
        if not grid[0, j].get_title():
            grid[0, j].set_title(f"input {j}", fontsize="medium")


def _name_axis(ax: Any, name: str, which: str) -> None:
    if not getattr(ax, f"get_{which}label")():
        getattr(ax, f"set_{which}label")(name)


def _finish(grid: Array, xlabel: str, new: bool) -> None:
    for ax in grid[-1]:
        _name_axis(ax, xlabel, "x")
        _write_dates(ax)
    if grid[0, 0].get_legend_handles_labels()[1]:
        grid[0, 0].legend(frameon=False, fontsize="small")
    if new:
        grid[0, 0].figure.align_ylabels()


def _write_dates(ax: Any) -> None:
    """Short dates on a new axis of datetime64 stamps, the day or year that they share beside it."""
    from matplotlib.dates import AutoDateFormatter, ConciseDateFormatter

    if isinstance(ax.xaxis.get_major_formatter(), AutoDateFormatter):
        ax.xaxis.set_major_formatter(ConciseDateFormatter(ax.xaxis.get_major_locator()))


def _scale_bode(grid: Array) -> None:
    """Round numbers of degrees; no picture of rounding errors where a line is flat or falls to nothing."""
    from matplotlib.ticker import MultipleLocator

    for i, j in np.ndindex(grid.shape):
        ax: Any = grid[i, j]
        least, most = (10.0, np.inf) if i % 2 else (1.0, _DEEPEST)
        low, high = ax.dataLim.intervaly
        if not np.isfinite([low, high]).all():
            continue
        low = max(low, high - most)
        margin = max(0.05 * (high - low), (least - (high - low)) / 2)
        ax.set_ylim(low - margin, high + margin)
        if i % 2:
            step = next((s for s in _ANGLES if high - low <= 6 * s), _ANGLES[-1])
            ax.yaxis.set_major_locator(MultipleLocator(step))

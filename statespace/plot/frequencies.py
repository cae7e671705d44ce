"""bode: magnitude and phase over frequency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from statespace.arrays import Array
from statespace.frequency import FrequencyResponse, frequency_response, unwrapped_phase
from statespace.plot.axes import finish, grid_of_axes, name_channels
from statespace.plot.lines import GREY, members
from statespace.simulation import Response
from statespace.systems import ContinuousSystem, DiscreteSystem

_DEEPEST = 200.0  # dB of a new picture; zeros at Nyquist come out at −300 dB and would flatten the rest
_ANGLES = (2, 5, 15, 45, 90, 180, 360, 720, 1800, 3600)  # degrees between two ticks of a phase


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
    grid, new = grid_of_axes(axes, (2 * p, m), "axes")
    per = 2 * np.pi if hz else 1.0
    for r, name in zip(responses, names, strict=True):
        _draw_bode(grid, r, per, name)
    _mark_nyquist(grid, responses, per)
    name_channels(grid, 2, None)
    cycles = "Hz" if unit == "s" else f"cycles/{unit}"
    finish(grid, f"frequency ({cycles if hz else f'rad/{unit}'})", new)
    if new:
        _scale_bode(grid)
    return grid[:, 0] if p == m == 1 else grid


def _as_frequency_responses(system: Any, omega: Any) -> list[FrequencyResponse]:
    items = list(system) if isinstance(system, (list, tuple)) else [system]
    if not items:
        raise ValueError("bode got an empty list; give at least one system")
    return [_as_frequency_response(item, omega) for item in items]


def _as_frequency_response(item: Any, omega: Any) -> FrequencyResponse:
    if isinstance(item, (ContinuousSystem, DiscreteSystem)):
        return frequency_response(item, omega)
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


def _draw_bode(grid: Array, r: FrequencyResponse, per: float, label: str | None) -> None:
    order = np.argsort(r.omega, kind="stable")
    order = order[r.omega[order] > 0]
    r = FrequencyResponse(r.omega[order], r.H[order] if r.H.ndim == 1 else r.H[..., order, :, :], r.system)
    h, phase = (x[:, None, None] if x.ndim == 1 else x for x in (r.H, unwrapped_phase(r)))
    frequency = r.omega / per
    for i, j in np.ndindex(h.shape[-2:]):
        for index, name in members(h.shape[:-3], [label]):
            line = h[index][:, i, j]
            grid[2 * i, j].semilogx(frequency, _decibels(line), label=name, linewidth=1.5)
            grid[2 * i + 1, j].semilogx(frequency, _degrees(phase[index][:, i, j], line, frequency), linewidth=1.5)


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
            ax.axvline(np.pi / dt / per, color=GREY, linewidth=0.8, linestyle=":", zorder=1)


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

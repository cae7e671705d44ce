"""poles: poles and zeros in the plane, with the border of stability."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array
from statespace.frequency import FrequencyResponse
from statespace.plot.axes import grid_of_axes, name_axis
from statespace.plot.lines import COLOURS, GREY
from statespace.simulation import Response
from statespace.systems import ContinuousSystem, DiscreteSystem


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
    if not isinstance(system, (ContinuousSystem, DiscreteSystem)):
        of = "; write plot.poles(result.system)" if isinstance(system, (Response, FrequencyResponse)) else ""
        raise TypeError(f"poles draws a ContinuousSystem or DiscreteSystem, got {type(system).__name__}{of}")
    grid, new = grid_of_axes(ax, (1, 1), "ax", square=True)
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
    name_axis(ax, "real part of z" if discrete else f"real part (1/{unit})", "x")
    name_axis(ax, "imaginary part of z" if discrete else f"imaginary part (rad/{unit})", "y")
    if new:
        ax.set_aspect("equal", adjustable="datalim")
    return ax


def _draw_border(ax: Any, discrete: bool) -> None:
    """Draw the unit circle or the imaginary axis, and the axes through the origin."""
    ax.axhline(0.0, color=GREY, linewidth=0.5, zorder=1)
    ax.axvline(0.0, color=GREY, linewidth=0.5 if discrete else 1.2, zorder=1)
    if discrete:
        angle = np.linspace(0.0, 2 * np.pi, 361)
        ax.plot(np.cos(angle), np.sin(angle), color=GREY, linewidth=1.2, zorder=1)


def _draw_roots(ax: Any, roots: Array, marker: str, k: int) -> None:
    roots = roots[np.isfinite(roots)]
    colour = COLOURS[k % len(COLOURS)]
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

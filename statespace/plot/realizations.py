"""singular_values: what an order of a realization was chosen from."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array
from statespace.kernels.realization import Realization
from statespace.plot.axes import finish, grid_of_axes, name_axis, note, scale_log
from statespace.plot.lines import above_nothing, few, members


def singular_values(realization: Realization, *, ax: Any = None, label: str | None = None) -> Any:
    """Draw the singular values that an order was chosen from, relative to the largest.

    Those that were kept are full dots, the others hollow, with a thin vertical line between them: a good order is
    where they fall by decades. Rounding makes the rest a plateau near 1e-16; what is below 1e-18, an exact zero too,
    is drawn at 1e-18. More than 100 are lines, thick where kept, and counted on a logarithmic axis.

    Parameters
    ----------
    realization : Realization
        What `realize` returned. Members of a batch are lines of their own.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when omitted.
    label : str, optional
        Name in the legend.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        The first argument is not a Realization, or ``ax`` is not a matplotlib Axes.
    ImportError
        Matplotlib is missing.

    Examples
    --------
    >>> import statespace as ss
    >>> spring = ss.ContinuousSystem([[0, 1], [-4, -0.4]], [[0], [1]], [[1, 0]])
    >>> h = ss.kernel(ss.discretize(spring, 0.5, "zoh"), 40)
    >>> ax = ss.plot.singular_values(ss.realize(h, 2, dt=0.5))
    >>> ax.get_ylabel()
    'singular value / largest'
    """
    if not isinstance(realization, Realization):
        raise TypeError(
            f"singular_values draws what realize returned, got {type(realization).__name__}; "
            "write plot.singular_values(statespace.realize(h, dt=dt))"
        )
    grid, new = grid_of_axes(ax, (1, 1), "ax")
    ax = grid[0, 0]
    kept = realization.order
    sizes = np.asarray(realization.singular_values)
    drawn = [(_relative(sizes[index]), name) for index, name in members(sizes.shape[:-1], [label])]
    for size, name in drawn:
        _draw_sizes(ax, size, kept, name)
    note(ax, f"order {kept}", x=kept + 0.5)
    scale_log(ax, [size for size, _ in drawn], sizes.dtype, new)
    if new:
        _count(ax, sizes.shape[-1])
    name_axis(ax, "singular value / largest", "y")
    finish(grid, "number", new)
    return ax


def _relative(sizes: Array) -> Array:
    """Relative to the largest; NaN, which fills up a batch, is not drawn."""
    largest = sizes.max(initial=0.0, where=np.isfinite(sizes))
    return above_nothing(sizes / (largest if largest > 0 else 1.0))


def _draw_sizes(ax: Any, sizes: Array, kept: int, name: str | None) -> None:
    number = np.arange(1, sizes.size + 1)
    dots = few(sizes.size)
    style = {"marker": "o", "markersize": 5, "markerfacecolor": "white", "zorder": 2} if dots else {}
    (line,) = ax.plot(number, sizes, linewidth=0.8, **style)
    style = {"marker": "o", "markersize": 5, "linestyle": "none", "zorder": 3} if dots else {"linewidth": 2.5}
    ax.plot(number[:kept], sizes[:kept], color=line.get_color(), label=name, **style)


def _count(ax: Any, count: int) -> None:
    """Ticks at whole numbers, without room for a 0; decades where there are many."""
    from matplotlib.ticker import MaxNLocator

    if few(count):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        ax.set_xscale("log")
    ax.margins(x=0.01)

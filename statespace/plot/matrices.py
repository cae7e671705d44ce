"""sequence_matrix: what every sample of a selective scan takes of those before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from statespace.arrays import Array, as_host_signal, refuse_nonfinite
from statespace.plot.axes import finish, grid_of_axes, name_axis
from statespace.selective import SelectiveSystem

_MOST = 8  # heat maps side by side; more are too small to be read
_DECADES = 3  # that are told apart on either side of zero with log=True
_ABOVE = "#dcdcdc"  # what lies in the future: neither a colour of a weight nor of none


def sequence_matrix(
    matrix: Any, *, channels: int | Sequence[int] | None = None, log: bool = False, ax: Any = None
) -> Any:
    """Draw the matrices that a selective scan applies as heat maps, one for each channel.

    Row i is the output at sample i, column j what it takes of the input at sample j: time runs down and to the right.
    Red is positive, blue negative, white nothing, in one scale for all maps. What lies above the diagonal, the future,
    is grey. Of complex numbers the magnitude is drawn.

    Parameters
    ----------
    matrix : array_like, (..., d, L, L) or (L, L)
        What `sequence_matrix` returned, or any other lower triangular weights, such as those of a causal attention.
    channels : int or sequence of int, optional
        Which channels are drawn, counted from 0; all when omitted. There is room for 8 maps.
    log : bool
        Colours over decades, for weights that decay: three below the largest on either side of zero, less is linear.
    ax : matplotlib Axes, or as many as there are maps, optional
        Where to draw; a new figure when omitted.

    Returns
    -------
    Axes, or ndarray of Axes, (batch, channels)
        An axes for each member of the batch (row) and channel (column), and one colour bar.

    Raises
    ------
    TypeError
        The first argument is a SelectiveSystem or holds no numbers, ``channels`` are no whole numbers, ``log`` is not
        True or False, or ``ax`` does not hold matplotlib axes.
    ValueError
        The matrices are not square, not finite or not lower triangular, a channel is not there, there are more than
        8 maps, or ``ax`` holds another number of axes than are needed.
    ImportError
        Matplotlib is missing.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> layer = ss.SelectiveSystem.initial(4, 16, seed=0)
    >>> u = np.random.default_rng(0).normal(size=(100, 4))
    >>> left, right = ss.plot.sequence_matrix(ss.sequence_matrix(layer, u), channels=[0, 3])[0]
    >>> right.get_title(), right.get_xlabel(), left.get_ylabel()
    ('channel 3', 'input sample j', 'output sample i')
    """
    if not isinstance(log, (bool, np.bool_)):
        raise TypeError(f"log must be True or False, got {log!r}")
    weights = _as_matrices(matrix)
    chosen = _as_channels(channels, weights.shape[-3])
    batch = list(np.ndindex(weights.shape[:-3]))
    _check_count(len(batch), chosen.size)
    grid, new = grid_of_axes(ax, (len(batch), chosen.size), "ax")
    if new:
        grid[0, 0].figure.set_size_inches(2.0 + 3.2 * chosen.size, 0.9 + 3.2 * len(batch))
    shown = np.abs(weights[..., chosen, :, :]) if weights.dtype.kind == "c" else weights[..., chosen, :, :]
    colours = _colours(float(np.abs(shown).max()), weights.dtype.kind == "c", log)
    for i, j in np.ndindex(grid.shape):
        image = _draw_map(grid[i, j], shown[batch[i]][j], colours, new)
    _name_maps(grid, batch, chosen if weights.shape[-3] > 1 else [])
    label = "magnitude |M[i, j]|" if weights.dtype.kind == "c" else "weight M[i, j]"
    grid[0, 0].figure.colorbar(image, ax=list(grid.flat), label=label)
    finish(grid, "input sample j", new)
    return grid[0, 0] if grid.size == 1 else grid


# --------------------------------------------------------------- what is to be drawn


def _as_matrices(matrix: Any) -> Array:
    """Lower triangular matrices (..., d, L, L); one matrix is one channel."""
    if isinstance(matrix, SelectiveSystem):
        raise TypeError(
            "sequence_matrix draws matrices, got SelectiveSystem; "
            "write plot.sequence_matrix(statespace.sequence_matrix(system, u))"
        )
    array = as_host_signal(matrix, "matrix")
    if array.ndim < 2 or array.shape[-1] != array.shape[-2] or not array.size:
        raise ValueError(
            f"matrix must have shape (..., d, L, L), or (L, L) for one channel, none of them 0, "
            f"got matrix.shape={array.shape}; write plot.sequence_matrix(statespace.sequence_matrix(…))"
        )
    refuse_nonfinite(array, "matrix")
    above = np.argwhere(np.triu(array, 1))
    if len(above):
        place = tuple(map(int, above[0]))
        raise ValueError(
            f"matrix must be lower triangular, rows are outputs and take nothing of later inputs, got "
            f"matrix{list(place)} = {array[place]:.6g}; where rows are inputs write numpy.swapaxes(matrix, -1, -2)"
        )
    return array[None] if array.ndim == 2 else array


def _as_channels(channels: Any, d: int) -> Array:
    """Numbers of channels, (k,)."""
    if channels is None:
        return np.arange(d)
    try:
        chosen = np.atleast_1d(np.asarray(channels))
    except ValueError:  # rows of several lengths
        chosen = np.empty((0, 0))
    if chosen.ndim != 1 or chosen.dtype.kind not in "iu" or not chosen.size:
        raise TypeError(f"channels must be a whole number or a list of them, got {channels!r}")
    if chosen.min() < 0 or chosen.max() >= d:
        raise ValueError(f"channels must lie between 0 and {d - 1}, as matrix has {d} channels, got {channels!r}")
    return chosen


def _check_count(members: int, channels: int) -> None:
    """Few enough to be read."""
    if members * channels <= _MOST:
        return
    way = "channels=[0, 1, 2]" if members == 1 else "matrix[0] for one of them"
    each = f" of each of {members} members of a batch" if members > 1 else ""
    raise ValueError(f"there is room for {_MOST} maps, got {channels} channels{each}; write {way}")


# --------------------------------------------------------------- maps


def _colours(largest: float, is_complex: bool, log: bool) -> dict[str, Any]:
    """Colours and their scale, the same on either side of zero."""
    from matplotlib import colormaps
    from matplotlib.colors import Normalize, SymLogNorm

    end = largest or 1.0
    start = 0.0 if is_complex else -end
    scale = SymLogNorm(end / 10**_DECADES, vmin=start, vmax=end) if log else Normalize(start, end)
    return {"norm": scale, "cmap": colormaps["Reds" if is_complex else "RdBu_r"].with_extremes(bad=_ABOVE)}


def _draw_map(ax: Any, matrix: Array, colours: dict[str, Any], new: bool) -> Any:
    from matplotlib.ticker import MaxNLocator

    future = np.triu(np.ones(matrix.shape, bool), 1)
    image = ax.imshow(np.ma.array(matrix, mask=future), origin="upper", aspect="equal", **colours)
    if new:
        ax.grid(visible=False)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(MaxNLocator(5, integer=True))
    return image


def _name_maps(grid: Array, batch: list[tuple[int, ...]], channels: Any) -> None:
    """Rows are members of a batch, columns are channels; a name that is there already stays."""
    for index, ax in zip(batch, grid[:, 0], strict=True):
        words = [f"batch {', '.join(map(str, index))}"] if index else []
        name_axis(ax, "\n".join([*words, "output sample i"]), "y")
    for channel, ax in zip(channels, grid[0], strict=False):
        if not ax.get_title():
            ax.set_title(f"channel {channel}", fontsize="medium")

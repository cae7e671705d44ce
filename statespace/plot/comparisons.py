"""forms: one system run in every form, and how far the answers lie apart."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from statespace.arrays import Array, refuse_foreign
from statespace.plot.axes import finish, grid_of_axes, name_axis, scale_log
from statespace.plot.lines import above_nothing
from statespace.simulation import simulate
from statespace.simulation.forms import error_bound
from statespace.systems import ContinuousSystem, DiscreteSystem

_FORMS = {"chunked": 5.0, "convolution": 2.5}  # each against the recurrence; sizes of dots, so that equal ones show
_PIECES = 1000  # of a long record, each drawn as its largest value: about one for a pixel


def forms(system: DiscreteSystem, u: Any, *, ax: Any = None) -> Any:
    """Draw how far the forms of a run lie apart: each one's difference to the recurrence over time.

    Differences are relative to the largest output of a run, and the largest over outputs and batch is drawn. A long
    record is cut into 1000 pieces, each drawn as its largest. What is below a hundredth of the rounding of one
    number, 1e-18 in double and 1e-9 in float32, an exact zero too, is drawn there.

    Parameters
    ----------
    system : DiscreteSystem
    u : array_like, (..., L, m)
        Input, as `simulate` takes it; (L,) for one input.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when omitted.

    Returns
    -------
    Axes
        With dots for each form, and what they may differ by as a dashed line: 8·eps·κ·min(L, 1/(1 − ρ)) with the
        largest modulus ρ of a pole, and κ for how much more the states hold than is seen of them.

    Raises
    ------
    TypeError
        The system is not a DiscreteSystem, or ``ax`` is not a matplotlib Axes.
    ValueError
        ``u`` does not fit the system, or a form cannot be had.
    ImportError
        Matplotlib is missing.

    Examples
    --------
    >>> import numpy as np, statespace as ss
    >>> digital = ss.discretize(ss.from_zpk([], [-1.0], 1.0), 0.1)
    >>> ax = ss.plot.forms(digital, np.sin(np.arange(300.0)))
    >>> ax.get_legend_handles_labels()[1]
    ['chunked', 'convolution', 'expected']
    """
    if not isinstance(system, DiscreteSystem):
        first = "; discretize it first" if isinstance(system, ContinuousSystem) else ""
        raise TypeError(f"forms runs a DiscreteSystem, got {type(system).__name__}{first}")
    refuse_foreign(u, "u")
    run = simulate(system, u, form="recurrent")
    others = [simulate(system, u, form=form).y for form in _FORMS]
    grid, new = grid_of_axes(ax, (1, 1), "ax")
    ax = grid[0, 0]
    one_clock = np.ndim(run.t) == 1
    t = run.t if one_clock else np.arange(run.t.shape[-1])
    drawn = [_largest_of_pieces(t, above_nothing(_difference(y, run.y), run.y.dtype)) for y in others]
    for (form, dot), (at, size) in zip(_FORMS.items(), drawn, strict=True):
        ax.plot(at, size, label=form, marker=".", markersize=dot, linestyle="none")
    if t.size:
        ax.axhline(
            _expected(system, t.size, run.y.dtype), label="expected", linestyle="--", color="black", linewidth=1.0
        )
    scale_log(ax, [size for _, size in drawn], run.y.dtype, new)
    name_axis(ax, "|difference to recurrence|\nrelative to largest output", "y")
    finish(grid, f"time ({run.time_unit if one_clock else 'samples'})", new, above=new)
    return ax


def _difference(y: Array, reference: Array) -> Array:
    """|y − reference| / max|reference|, the largest over outputs and batch, (L,)."""
    y, reference = (x[:, None] if x.ndim == 1 else x for x in (y, reference))
    peak = np.abs(reference).max(axis=(-2, -1), keepdims=True, initial=0.0)
    size = np.abs(y - reference) / np.where(peak > 0, peak, 1.0)
    return size.max(axis=(*range(size.ndim - 2), -1), initial=0.0)


def _expected(system: DiscreteSystem, length: int, dtype: Any) -> float:
    """What two forms may differ by, each answer rounded once more to its precision; the most of a batch."""
    return float(np.max(error_bound(system, length), initial=0.0) + np.finfo(dtype).eps)


def _largest_of_pieces(t: Array, size: Array) -> tuple[Array, Array]:
    """The stamp and the value of the largest difference in each piece of a long record."""
    if size.size <= 2 * _PIECES:
        return t, size
    edges = np.linspace(0, size.size, _PIECES + 1).astype(int)
    at = [a + int(np.argmax(size[a:b])) for a, b in pairwise(edges)]
    return t[at], size[at]

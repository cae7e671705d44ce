"""response: outputs over time."""

from __future__ import annotations

from typing import Any

import numpy as np

from statespace.arrays import Array, refuse_foreign
from statespace.frequency import FrequencyResponse
from statespace.plot.axes import finish, grid_of_axes, name_channels
from statespace.plot.lines import draw_signal
from statespace.simulation import Response, step_response
from statespace.systems import ContinuousSystem, DiscreteSystem


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
    axes, new = grid_of_axes(ax, (p, m) if by_input else (1, 1), "ax")
    for i, j in np.ndindex(p, m):
        names = [label] if by_input or p == 1 else [label, f"output {i}"]
        draw_signal(axes[i, j] if by_input else axes[0, 0], run.t, y[..., i, j], names)
    name_channels(axes, 1, "output" if not by_input or p == m == 1 else None)
    unit = "" if np.asarray(run.t).dtype.kind == "M" else f" ({run.time_unit})"
    finish(axes, f"time{unit}", new)
    return axes[0, 0] if axes.size == 1 else axes


def _as_response(result: Any) -> Response:
    if isinstance(result, Response):
        return result
    if isinstance(result, (ContinuousSystem, DiscreteSystem)):
        return step_response(result)
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
    refuse_foreign(run.y, "y of the response")
    y = np.asarray(run.y)
    if y.ndim == 1:
        return y[:, None, None], False
    by_input = run.final_state is None and y.ndim >= 3 and y.shape[-3] == np.shape(run.t)[-1]
    return (y, True) if by_input else (y[..., None], False)
